"""Processes in the background: found again, not confused with others, ended; Dagster's home and its settings; ports."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import psutil
import pytest
from dagster._core.remote_origin import ManagedGrpcPythonEnvCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from dagster._daemon.types import DaemonHeartbeat

from lakehouse.cli import backfill, instance, services, supervisor
from lakehouse.engine import process
from lakehouse.errors import LakehouseError, SetupError
from lakehouse.services import background
from lakehouse.settings import Settings, settings

SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path))
    monkeypatch.setattr(os, "environ", os.environ.copy())
    settings.cache_clear()
    yield tmp_path
    background.stop(tmp_path, "sleeper")
    settings.cache_clear()


def start(home: Path) -> background.Running:
    return background.start(home, "sleeper", SLEEPER, port=None, stamp="1", environment={"X": "1"})


def test_a_started_process_is_found_and_ended(home: Path) -> None:
    started = start(home)
    assert background.find(home, "sleeper") == started
    assert background.stop(home, "sleeper") == 0
    assert background.find(home, "sleeper") is None
    assert background.stop(home, "sleeper") == -1


def test_the_log_of_a_running_process_is_put_aside_when_it_is_large_and_goes_on(home: Path) -> None:
    talker = "import sys\nfor line in sys.stdin: print(line, end='', flush=True)"
    log = background.log_file(home, "sleeper")
    log.parent.mkdir()
    with log.open("ab") as output:
        child = subprocess.Popen([sys.executable, "-c", talker], stdin=subprocess.PIPE, stdout=output, text=True)
    assert child.stdin
    child.stdin.write("x" * background.KEPT_BYTES + "\nlast\n")
    child.stdin.flush()
    _until(lambda: log.read_text().endswith("last\n"))
    background.shorten_logs(home)
    child.communicate("after\n", timeout=30)
    assert log.read_text() == "after\n"
    assert log.with_name("sleeper.log.1").read_text().endswith("last\n")
    background.shorten_logs(home)
    assert log.read_text() == "after\n"


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_killed_process_is_not_found_though_its_file_is_there(home: Path) -> None:
    started = start(home)
    os.kill(started.pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(started.pid)], timeout=10)
    assert background.pid_file(home, "sleeper").exists()
    assert background.find(home, "sleeper") is None


def test_only_what_was_not_stopped_is_missed(home: Path) -> None:
    killed = start(home)
    assert supervisor.gone(home, ["sleeper", "never-started"]) == []
    os.kill(killed.pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(killed.pid)], timeout=10)
    assert supervisor.gone(home, ["sleeper", "never-started"]) == ["sleeper"]
    background.stop(home, "sleeper")
    assert supervisor.gone(home, ["sleeper"]) == []


def test_what_is_missed_is_brought_back_at_once_and_what_dies_again_and_again_more_seldom(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing, waits, ups = iter([[], ["a"], ["a"], [], ["a"], *[["a"]] * 9]), list[float](), list[str]()

    def nothing_left(*_: object) -> list[str]:
        return next(missing)

    monkeypatch.setattr(supervisor, "gone", nothing_left)
    monkeypatch.setattr(supervisor.time, "sleep", waits.append)
    monkeypatch.setattr(supervisor.subprocess, "run", lambda command, **_: ups.append(command[-1]))
    with pytest.raises(StopIteration):
        supervisor.supervise(home, ["a"])
    assert waits[:6] == [5, 5, 10, 20, 5, 10] and max(waits) == supervisor.LONGEST
    assert set(ups) == {"up"} and len(ups) == 12


def test_somebody_elses_process_with_the_same_id_is_neither_found_nor_ended(home: Path) -> None:
    file = background.pid_file(home, "sleeper")
    file.parent.mkdir()
    file.write_text(json.dumps({"name": "sleeper", "pid": os.getpid(), "birth": "x", "port": None, "stamp": ""}))
    assert background.find(home, "sleeper") is None
    assert background.stop(home, "sleeper") == -1


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "sleeper"}', '{"later_version": true}'])
def test_a_file_that_cannot_be_understood_is_no_process(home: Path, text: str) -> None:
    file = background.pid_file(home, "sleeper")
    file.parent.mkdir()
    file.write_text(text)
    assert background.find(home, "sleeper") is None


def test_a_process_that_ends_at_once_is_an_error_with_the_end_of_its_log(home: Path) -> None:
    running = background.start(home, "sleeper", [sys.executable, "-c", "raise SystemExit('no such port')"], port=None, stamp="", environment={})
    with pytest.raises(LakehouseError, match="sleeper ended while it was starting.*\n.*no such port") as error:
        background.await_ready(home, running, lambda: False, 60, "lakehouse up --restart")
    assert str(error.value).endswith("Then: lakehouse up --restart")


def test_dagsters_settings_are_written_once_and_then_left_alone(home: Path) -> None:
    file = instance.prepare() / "dagster.yaml"
    assert file.read_text() == instance.TEMPLATE.read_text()
    file.write_text("telemetry: {enabled: false}\n")
    instance.prepare()
    assert file.read_text() == "telemetry: {enabled: false}\n"


def test_children_find_this_lake_from_any_folder(home: Path) -> None:
    instance.prepare()
    assert os.environ["DAGSTER_HOME"] == str(home / "dagster")
    assert all(Path(os.environ[f"LAKEHOUSE_{name}"]).is_absolute() for name in ("HOME", "CONTRACTS", "LANDING", "WAREHOUSE", "DBT_PROJECT"))


def test_a_home_that_cannot_be_written_is_an_error_with_a_way_out(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "taken").write_text("")
    monkeypatch.setenv("LAKEHOUSE_HOME", str(home / "taken"))
    settings.cache_clear()
    with pytest.raises(SetupError, match="can't be written"):
        instance.prepare()


def test_dagster_takes_the_settings_we_write(home: Path) -> None:
    import dagster as dg

    instance.prepare()
    with dg.DagsterInstance.get() as opened:
        assert not opened.telemetry_enabled
        assert opened.run_monitoring_enabled
        assert opened.run_retries_enabled and opened.run_retries_max_retries == 2
        assert opened.global_op_concurrency_default_limit == 1
        assert opened.root_directory == str(home / "dagster")


def test_a_port_that_is_taken_is_refused_when_asked_for_and_passed_over_otherwise(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LakehouseError, match=f"Port {port} is taken"):
            services._web_port(port, None)
        before = background.Running("dagster-webserver", 1, "", port, "")
        assert services._web_port(None, before) != port


def test_down_says_when_nothing_ran(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    services.down(keep_engine=False)
    assert "Nothing was running." in capsys.readouterr().out


def test_a_backfill_starts_beside_syncs_a_follower_and_sensors_that_never_rest(home: Path) -> None:
    instance.prepare()
    job = dg.GraphDefinition("job").to_job()
    location = ManagedGrpcPythonEnvCodeLocationOrigin(LoadableTargetOrigin(module_name="m"), "here")
    origin = RemoteJobOrigin(RemoteRepositoryOrigin(location, "all"), "job")
    with dg.DagsterInstance.get() as dagster:
        for tags in ({}, {}, {}, {"dagster/sensor_name": "new_files"}, {"dagster/sensor_name": "new_rows"}):
            dagster.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags=tags)
        for tags in (
            {"dagster/sensor_name": "new_files"},
            {"dagster/backfill": "a", "dagster/priority": "-1"},
            {"dagster/backfill": "b", "dagster/priority": "-2"},
        ):
            dagster.create_run_for_job(job, status=dg.DagsterRunStatus.QUEUED, tags=tags, remote_job_origin=origin)
        started = QueuedRunCoordinatorDaemon(interval_seconds=1)._get_runs_to_dequeue(dagster, dagster.get_concurrency_config(), None)
        assert [run.tags.get("dagster/backfill") for run in started] == ["a"]


@pytest.mark.parametrize("name", ["alert_smtp", "schema_registries"])
def test_services_are_loaded_again_with_another_password(home: Path, name: str) -> None:
    def stamp(password: str) -> str:
        url = f"smtp://user:{password}@host:25" if name == "alert_smtp" else {"registry": f"https://user:{password}@host"}
        return services._stamp(Settings(home=home, **{name: url}))  # type: ignore[arg-type]

    assert stamp("one") == stamp("one") != stamp("two")


def test_a_daemon_that_runs_in_another_container_is_known_by_its_sign_of_life(home: Path) -> None:
    with instance.open_instance() as opened:
        assert backfill._missing(opened) == ["dagster-daemon", "dagster-code"]
        opened.add_daemon_heartbeat(DaemonHeartbeat(time.time() - 600, "BACKFILL", "elsewhere"))
        assert backfill._missing(opened) == ["dagster-daemon", "dagster-code"]
        opened.add_daemon_heartbeat(DaemonHeartbeat(time.time() - 30, "BACKFILL", "elsewhere"))
        assert backfill._missing(opened) == []
        file = background.pid_file(home, "dagster-daemon")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text('{"name": "dagster-daemon", "pid": 999999, "birth": "", "port": null, "stamp": ""}')
        assert backfill._missing(opened) == ["dagster-daemon", "dagster-code"], "ours was killed a moment ago"


def test_a_web_ui_that_was_killed_comes_back_on_its_port(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = process.free_ports(1)
    asked: list[int | None] = []

    def launch(chosen: object, name: str, command: object, at: int | None, stamp: str) -> background.Running:
        asked.append(at)
        return background.Running(name, os.getpid(), "", at, stamp)

    file = background.pid_file(home, "dagster-webserver")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f'{{"name": "dagster-webserver", "pid": 999999, "birth": "", "port": {port}, "stamp": ""}}')
    monkeypatch.setattr(services, "_launch", launch)
    monkeypatch.setattr(background, "await_ready", lambda *_: None)
    services._start_all(settings(), None)
    assert asked[-1] == port
