"""What the launcher does that needs no engine: remote endpoints, logs, ports."""

from pathlib import Path

import pytest

from lakehouse.engine import launcher, process
from lakehouse.engine.launcher import Endpoints, engine_status, ensure_engine, start_engine, stop_engine
from lakehouse.errors import EngineError
from lakehouse.settings import Settings


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    chosen = Settings(home=tmp_path / "lake", engine="remote", connect_url="sc://spark:15002", thrift_host="spark", thrift_port=10001)
    monkeypatch.setattr(launcher, "settings", lambda: chosen)


@pytest.mark.usefixtures("remote")
def test_a_remote_engine_is_used_as_it_is_given(tmp_path: Path):
    assert ensure_engine() == Endpoints("sc://spark:15002", "spark", 10001, None)
    assert engine_status().state == "remote"
    assert not (tmp_path / "lake").exists()


@pytest.mark.usefixtures("remote")
@pytest.mark.parametrize("command", [start_engine, stop_engine])
def test_a_remote_engine_is_neither_started_nor_stopped(command):
    with pytest.raises(EngineError, match="belongs to others"):
        command()


def test_the_end_of_the_log_comes_without_stack_frames(tmp_path: Path):
    log = tmp_path / "engine.log"
    log.write_text("one\n\ntwo\n\tat frame\n\t... 12 more\nthree\n", encoding="utf-8")
    assert process.last_lines(log, 2) == ["two", "three"]
    assert process.last_lines(tmp_path / "none.log") == []


def test_free_ports_are_different_and_nobody_listens_there():
    ports = process.free_ports(8)
    assert len(set(ports)) == 8
    assert not any(process.accepts(port) for port in ports)
