"""The command line as a whole: every command and option is explained, the reference says the same, failures end as sentences."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lakehouse import cli
from lakehouse.cli import COMMANDS, explain, load
from lakehouse.cli.reference import FILE, markdown, parameters
from lakehouse.errors import EngineError, LakehouseError
from lakehouse.settings import settings


def leaves(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if not inner:
        yield path, command
        return
    for name, sub in inner.items():
        yield from leaves(sub, f"{path} {name}")


EVERY = dict(leaf for name in COMMANDS for leaf in leaves(load(name), name))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path / "lake"))
    settings.cache_clear()
    yield tmp_path / "lake"
    settings.cache_clear()


def lakehouse(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    code = "from lakehouse.cli import main; main()"
    env = {**os.environ, "COLUMNS": "200", **environment}
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=env, check=False, timeout=120)


@pytest.mark.parametrize("name", EVERY)
def test_every_command_has_help_and_an_example_that_names_it(name: str) -> None:
    command = EVERY[name]
    assert command.help
    assert f"Example: lakehouse {name}" in (command.epilog or "")


@pytest.mark.parametrize("name", EVERY)
def test_every_option_has_help_that_ends_as_a_sentence(name: str) -> None:
    for parameter in parameters(EVERY[name]):
        assert parameter.help, f"lakehouse {name}: {parameter.name}"
        assert parameter.help.endswith("."), f"lakehouse {name}: {parameter.name}"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_in_help_says_what_the_command_itself_says(name: str) -> None:
    assert " ".join(load(name).help.split("\n\n")[0].split()) == COMMANDS[name]


def test_the_reference_is_what_the_commands_say() -> None:
    assert FILE.read_text("utf-8") == markdown(), "Renew it with: python -m lakehouse.cli.reference"


def test_the_reference_names_every_option() -> None:
    text = FILE.read_text("utf-8")
    for name, command in EVERY.items():
        section = text.split(f"# lakehouse {name}\n")[1].split("\n## ")[0]
        for parameter in parameters(command):
            if parameter.param_type_name == "option":
                assert all(f"`{option}`" in section for option in parameter.opts)


def test_help_and_engine_status_import_neither_dagster_nor_spark_nor_dbt() -> None:
    code = (
        "import sys\nfrom lakehouse.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "found = {m.split('.')[0] for m in sys.modules} & {'dagster', 'pyspark', 'dbt', 'pandas', 'deltalake', 'sqlglot'}\n"
        "assert not found, found"
    )
    for arguments in (["--help"], ["engine", "status"]):
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr


def test_an_unknown_command_is_a_usage_error_that_names_a_near_one() -> None:
    done = lakehouse("stauts")
    assert done.returncode == 2
    assert "status" in done.stderr


def test_a_misspelt_setting_ends_as_a_sentence_without_a_trace() -> None:
    done = lakehouse("sync", LAKEHOUSE_HOEM="/nowhere")
    assert done.returncode == 1
    assert "LAKEHOUSE_HOEM: no such setting." in done.stderr
    assert "Traceback" not in done.stderr


def test_an_error_of_ours_says_what_state_and_next(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(EngineError("It broke.", state="Nothing was changed.", next_step="Run: lakehouse doctor")) == 1
    assert capsys.readouterr().err.splitlines() == ["It broke.", "Nothing was changed.", "Run: lakehouse doctor"]


def test_an_error_with_brackets_is_printed_as_it_is(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    explain(LakehouseError("A column [red] of array<int>[] in [/path]."))
    assert capsys.readouterr().err.strip() == "A column [red] of array<int>[] in [/path]."


def test_a_defect_is_one_line_and_its_trace_is_in_the_log(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ZeroDivisionError("division [by] zero")
    except ZeroDivisionError as error:
        assert explain(error) == 1
    said = capsys.readouterr().err
    assert "ZeroDivisionError: division [by] zero" in said
    assert "Traceback" not in said
    assert str(home / "logs" / "cli.log") in said
    assert "Traceback" in (home / "logs" / "cli.log").read_text("utf-8")


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device", "/data/x"), RuntimeError("(sqlite3.OperationalError) database or disk is full")]
)
def test_a_full_disk_is_no_defect_and_says_where_to_make_room(home: Path, capsys: pytest.CaptureFixture[str], error: Exception) -> None:
    assert explain(error) == 1
    said = capsys.readouterr().err
    assert "no room left" in said
    assert f"Make room below {home}" in " ".join(said.split())
    assert "defect of lakehouse" not in said


def test_an_error_of_the_engine_is_brief_and_names_both_logs(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from pyspark.errors import AnalysisException

    assert explain(AnalysisException("[TABLE_OR_VIEW_NOT_FOUND] There is no x.\n\nJVM stacktrace:\n\tat org.apache")) == 1
    said = capsys.readouterr().err
    assert "[TABLE_OR_VIEW_NOT_FOUND] There is no x." in said
    assert "org.apache" not in said
    assert "engine.log" in said


def test_interrupted_means_130_and_says_what_stays(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(name: str) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "load", interrupted)
    monkeypatch.setattr(sys, "argv", ["lakehouse", "sync"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 130
    assert "What was committed stays" in capsys.readouterr().err
