"""The sensors that look at sources: one run for whatever is new, the same key for the same work, and a broken source that holds up no other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from lakehouse.automation import full_look, run_tags, source_sensors
from lakehouse.bronze.ingest import pending
from lakehouse.cli.lake import Lake
from lakehouse.cli.sync import conclude, follow
from lakehouse.contracts.loader import load_contracts
from lakehouse.contracts.model import Contract, KafkaSource
from lakehouse.gold.project import Model, Reach
from lakehouse.pauses import FAILURES, SECONDS, Pauses
from lakehouse.pending import Due, due
from lakehouse.runs import FULL, INCREMENTAL, MODE
from lakehouse.settings import PROJECT, settings


@pytest.fixture
def contracts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Contract]]:
    """Two contracts: the folder of one is there."""
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path))
    settings.cache_clear()
    found = {name: c for name, c in load_contracts(PROJECT / "contracts").items() if name in ("product", "machine")}
    (tmp_path / "landing" / found["product"].source.path).mkdir(parents=True)  # type: ignore[union-attr]
    yield found
    settings.cache_clear()


def put(contract: Contract, name: str = "a") -> None:
    folder = Path(settings().landing) / contract.source.path / "dt=2026-11-20"  # type: ignore[union-attr]
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.jsonl").write_text("{}\n")


def tick(contracts: dict[str, Contract], instance: dg.DagsterInstance, cursor: str | None = None) -> dg.SensorResult:
    (sensor,) = source_sensors(contracts, ())
    result = sensor(dg.build_sensor_context(instance, cursor=cursor))
    assert isinstance(result, dg.SensorResult)
    return result


def test_a_source_that_is_broken_is_told_and_does_not_hold_up_the_others(contracts: dict[str, Contract]) -> None:
    put(contracts["product"])
    with dg.DagsterInstance.ephemeral() as instance:
        result = tick(contracts, instance)
    (request,) = result.run_requests or ()
    assert request.tags[MODE] == INCREMENTAL and request.tags["lakehouse/tables"] == "product"
    assert {tuple(key.path) for key in request.asset_selection or ()} == {(layer, "product") for layer in ("bronze", "silver", "quarantine")}
    assert "machine" in json.loads(result.cursor or "")["broken"]


def test_every_night_a_run_takes_what_came_for_days_before_the_look_back(contracts: dict[str, Contract], monkeypatch: pytest.MonkeyPatch) -> None:
    schedule = full_look({"product": contracts["product"]}, ())
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    with dg.DagsterInstance.local_temp() as instance, dg.build_schedule_context(instance) as context:
        assert isinstance(schedule(context), dg.SkipReason)
    put(contracts["product"])
    looked = []
    monkeypatch.setattr("lakehouse.pending.pending", lambda contract, **how: looked.append(how) or pending(contract, **how))  # type: ignore[func-returns-value]
    with dg.DagsterInstance.local_temp() as instance, dg.build_schedule_context(instance) as context:
        request = schedule(context)
    assert isinstance(request, dg.RunRequest)
    assert looked == [{"full": True, "force": False}]
    assert (request.tags[MODE], request.tags[FULL], request.tags["lakehouse/tables"]) == (INCREMENTAL, "true", "product")


def test_the_same_work_has_the_same_key_and_more_work_another(contracts: dict[str, Contract]) -> None:
    put(contracts["product"])
    with dg.DagsterInstance.ephemeral() as instance:
        keys = [tick(contracts, instance).run_requests[0].run_key.split("/")[0] for _ in range(2)]  # type: ignore[index,union-attr]
        put(contracts["product"], "b")
        other = tick(contracts, instance).run_requests[0].run_key.split("/")[0]  # type: ignore[index,union-attr]
    assert keys[0] == keys[1] != other


def test_a_source_that_stays_broken_is_paused_and_the_reason_is_seen(contracts: dict[str, Contract]) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        cursor = None
        for _ in range(FAILURES):
            result = tick(contracts, instance, cursor)
            cursor = result.cursor
        assert "machine (paused until" in str(result.skip_reason) and "There is no folder" in str(result.skip_reason)
        (Path(settings().landing) / contracts["machine"].source.path).mkdir(parents=True)  # type: ignore[union-attr]
        assert "paused" in str(tick(contracts, instance, cursor).skip_reason)  # mended, and not looked at yet
        for later in (-SECONDS, SECONDS + 1):  # it is over; or the clock was set back meanwhile
            entry = json.loads(cursor or "")
            entry["broken"]["machine"]["until"] += later
            assert "paused" not in str(tick(contracts, instance, json.dumps(entry)).skip_reason)


def test_no_run_is_asked_for_while_one_of_the_same_sensor_or_the_same_tables_is_going(contracts: dict[str, Contract]) -> None:
    put(contracts["product"])
    (sensor,) = source_sensors(contracts, ())
    with dg.DagsterInstance.ephemeral() as instance:
        others, own, by_hand = {"dagster/sensor_name": "new_records"}, {"dagster/sensor_name": sensor.name}, {"lakehouse/tables": "machine"}
        for tags, held_up in ((others, False), (by_hand, True), (own, True)):
            run = dg.DagsterRun(job_name="j", tags={MODE: INCREMENTAL, **tags}, status=dg.DagsterRunStatus.STARTED)
            instance.add_run(run)
            assert isinstance(sensor(dg.build_sensor_context(instance)), dg.SkipReason) == held_up


def test_a_mart_over_silver_that_failed_a_blocking_check_waits_until_the_check_passes(
    contracts: dict[str, Contract], capsys: pytest.CaptureFixture[str]
) -> None:
    product, mart = contracts["product"], Model("sales", "gold", "table", None, Reach(frozenset({"product"})), "code")
    write_deltalake(product.silver.location(settings().warehouse), pa.table({"a": [1]}))
    (sensor,) = source_sensors({"product": product}, (mart,))
    with dg.DagsterInstance.local_temp() as instance:

        def asked(name: str, passed: bool, severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR) -> list[str] | str:
            """What the sensor asks for after this result of a check, or why it asks for nothing."""
            key = dg.AssetKey(product.silver.key)
            said = dg.AssetCheckEvaluation(asset_key=key, check_name=name, passed=passed, severity=severity, description="2 records are lost.")
            instance.report_runless_asset_event(said)
            result = sensor(dg.build_sensor_context(instance))
            assert isinstance(result, dg.SensorResult)
            return (
                [key.path[-1] for r in result.run_requests for key in r.asset_selection or ()]
                if result.run_requests
                else str(result.skip_reason and result.skip_reason.skip_message)
            )

        told = "silver.product: its check conservation failed. 2 records are lost. Until it passes, not built: sales."
        assert asked("source_fields", False) == ["sales"]  # it blocks only where the contract is strict
        assert asked("volume", False, dg.AssetCheckSeverity.WARN) == ["sales"]
        assert asked("conservation", False) == told
        lake, ready = Lake({"product": product}, (mart,)), SimpleNamespace(instance=instance)
        passed = follow(ready, lake, due(lake.contracts.values(), lake.marts))  # type: ignore[arg-type]
        assert (conclude(passed, lambda: 0.0), passed.runs) == (1, [])  # type: ignore[arg-type]
        assert "When it is mended: lakehouse materialize silver/product" in capsys.readouterr().err
        with dg.build_schedule_context(instance) as context:
            assert "not built: sales" in str(full_look({"product": product}, (mart,))(context))
        assert asked("conservation", True) == ["sales"]
        asked("conservation", False)
        put(product)
        assert asked("keys", True) == ["product", "product", "product", "sales"]  # this run judges the table again before it builds the mart


@pytest.mark.parametrize(
    ("ages", "asked"),
    [
        ((), (0, 0)),
        ((3,), (3, 3)),
        ((0, 1, 2), (2, 0)),
        ((0, 3), (3, 0)),
        ((0, 4), (0, 0)),
        ((1, 1_000), (1, 1)),
        ((0, 1, 1_000), (0, 0)),
        ((5_000, 7), (7, 7)),
    ],
)
def test_days_of_which_there_is_nothing_new_are_not_asked_for(contracts: dict[str, Contract], ages: tuple[int, ...], asked: tuple[int, int]) -> None:
    today, begun = datetime.now(UTC).date(), {name: replace(c, start=date(2020, 1, 1)) for name, c in contracts.items()}
    tags = run_tags(Due(("product",), (), tuple(today - timedelta(days=n) for n in sorted(ages, reverse=True)), ""), begun)
    found = [date.fromisoformat(tags[f"dagster/asset_partition_range_{end}"]) for end in ("start", "end")]
    assert tuple((today - day).days for day in found) == asked


def test_each_kind_of_source_has_its_sensor(contracts: dict[str, Contract]) -> None:
    stream = replace(contracts["machine"], source=KafkaSource("services", topic="machines"))
    assert [s.name for s in source_sensors({"product": contracts["product"], "machine": stream}, ())] == ["new_files", "new_records"]


@pytest.mark.parametrize("cursor", [None, "", "123abc", "[]", '{"broken": {"a": 1}}', '{"broken": {"a": {"x": 1}}}'])
def test_a_cursor_that_says_something_else_is_an_empty_one(cursor: str | None) -> None:
    assert Pauses.parse(cursor) == Pauses()
