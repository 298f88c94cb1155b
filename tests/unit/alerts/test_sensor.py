"""The alert sensor on a real Dagster instance: failed runs, failed checks, old data and a missing source reach their owners once, and so does their end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest
from dagster._core.remote_origin import ManagedGrpcPythonEnvCodeLocationOrigin, RemoteInstigatorOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, InstigatorType, SensorInstigatorData
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from deltalake import write_deltalake

from lakehouse.alerts.sensor import alert_sensor
from lakehouse.contracts.loader import load_contracts
from lakehouse.errors import SourceError
from lakehouse.pauses import FAILURES, Pauses
from lakehouse.settings import PROJECT, settings
from tests.unit.alerts.conftest import SECRET, Received

OWNER = "ada@toys.example"
SILVER = dg.AssetKey(["silver", "sensor_reading"])


class World:
    """One asset with a check, whose fate the test decides, a contract, and the sensor's memory between ticks."""

    def __init__(self, instance: dg.DagsterInstance, quiet: timedelta) -> None:
        self.instance, self.cursor, self.contracts = instance, None, load_contracts(PROJECT / "contracts")
        self.contracts = {"sensor_reading": replace(self.contracts["sensor_reading"], owners=(OWNER,), support=("#toys",))}
        self.fails, self.passes = False, True
        self.sensor = alert_sensor(self.contracts, quiet)
        world = self

        @dg.asset(key=SILVER, check_specs=[dg.AssetCheckSpec("conservation", asset=SILVER)])
        def build() -> dg.MaterializeResult:  # type: ignore[type-arg]
            if world.fails:
                raise SourceError("gateway-2.jsonl can't be read.", state="Nothing was changed.", next_step="Then: lakehouse sync sensor_reading")
            text = "2 records are lost."
            return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=world.passes, check_name="conservation", description=text)])

        self.definitions = dg.Definitions(assets=[build])

    def run(self, *, fails: bool = False, passes: bool = True) -> None:
        self.fails, self.passes = fails, passes
        self.definitions.resolve_implicit_global_asset_job_def().execute_in_process(instance=self.instance, raise_on_error=False)

    def tick(self) -> str:
        with dg.build_sensor_context(instance=self.instance, cursor=self.cursor, definitions=self.definitions) as context:
            result = self.sensor(context)
        assert isinstance(result, dg.SensorResult) and isinstance(result.skip_reason, dg.SkipReason)
        self.cursor = result.cursor
        assert SECRET not in f"{result.cursor}{result.skip_reason}"
        return str(result.skip_reason.skip_message)


@pytest.fixture
def world(home: Path, tmp_path: Path) -> Iterator[World]:
    (Path(settings().landing) / "factory" / "sensor_reading").mkdir(parents=True)
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield World(instance, timedelta())


def pause(instance: dg.DagsterInstance, cursor: str) -> None:
    """As the daemon keeps the cursor of a source's sensor."""
    location = ManagedGrpcPythonEnvCodeLocationOrigin(LoadableTargetOrigin(module_name="m"), "here")
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "all"), "new_files")
    known = instance.get_instigator_state(origin.get_id(), origin.get_selector().get_id())
    state = InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.RUNNING, SensorInstigatorData(cursor=cursor))
    (instance.update_instigator_state if known else instance.add_instigator_state)(state)


def texts(received: Received) -> list[str]:
    """What was posted and mailed since the last look; both say the same to the same people."""
    posts, mails = [body["text"] for _, body in received.posts], [str(m.get_payload(decode=True), "utf-8") for _, m in received.mails]
    assert {to for tos, _ in received.mails for to in tos} <= {OWNER} and {path for path, _ in received.posts} <= {f"/{SECRET}/toys"}
    assert len(posts) == len(mails)
    received.posts.clear()
    received.mails.clear()
    return posts


def test_a_lake_without_problems_says_nothing(world: World, received: Received) -> None:
    world.run()
    assert world.tick() == "Nothing is wrong."
    assert texts(received) == []


def test_a_failed_run_is_told_once_with_its_own_advice_and_its_end_once(world: World, received: Received) -> None:
    world.run(fails=True)
    world.tick()
    (text,) = texts(received)
    assert "silver__sensor_reading failed: gateway-2.jsonl can't be read." in text and "Then: lakehouse sync sensor_reading" in text
    world.tick()
    world.run(fails=True)
    world.tick()
    assert texts(received) == []
    world.run()
    world.tick()
    (text,) = texts(received)
    assert "✓ over: silver__sensor_reading failed" in text
    world.tick()
    assert texts(received) == []


def test_a_failure_that_the_next_run_has_mended_before_the_look_is_told_and_so_is_its_end(world: World, received: Received) -> None:
    world.run()
    world.tick()
    world.run(fails=True)
    world.run()
    world.tick()
    (text,) = texts(received)
    assert "silver__sensor_reading failed" in text
    world.tick()
    (text,) = texts(received)
    assert "✓ over: silver__sensor_reading failed" in text


def test_a_run_that_failed_outside_of_its_steps_is_told_and_hides_nothing_that_comes(world: World, received: Received) -> None:
    run = world.instance.create_run_for_job(world.definitions.resolve_implicit_global_asset_job_def())
    world.instance.report_run_failed(run, "Its process is gone: killed, or the machine was restarted.")
    world.tick()
    ((to, mail),) = received.mails
    assert to == ["operator@toys.example"] and b"a run failed: Its process is gone" in mail.get_payload(decode=True)
    received.posts.clear()
    received.mails.clear()
    world.run(fails=True)
    world.tick()
    (text,) = texts(received)
    assert "silver__sensor_reading failed" in text


