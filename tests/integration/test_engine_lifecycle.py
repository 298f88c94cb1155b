"""The real engine: one for all who ask, and back again whatever was killed. The tests run in this order on one lake."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from pyspark.sql import functions as F
from typer.testing import CliRunner

from lakehouse.cli.engine import app
from lakehouse.engine import process
from lakehouse.engine.catalog import DATABASES
from lakehouse.engine.config import engine_config
from lakehouse.engine.launcher import engine_status, ensure_engine, stop_engine
from lakehouse.engine.session import brief, connect
from lakehouse.engine.state import read_state, state_file
from lakehouse.errors import EngineError
from lakehouse.settings import settings

ENSURE = "from lakehouse.engine.launcher import ensure_engine; print(ensure_engine().pid)"
HOLD = "from lakehouse.engine.session import connect; s = connect(); s.range(1).count(); print('ready', flush=True); input()"
PATIENCE = 400


@pytest.fixture(scope="module")
def environment() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch
    settings.cache_clear()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, environment: pytest.MonkeyPatch) -> Iterator[Path]:
    """A lake of its own for this module; its engine is stopped at the end."""
    folder = tmp_path_factory.mktemp("lifecycle") / "lake with a space"
    for name in [name for name in os.environ if name.startswith("LAKEHOUSE_")]:
        environment.delenv(name)
    environment.setenv("LAKEHOUSE_HOME", str(folder))
    choose_heap(environment, "1g")
    yield folder
    stop_engine()


def choose_heap(environment: pytest.MonkeyPatch, heap: str) -> None:
    environment.setenv("LAKEHOUSE_ENGINE_HEAP", heap)
    settings.cache_clear()


def client(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def phase(home: Path) -> str:
    state = read_state(home)
    return state.phase if state else "none"


def test_ten_clients_at_once_get_one_engine_even_when_its_starter_is_killed(home: Path):
    starter = client(ENSURE)
    eventually(lambda: phase(home) != "none")
    assert phase(home) == "starting"
    starter.kill()
    starter.communicate()
    state = read_state(home)
    clients = [client(ENSURE) for _ in range(10)]
    answers = [one.communicate(timeout=PATIENCE) for one in clients]
    assert {out.strip() for out, _ in answers} == {str(state.pid)}, answers
    assert [one.pid for one in process.strays(engine_config(settings()))] == [state.pid]


def test_asking_for_an_engine_that_runs_takes_milliseconds(home: Path):
    ensure_engine()
    took = []
    for _ in range(5):
        began = time.perf_counter()
        ensure_engine()
        took.append(time.perf_counter() - began)
    assert min(took) < 0.05


def test_every_database_lies_in_its_folder_of_the_warehouse(home: Path):
    session = connect()
    for name in DATABASES:
        facts = {row[0]: row[1] for row in session.sql(f"describe database {name}").collect()}
        assert facts["Location"].removeprefix("file:").replace("%20", " ") == f"{home}/warehouse/{name}"
    session.stop()


def test_files_can_not_be_read_by_path_in_sql_and_bad_casts_fail_at_both_doors(home: Path):
    from pyhive import hive

    secret = home / "secret.csv"
    secret.write_text("secret\n", encoding="utf-8")
    session, thrift = connect(), ensure_engine()
    cursor = hive.connect(host=thrift.thrift_host, port=thrift.thrift_port, auth="NONE").cursor()
    for query, reason in [(f"select * from text.`{secret}`", "TABLE_OR_VIEW_NOT_FOUND"), ("select cast('x' as int)", "CAST_INVALID_INPUT")]:
        with pytest.raises(Exception, match=reason) as caught:
            session.sql(query).collect()
        assert "\tat " not in brief(caught.value)
        with pytest.raises(Exception, match=reason):
            cursor.execute(query)
    assert session.conf.get("spark.sql.session.timeZone") == "UTC"
    session.stop()


def test_the_engine_listens_on_the_loopback_interface_only(home: Path):
    found = psutil.Process(ensure_engine().pid)
    listening = {c.laddr.ip for c in found.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
    assert listening <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}


def test_the_status_tells_what_runs(home: Path):
    endpoints = ensure_engine()
    result = CliRunner().invoke(app, ["status", "--json"])
    found = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (found["state"], found["endpoints"]["pid"], found["heap"], found["current"]) == ("running", endpoints.pid, "1g", True)
    assert found["memory_bytes"] > 0 and found["uptime_seconds"] > 0
    assert "running" in CliRunner().invoke(app, ["status"]).stdout


def test_after_kill_9_the_next_client_gets_a_new_engine_with_the_same_tables(home: Path, monkeypatch: pytest.MonkeyPatch):
    session = connect()
    session.sql("create or replace table bronze.kept using delta as select 42 as answer")
    before = ensure_engine().pid
    psutil.Process(before).kill()
    again = connect()
    assert again.table("bronze.kept").collect()[0].answer == 42
    assert ensure_engine().pid != before
    monkeypatch.setattr("pyspark.errors.utils._enable_debugging_cache", None)  # the first function of a process asks the active session
    assert again.table("bronze.kept").select(F.col("answer") + 1).collect()[0][0] == 43
    again.stop()


def test_a_state_file_that_names_somebody_elses_process_is_mended_and_that_process_left_alone(home: Path):
    before = ensure_engine().pid
    bystander = client("input()")
    content = json.loads(state_file(home).read_text(encoding="utf-8"))
    state_file(home).write_text(json.dumps({**content, "pid": bystander.pid}), encoding="utf-8")
    after = ensure_engine().pid
    assert bystander.poll() is None
    bystander.communicate("\n")
    assert after not in (before, bystander.pid)
    assert [one.pid for one in process.strays(engine_config(settings()))] == [after], "the engine nobody knew of was ended"


def test_a_changed_configuration_restarts_the_engine_once_nobody_else_uses_it(home: Path, environment: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    before = ensure_engine().pid
    other = client(HOLD)
    assert other.stdout.readline() == "ready\n"
    choose_heap(environment, "1200m")
    assert ensure_engine().pid == before
    assert "1 connections are in use" in caplog.text
    assert engine_status().current is False
    other.communicate("\n")
    after = ensure_engine()
    assert after.pid != before
    assert engine_status().heap == "1200m"
    assert connect().table("bronze.kept").count() == 1


def test_a_catalogue_that_was_lost_is_rebuilt_from_the_tables(home: Path):
    session = connect()
    session.sql("create table silver.other using delta as select 1 as one")
    (home / "warehouse" / "silver" / "other").rename(home / "warehouse" / "silver" / "moved")
    result = CliRunner().invoke(app, ["rebuild-catalog"])
    assert result.exit_code == 0, result.output
    assert "silver.moved" in result.output
    assert session.table("silver.moved").count() == 1
    session.stop()


def test_stopping_ends_it_and_stopping_again_says_so(home: Path):
    found = psutil.Process(ensure_engine().pid)
    keeper = found.parent()
    assert "has stopped" in CliRunner().invoke(app, ["stop"]).stdout
    assert process.ended(found)
    assert process.ended(keeper)  # nobody writes to the lake any more
    assert CliRunner().invoke(app, ["status"]).exit_code == 3
    assert "was not running" in CliRunner().invoke(app, ["stop"]).stdout


def test_an_engine_that_can_not_start_shows_the_end_of_its_log_and_where_it_is(home: Path, environment: pytest.MonkeyPatch):
    choose_heap(environment, "1m")
    with pytest.raises(EngineError) as caught:
        ensure_engine()
    said = str(caught.value)
    assert "Too small maximum heap" in said and str(home / "logs" / "engine.log") in said and "LAKEHOUSE_ENGINE_HEAP" in said
    assert read_state(home) is None
