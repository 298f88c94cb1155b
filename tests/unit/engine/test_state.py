"""What is known about a running engine, and when that is worth nothing."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from lakehouse.engine.state import EngineState, birth, clear_state, living, read_state, state_file, write_state
from tests.unit.clock import set_clock

ME = psutil.Process()
STATE = EngineState("running", os.getpid(), birth(ME), 1, 2, "fingerprint", "2g", {"spark": "4"}, None)


def test_what_was_written_is_read_back(tmp_path: Path):
    write_state(tmp_path / "new", STATE)
    assert read_state(tmp_path / "new") == STATE
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["engine.json"]


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"pid": 1}', "null"])
def test_a_damaged_state_file_is_no_state(tmp_path: Path, content: str):
    state_file(tmp_path).write_text(content, encoding="utf-8")
    assert read_state(tmp_path) is None


def test_no_state_file_is_no_state_and_clearing_it_twice_is_fine(tmp_path: Path):
    clear_state(tmp_path)
    assert read_state(tmp_path) is None


@pytest.mark.parametrize("clock", [0, -3600, 86_400])
def test_a_process_with_the_recorded_birth_lives_whatever_the_clock_was_set_to(clock: float, monkeypatch: pytest.MonkeyPatch):
    before = psutil.Process().create_time()
    set_clock(monkeypatch, clock)
    assert psutil.Process().create_time() == pytest.approx(before + clock, abs=2)
    assert living(STATE) == ME


def test_the_same_process_id_with_another_birth_is_somebody_else():
    assert living(replace(STATE, birth=STATE.birth + "0")) is None


def test_a_process_that_ended_does_not_live_even_before_it_is_reaped():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    known = psutil.Process(child.pid)
    state = replace(STATE, pid=child.pid, birth=birth(known))
    assert living(state) is not None
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # ended, and still in the process table
    assert living(state) is None
    child.communicate()
    assert living(state) is None