def test_a_table_whose_log_is_damaged_is_told_beside_the_others(world: World, received: Received) -> None:
    log = Path(settings().warehouse) / "silver/sensor_reading/_delta_log"
    log.mkdir(parents=True)
    (log / f"{0:020d}.json").write_text("{")
    world.run(fails=True)
    world.tick()
    (text,) = texts(received)
    assert "silver__sensor_reading failed" in text and "silver.sensor_reading can't be read" in text


def test_a_failed_check_is_told_once_and_its_end_once(world: World, received: Received) -> None:
    for _ in range(2):
        world.run(passes=False)
        world.tick()
    (text,) = texts(received)
    assert "✗ silver/sensor_reading: check conservation failed: 2 records are lost." in text
    world.run()
    world.tick()
    world.tick()
    (text,) = texts(received)
    assert "✓ over: silver/sensor_reading: check conservation failed" in text


def test_old_data_and_a_missing_source_are_told_in_one_message(world: World, received: Received) -> None:
    def newest(age: timedelta) -> None:
        table: dict[str, Any] = {"event_time": pa.array([datetime.now(UTC) - age], pa.timestamp("us", "UTC"))}
        write_deltalake(Path(settings().warehouse) / "silver/sensor_reading", pa.table(table), mode="overwrite")

    newest(timedelta(hours=40))
    source = Path(settings().landing) / "factory" / "sensor_reading"
    source.rmdir()
    world.tick()
    (text,) = texts(received)
    assert text.startswith("*2 new problems: ") and "sensor_reading: its source can't be read" in text and "promised is an age of at most 1 day" in text
    newest(timedelta(hours=1))
    source.mkdir()
    world.tick()
    (text,) = texts(received)
    assert text.startswith("*2 over: ")


def test_a_paused_source_is_told_once_with_its_reason_and_again_when_it_is_another_one(world: World, received: Received) -> None:
    def broken(why: str, mend: str) -> str:
        now, pauses = datetime.now(UTC).timestamp(), Pauses()
        for _ in range(FAILURES):
            pauses = pauses.after(["sensor_reading"], {"sensor_reading": (why, mend)}, now)
        return pauses.to_json()

    pause(world.instance, broken("Kafka at b:9092 does not answer.", "See that the brokers run."))
    world.tick()
    (text,) = texts(received)
    assert "✗ sensor_reading: its source is paused: Kafka at b:9092 does not answer. It failed 3 times in a row and is looked at again at " in text
    assert "See that the brokers run. Once mended, at once: lakehouse sync sensor_reading" in text
    pause(world.instance, broken("Kafka at b:9092 does not answer at all.", "See that the brokers run."))
    world.tick()
    assert texts(received) == []
    pause(world.instance, broken("Kafka no longer has offsets 1 to 2.", "To go on without it, once: lakehouse sync sensor_reading --force"))
    world.tick()
    (text,) = texts(received)
    assert "Kafka no longer has offsets 1 to 2." in text and text.endswith("once: lakehouse sync sensor_reading --force")
    pause(world.instance, Pauses().to_json())
    world.tick()
    (text,) = texts(received)
    assert text == "*1 over: sensor_reading: its source is paused*\n✓ over: sensor_reading: its source is paused"


def test_a_receiver_that_does_not_answer_is_told_later_and_the_others_only_once(world: World, received: Received) -> None:
    world.run(fails=True)
    received.answer = 500
    assert "The webhook for #toys answered 500." in world.tick()
    assert len(received.mails) == 1
    received.answer = 302
    assert "The webhook for #toys answered 302." in world.tick(), "a page to log in at is no chat"
    received.answer = 200
    world.tick()
    assert len(received.posts) == len(received.mails) == 1


def test_a_run_that_will_be_retried_is_no_news(world: World, received: Received) -> None:
    world.run(fails=True)
    (run,) = world.instance.get_runs()
    world.instance.add_run_tags(run.run_id, {"dagster/will_retry": "true"})
    world.tick()
    assert texts(received) == []


def test_the_memory_holds_names_and_never_an_address_of_a_server(world: World, received: Received) -> None:
    world.run(fails=True)
    world.tick()
    assert set(json.loads(world.cursor or "")["told"]) == {"log", "webhook *", "webhook #toys", f"mail {OWNER}", "mail operator@toys.example"}


def test_a_job_that_makes_no_asset_is_told_and_over_once_it_succeeds(world: World) -> None:
    @dg.op
    def tidy_up() -> None:
        if world.fails:
            raise SourceError("2 tables were not kept in order.", next_step="Once the reason is mended: lakehouse maintain")

    @dg.job
    def upkeep() -> None:
        tidy_up()

    def run(*, fails: bool) -> None:
        world.fails = fails
        upkeep.execute_in_process(instance=world.instance, raise_on_error=False)

    def open_problems() -> str:
        return str(json.loads(world.cursor or "{}"))

    run(fails=True)
    world.tick()
    assert "run tidy_up" in open_problems()
    run(fails=False)
    world.tick()
    world.tick()
    assert "run tidy_up" not in open_problems()
