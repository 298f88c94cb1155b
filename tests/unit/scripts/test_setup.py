"""The set-up script: what it says to whom it can't help, and that it trusts only finished work."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module, with an empty folder as the project."""
    spec = importlib.util.spec_from_file_location("lakehouse_setup", ROOT / "scripts" / "setup.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    venv = tmp_path / ".venv"
    for name, value in {"ROOT": tmp_path, "VENV": venv, "PYTHON": venv / "bin/python", "UV": venv / "bin/uv", "STAMP": venv / "stamp.json"}.items():
        monkeypatch.setattr(module, name, str(value))
    venv.mkdir()
    (tmp_path / "requirements").mkdir()
    for file in ("pyproject.toml", "requirements/bootstrap.txt", "requirements/runtime.txt", "requirements/dev.txt"):
        (tmp_path / file).write_text("x", encoding="utf-8")
    return module


def test_a_python_that_is_too_old_is_told_which_is_needed_and_how_to_name_it(setup: ModuleType, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))
    with pytest.raises(setup.SetupFailed, match=r"3\.9 is too old; 3\.11 or newer(.|\n)*PYTHON="):
        setup.check_python()


def test_a_python_without_venv_is_told_the_package_to_install(setup: ModuleType, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(setup, "has_module", lambda name: name != "ensurepip")
    with pytest.raises(setup.SetupFailed, match=r"ensurepip(.|\n)*python3-venv"):
        setup.check_python()


def test_a_full_disk_is_told_before_anything_is_changed(setup: ModuleType, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(setup, "NEEDED_BYTES", 1024**6)
    with pytest.raises(setup.SetupFailed, match=r"GB free; about \d+ GB are needed"):
        setup.check_disk()


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("error: Failed to fetch: dns error: failed to lookup address", "Check the network"),
        ("WARNING: Retrying after connection broken by NewConnectionError", "Check the network"),
        ("error: failed to write: No space left on device (os error 28)", "disk is full"),
        ("error: Hash mismatch for `rich==15.0.0`", "not the one that was locked"),
        ("THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", "not the one that was locked"),
        ("something else", "See the lines above"),
    ],
)
def test_the_advice_fits_what_the_installer_said(setup: ModuleType, said: str, advice: str):
    assert advice in setup.advice(said)


def test_a_command_that_fails_is_tried_once_more_and_then_reported(setup: ModuleType, tmp_path: Path):
    tries = tmp_path / "tries"
    code = f"open({str(tries)!r}, 'a').write('x'); raise SystemExit('no space left')"
    with pytest.raises(setup.SetupFailed, match="it did not work.\nThe disk is full"):
        setup.run([sys.executable, "-c", code], "it did not work", attempts=2)
    assert tries.read_text(encoding="utf-8") == "xx"


def test_finished_work_is_remembered_until_a_lock_file_changes(setup: ModuleType, tmp_path: Path):
    def wanted() -> str:
        return setup.digest("pyproject.toml", "requirements/bootstrap.txt", "requirements/dev.txt")

    setup.remember("dev", wanted())
    assert setup.read_stamp()["dev"] == wanted()
    assert "runtime" in setup.read_stamp(), "who can test can run"
    (tmp_path / "requirements/dev.txt").write_text("y", encoding="utf-8")
    assert setup.read_stamp()["dev"] != wanted()


def test_a_damaged_stamp_means_nothing_is_finished(setup: ModuleType):
    Path(setup.STAMP).write_text("{", encoding="utf-8")
    assert setup.read_stamp() == {}


def test_a_folder_named_venv_that_is_something_else_is_not_deleted(setup: ModuleType):
    (Path(setup.VENV) / "precious").write_text("x", encoding="utf-8")
    with pytest.raises(setup.SetupFailed, match="is not a Python environment"):
        setup.make_venv()
    assert (Path(setup.VENV) / "precious").exists()


def test_a_mirror_set_for_pip_is_used_by_uv_too(setup: ModuleType, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example/simple")
    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
    assert setup.environment()["UV_DEFAULT_INDEX"] == "https://mirror.example/simple"


def test_the_lock_files_name_every_hash_and_no_host():
    for file in sorted((ROOT / "requirements").glob("*.txt")):
        lines = [line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
        pins = [line for line in lines if "==" in line and not line.startswith(" ")]
        assert pins and all(line.endswith("\\") for line in pins), f"{file.name}: a pin without hashes"
        assert not [line for line in lines if "://" in line or "--index" in line or "--find-links" in line], f"{file.name} names a host"


def test_make_names_its_targets():
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    for target in ("setup", "demo", "test", "bench", "lint", "up", "down", "clean"):
        assert f"make {target} " in done.stdout


def test_the_runtime_lock_is_part_of_the_dev_lock():
    def pins(name: str) -> set[str]:
        return {line for line in (ROOT / "requirements" / name).read_text(encoding="utf-8").splitlines() if "==" in line}

    assert pins("runtime.txt") <= pins("dev.txt")
    assert json.dumps(sorted(pins("dev.txt"))).count("pytest==") == 1
