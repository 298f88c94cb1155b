"""Which days a backfill takes: missing, failed or stale ones, on a real Dagster instance and real Delta tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, write_deltalake

from lakehouse.cli.lake import Lake
from lakehouse.cli.selection import choose
from lakehouse.cli.undone import Lookout, Only, Todo
from lakehouse.contracts.loader import load_contracts
from lakehouse.engine.metadata import Note
from lakehouse.engine.outdated import outdated
from lakehouse.gold.project import Model, Reach
from lakehouse.settings import PROJECT, settings
from lakehouse.tables import Table

DAYS = dg.DailyPartitionsDefinition("2026-11-01", end_offset=1)
SILVER, GOLD = Table("silver", "sensor_reading"), Table("gold", "fct")
SPAN = [f"2026-11-0{n}" for n in range(1, 7)]
MART = Model("fct", "gold", "incremental", "date_day", Reach(frozenset({"sensor_reading"}), 1, 0), "new")


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path))
    settings.cache_clear()
    contract = load_contracts(PROJECT / "contracts")["sensor_reading"]
    yield Lake({"sensor_reading": replace(contract, version="2.0.0")}, (MART,))
    settings.cache_clear()


def write(table: Table, days: dict[int, int], version: str, column: str = "event_date", *, where: str | None = None, **note: Any) -> None:
    """One commit with so many rows of these days of November, under a contract's version."""
    rows = [date(2026, 11, day) for day, count in days.items() for _ in range(count)]
    data = pa.table({column: pa.array(rows, pa.date32()), "n": list(range(len(rows)))})
    text = Note("run", version, -1, **note).to_json()
    options: dict[str, Any] = {"mode": "overwrite", "predicate": where} if where else {"mode": "append"}
    commit = CommitProperties(custom_metadata={"userMetadata": text})
    write_deltalake(table.location(settings().warehouse), data, partition_by=[column], commit_properties=commit, **options)


class World:
    """silver (with its quarantine in one step) → gold, by day, whose steps fail when told to."""

    def __init__(self, instance: dg.DagsterInstance, lake: Lake) -> None:
        self.instance, self.lake, self.fails = instance, lake, False
        specs = [dg.AssetSpec([layer, "sensor_reading"], partitions_def=DAYS) for layer in ("silver", "quarantine")]

        @dg.multi_asset(specs=specs, backfill_policy=dg.BackfillPolicy.single_run())
        def silver() -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
            if self.fails:
                raise ValueError("no")
            yield from (dg.MaterializeResult(asset_key=s.key) for s in specs)

        @dg.asset(key=["gold", "fct"], deps=[specs[0].key], partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
        def gold() -> dg.MaterializeResult:  # type: ignore[type-arg]
            return dg.MaterializeResult()

        self.definitions = dg.Definitions(assets=[silver, gold])

    def run(self, first: int, last: int, *, fails: bool = False) -> None:
        self.fails = fails
        tags = {"dagster/asset_partition_range_start": f"2026-11-0{first}", "dagster/asset_partition_range_end": f"2026-11-0{last}"}
        self.definitions.resolve_implicit_global_asset_job_def().execute_in_process(instance=self.instance, tags=tags, raise_on_error=False)

    def undone(self, only: Only) -> dict[str, set[str]]:
        graph = self.definitions.resolve_asset_graph()
        found = Lookout(self.instance, graph, self.lake, pytest.fail).undone(choose(graph, "*"), SPAN, only)
        return {key.to_user_string(): {d[-1] for d in days} for key, days in found.by_day.items()}


@pytest.fixture
def world(lake: Lake) -> Iterator[World]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield World(instance, lake)


def test_missing_days_are_those_that_were_never_built_and_those_whose_rows_are_gone(world: World) -> None:
    world.run(1, 3)
    write(Table("bronze", "sensor_reading"), {1: 5, 2: 5, 3: 5}, "2.0.0", "_source_date")
    write(SILVER, {1: 5, 2: 5}, "2.0.0")
    write(GOLD, {1: 1, 2: 1}, "new", "date_day")
    assert world.undone(Only.missing) == {
        "silver/sensor_reading": {"3", "4", "5", "6"},
        "quarantine/sensor_reading": {"3", "4", "5", "6"},
        "gold/fct": {"4", "5", "6"},
    }


def test_failed_days_are_those_whose_last_attempt_failed(world: World) -> None:
    world.run(1, 2)
    world.run(2, 4, fails=True)
    world.run(3, 3)
    assert {key: days for key, days in world.undone(Only.failed).items()} == {
        "silver/sensor_reading": {"2", "4"},
        "quarantine/sensor_reading": {"2", "4"},
        "gold/fct": {"2", "4"},
    }


def test_stale_days_are_those_of_an_older_contract_and_those_that_a_mart_has_not_followed(world: World) -> None:
    write(SILVER, {1: 5, 2: 5, 3: 5}, "1.0.0")
    write(SILVER, {2: 1, 4: 1}, "2.0.0")
    write(SILVER, {3: 5}, "2.0.0", where="event_date = '2026-11-03'")
    silver = DeltaTable(SILVER.location(settings().warehouse))
    consumed = {str(SILVER): (str(silver.metadata().id), silver.version())}
    write(GOLD, {1: 1, 2: 1, 3: 1, 4: 1}, "new", "date_day", consumed=consumed)
    # An increment under the new version leaves day 2's older rows; day 4 is new, day 3 was replaced.
    assert world.undone(Only.stale) == {"silver/sensor_reading": {"1", "2"}, "quarantine/sensor_reading": {"1", "2"}}
    write(SILVER, {5: 1}, "2.0.0")
    assert world.undone(Only.stale)["gold/fct"] == {"5", "6"}


def test_a_mart_whose_sql_is_newer_is_outdated_until_each_day_is_replaced(lake: Lake) -> None:
    write(GOLD, {1: 1, 2: 1}, "old", "date_day")
    assert outdated(GOLD, "date_day", "old") == frozenset()
    write(GOLD, {2: 1, 3: 1}, "new", "date_day", where="date_day in ('2026-11-02', '2026-11-03')")
    assert outdated(GOLD, "date_day", "new") == {date(2026, 11, 1)}
    assert outdated(GOLD, "date_day", "newest") == {date(2026, 11, d) for d in (1, 2, 3)}
    DeltaTable(GOLD.location(settings().warehouse)).restore(0)
    assert outdated(GOLD, "date_day", "new") == {date(2026, 11, 1), date(2026, 11, 2)}


def test_a_backfill_in_parts_covers_every_day_once_and_what_is_whole_with_the_first() -> None:
    a, b, whole = dg.AssetKey("a"), dg.AssetKey("b"), dg.AssetKey("whole")
    todo = Todo({a: frozenset(SPAN), b: frozenset(SPAN[3:5])}, (whole,))
    parts = todo.portions(2)
    assert [p.days for p in parts] == [SPAN[0:2], SPAN[2:4], SPAN[4:6]]
    assert [p.whole for p in parts] == [(whole,), (), ()]
    for key in (a, b):
        assert sorted(d for p in parts for d in p.by_day.get(key, ())) == sorted(todo.by_day[key])
    assert todo.portions(None) == [todo]
