"""A table after a month of small increments is brought back to few files; nobody who reads it sees a difference."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, write_deltalake
from pyspark.sql import SparkSession

from lakehouse.contracts.model import Upkeep
from lakehouse.engine import metadata
from lakehouse.engine.metadata import Note
from lakehouse.maintenance.plan import Kept, plan
from lakehouse.maintenance.work import Gained, carry_out, tidy
from lakehouse.settings import settings
from lakehouse.tables import Table
from tests.spark.conftest import Lake

TODAY = datetime.now(UTC).date()


def increments(lake: Lake, days: int, a_day: int) -> Table:
    """A table that got so many commits of one file on each of these days, the last being today. (By delta-rs, which takes milliseconds for each.)"""
    table = Table("silver", lake.name)
    location = table.location(settings().warehouse)
    for n in range(days * a_day):
        day = TODAY - timedelta(days=days - 1 - n // a_day)
        rows = pa.table({"day": pa.array([day] * 20, pa.date32()), "n": list(range(n, n + 20)), "v": [n % 7] * 20})
        note = Note("run", "1.0.0", n - 1, {"bronze.x": ("id", n)}).to_json()
        write_deltalake(location, rows, mode="append", partition_by=["day"], commit_properties=CommitProperties(custom_metadata={"userMetadata": note}))
    lake.spark.sql("CREATE SCHEMA IF NOT EXISTS silver").collect()
    lake.spark.sql(f"CREATE TABLE {table.sql} USING delta LOCATION '{location}'").collect()
    return table


def files(table: Table) -> Counter[str]:
    found = DeltaTable(table.location(settings().warehouse)).file_uris()
    return Counter(f.rsplit("day=", 1)[1].split("/")[0] for f in found)


def rows(spark: SparkSession, table: Table, version: int | None = None) -> list[Any]:
    at = f" VERSION AS OF {version}" if version is not None else ""
    return spark.sql(f"SELECT day, count(*), sum(n), sum(v * n) FROM {table.sql}{at} GROUP BY day ORDER BY day").collect()


def kept_in_order(spark: SparkSession, table: Table, policy: Upkeep) -> Gained | None:
    found = plan(Kept(table, policy), datetime.now(UTC))
    assert found is not None
    return None if found.nothing else carry_out(spark, found)


def test_a_month_of_small_increments_gets_back_to_few_files_and_reads_as_before(lake: Lake) -> None:
    policy, table = Upkeep(compact_files=3), increments(lake, days=30, a_day=3)
    before, written = rows(lake.spark, table), metadata.state(table)
    assert written is not None and len(before) == 30
    gained = kept_in_order(lake.spark, table, policy)
    assert gained is not None
    assert (gained.compacted.count, gained.into.count, gained.removed.count) == (29 * 3, 29, 0)
    assert files(table) == {str(TODAY - timedelta(days=n)): 1 if n else 3 for n in range(30)}  # today is its writer's
    assert kept_in_order(lake.spark, table, policy) is None
    assert rows(lake.spark, table) == before
    assert rows(lake.spark, table, written.version) == before  # a reader that began before

    removed = kept_in_order(lake.spark, table, replace(policy, keep_days=0))
    assert removed is not None and removed.removed.count == 29 * 3 and removed.removed.bytes > 0
    assert rows(lake.spark, table) == before
    assert kept_in_order(lake.spark, table, replace(policy, keep_days=0)) is None
    after = metadata.state(table)
    assert after is not None and (after.note, after.data) == (written.note, written.data)


def test_the_writer_itself_tidies_the_day_that_it_writes_to(lake: Lake) -> None:
    table, said = increments(lake, days=2, a_day=10), list[str]()
    before = rows(lake.spark, table)
    tidy(lake.spark, table, Upkeep(compact_files=2), {TODAY}, said.append)
    assert said == []
    tidy(lake.spark, table, Upkeep(compact_files=1), {TODAY}, said.append)
    assert said == [f"{table}: 10 files made into 1"]
    assert files(table) == {str(TODAY): 1, str(TODAY - timedelta(days=1)): 10}
    assert rows(lake.spark, table) == before


def test_an_order_puts_rows_that_are_asked_for_together_into_few_files(lake: Lake) -> None:
    table, day = increments(lake, days=2, a_day=4), TODAY - timedelta(days=1)
    for n in range(4):
        mixed = list(range(n, 20_000, 4))
        rows_ = pa.table({"day": pa.array([day] * 5000, pa.date32()), "n": mixed, "v": mixed})
        write_deltalake(table.location(settings().warehouse), rows_, mode="append", partition_by=["day"])
    kept = Kept(table, Upkeep(compact_files=100, target_bytes=20_000, order_by=("n",)))
    found = plan(kept, datetime.now(UTC))
    assert found is not None and found.partitions == (day,)
    carry_out(lake.spark, found)
    ranges = spans(table, day)
    assert len(ranges) >= 8 and all(high < low for (_, high), (low, _) in zip(ranges, ranges[2:], strict=False))  # only neighbours share values
    again = plan(kept, datetime.now(UTC))
    assert again is not None and again.partitions == ()


def spans(table: Table, day: date) -> list[tuple[int, int]]:
    actions = pa.table(DeltaTable(table.location(settings().warehouse)).get_add_actions(flatten=True))
    found = zip(actions["partition.day"].to_pylist(), actions["min.n"].to_pylist(), actions["max.n"].to_pylist(), strict=True)
    return sorted((low, high) for d, low, high in found if d == day)
