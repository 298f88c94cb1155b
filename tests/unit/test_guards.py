"""Rules of the repository that a reader could break without noticing."""

from __future__ import annotations

import re
import subprocess

import pytest

from lakehouse.cli import COMMANDS
from lakehouse.settings import PROJECT

MODULES = sorted((PROJECT / "lakehouse").rglob("*.py"))
TRACKED = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, check=False).stdout.split()


def test_only_the_settings_read_the_environment() -> None:
    """Others may hand it on to a child process, or tell a library something through it."""
    allowed = {
        "settings.py",
        "engine/process.py",
        "engine/session.py",
        "engine/training.py",
        "gold/dbt.py",
        "cli/instance.py",
        "services/background.py",
        "cli/live.py",
        "cli/query.py",
    }
    readers = {m.relative_to(PROJECT / "lakehouse").as_posix() for m in MODULES if re.search(r"os\.environ|os\.getenv|\benviron\b", m.read_text())}
    assert readers <= allowed


def test_modules_fit_on_a_few_screens_and_say_what_they_are_for() -> None:
    for module in MODULES:
        text = module.read_text()
        assert len(text.splitlines()) <= 400, module
        assert text.startswith('"""'), module


@pytest.mark.parametrize("host", ["pypi" + ".org", "pythonhosted" + ".org", "maven" + ".org", "npmjs" + ".org", "debian" + ".org"])
def test_no_file_names_a_download_host(host: str) -> None:
    for name in TRACKED:
        file = PROJECT / name
        if file.is_file() and file.suffix not in (".png", ".jar"):
            assert host not in file.read_text(errors="ignore"), name


def test_the_readme_is_short_and_its_first_command_comes_early() -> None:
    lines = (PROJECT / "README.md").read_text().splitlines()
    assert len(lines) <= 120
    assert any("make demo" in line for line in lines[:25])


def test_documents_named_in_the_readme_and_docs_exist() -> None:
    for page in [PROJECT / "README.md", *(PROJECT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_commands_in_the_readme_are_commands_of_the_program() -> None:
    named = set(re.findall(r"(?m)^\s*(?:\.venv/bin/)?lakehouse ([a-z]+)", (PROJECT / "README.md").read_text()))
    assert named and named <= set(COMMANDS)
