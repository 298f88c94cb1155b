"""Files that are snapshots of a table: whatever order, repetition and batches they come in, the tables hold what comparing them in order gives."""

from __future__ import annotations

import gzip
import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakehouse.bronze.ingest import Ingested, ingest, pending, rebuild
from lakehouse.contracts.model import ChangeFeed, Column, Contract, FileSource
from lakehouse.errors import SourceError, SourceShrank
from lakehouse.silver import build
from lakehouse.silver.keys import KeyCount, count_keys
from tests.spark.conftest import Lake
from tests.spark.snapshots import Row, expected

FIRST = datetime(2026, 1, 10, tzinfo=UTC)
COLUMNS = (
    Column("id", "string", "string", required=True),
    Column("name", "string", "string", required=True),
    Column("city", "string", "string"),
    Column("read_at", "timestamp", "timestamp", required=True, source_field="_source_time"),
)
FEED = ChangeFeed("columns", None, ("read_at",))


def compared(lake: Lake, scd: Any = 2, **source: Any) -> Contract:
    """Snapshots of key, name and city; a row without a name is refused."""
    files = FileSource(**{"path": lake.name, "format": "json", "lookback_days": 3650, "compared": True, "max_gone": 1.0, **source})
    return lake.entities(columns=COLUMNS, sequence=("read_at",) if scd == 2 else (), feed=FEED if scd == 2 else ChangeFeed(), scd=scd, source=files)


def row(key: str, name: str | None, city: str | None = None) -> dict[str, Any]:
    return {"id": key, "name": name, "city": city}


def day(number: int) -> datetime:
    return FIRST + timedelta(days=number)


def path(number: int, part: str = "a") -> str:
    return f"dt={day(number):%Y-%m-%d}/{part}.json"


def sync(lake: Lake, contract: Contract) -> Ingested:
    done, built = lake.sync(contract)
    assert built.unbalanced == ()
    return done


def check(lake: Lake, contract: Contract, snapshots: dict[datetime, list[Row]]) -> None:
    """Hold Silver, quarantine and Bronze against the snapshots."""
    told = expected(snapshots)
    differences = [(utc(t), op, json.loads(key)[0]) for t, op, key in lake.rows(contract.bronze, "_source_time", "_op", "_key")]
    assert sorted(differences) == sorted(told.differences)
    assert lake.count(contract.quarantine) == told.refused
    assert held(lake, contract) == lines(told.states, contract.scd)
    assert count_keys(lake.spark, contract, (), None) == KeyCount(0, 0)


def held(lake: Lake, contract: Contract) -> dict[str, list[Any]]:
    columns = ("id", "valid_from", "is_deleted", "name", "city") if contract.scd == 2 else ("id", "is_deleted", "name", "city")
    found: dict[str, list[Any]] = {}
    for key, *rest in lake.rows(contract.silver, *columns):
        state = None if rest[-3] else (rest[-2], rest[-1])
        found.setdefault(key, []).append((utc(rest[0]), state) if contract.scd == 2 else state)
    return {key: sorted(line, key=repr) for key, line in found.items()}


def lines(states: dict[str, list[tuple[datetime, Any]]], scd: int) -> dict[str, list[Any]]:
    return {key: sorted(line, key=repr) if scd == 2 else [line[-1][1]] for key, line in states.items()}


def utc(local: datetime) -> datetime:
    return local.astimezone(UTC)


ROWS = st.dictionaries(st.sampled_from("abcd"), st.tuples(st.sampled_from(["A", "A", "B", None]), st.sampled_from([None, "x"])), max_size=4)


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[int, dict[str, Any], bool, bool]]:
    """Snapshots of some days in any order of arrival, some given twice with other rows or the same: (day, rows, in two files, a sync follows)."""
    numbers = draw(st.permutations(range(draw(st.integers(4, 6)))))
    again = draw(st.lists(st.sampled_from(numbers), max_size=2))
    made = [(n, draw(ROWS), draw(st.booleans()), draw(st.booleans())) for n in [*numbers, *again]]
    repeated = draw(st.sampled_from(made))
    return [*made, *([repeated] if draw(st.booleans()) else [])]


@pytest.mark.timeout(1200)
@given(history=histories(), scd=st.sampled_from([2, 2, 1]))
@settings(max_examples=2, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_order_of_arrival_batches_and_repetition_make_no_difference(lake: Lake, history: list[tuple[int, dict[str, Any], bool, bool]], scd: int) -> None:
    other = replace(lake, name=f"{lake.name}_{abs(hash(repr(history))):x}{scd}")
    contract, snapshots = compared(other, scd), dict[datetime, list[Row]]()
    for step, (number, rows, apart, synced) in enumerate(history):
        records = [row("z", "always"), *(row(key, *said) for key, said in rows.items())]
        snapshots[day(number)] = records
        cut = len(records) // 2 if apart else len(records)
        for part, some in (("a", records[:cut]), ("b", records[cut:])):
            other.put(path(number, part), some, millis=1_770_000_000_000 + step)
        if synced:
            sync(other, contract)
    sync(other, contract)
    check(other, contract, snapshots)
    before = held(other, contract)
    build.rebuild(other.spark, contract, None, "test")
    assert held(other, contract) == before
    rebuild(other.spark, contract, [d.date() for d in snapshots], "test")
    build.increment(other.spark, contract, "test")
    check(other, contract, snapshots)


def test_a_row_that_is_gone_is_deleted_and_one_that_is_refused_is_not(lake: Lake) -> None:
    contract = compared(lake)
    snapshots = {
        day(0): [row("a", "A"), row("b", "B"), row("c", "C")],
        day(1): [row("a", "A"), row("b", None)],
        day(2): [row("a", "A2"), row("b", "B"), row("c", "C")],
    }
    for number in range(3):
        lake.put(path(number), snapshots[day(number)])
        sync(lake, contract)
        check(lake, contract, {d: rows for d, rows in snapshots.items() if d <= day(number)})
    assert held(lake, contract)["b"] == [(day(0), ("B", None))]
    assert held(lake, contract)["c"] == [(day(0), ("C", None)), (day(1), None), (day(2), ("C", None))]


def test_a_repeated_snapshot_writes_no_row_and_a_late_one_before_it_still_counts(lake: Lake) -> None:
    contract, same = compared(lake), [row("a", "A"), row("b", "B")]
    lake.put(path(0), same)
    sync(lake, contract)
    before = lake.rows(contract.bronze), lake.rows(contract.silver)
    lake.put(path(4), same)
    sync(lake, contract)
    assert (lake.rows(contract.bronze), lake.rows(contract.silver)) == before
    assert pending(contract, full=True).portions == ()
    lake.put(path(2), [row("a", "other"), row("b", "B")])
    sync(lake, contract)
    check(lake, contract, {day(0): same, day(2): [row("a", "other"), row("b", "B")], day(4): same})
    assert [s for _, s in held(lake, contract)["a"]] == [("A", None), ("other", None), ("A", None)]


def test_a_snapshot_in_order_only_adds_to_bronze(lake: Lake) -> None:
    contract = compared(lake)
    lake.put(path(0), [row("a", "A")])
    sync(lake, contract)
    files = set(lake.spark.table(contract.bronze.sql).inputFiles())
    lake.put(path(1), [row("a", "B")])
    sync(lake, contract)
    assert files < set(lake.spark.table(contract.bronze.sql).inputFiles())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it has no record"),
        ('{"id": "a", "name": "A"}\n', "it lacks 3 of the 4 keys"),
        ('{"id": "a", "name": "A"}\n{"id": "b", "name": "A"}\n{"id": "c", "na', "1 of its records can't be read"),
        ('{"id": "a", "name": "A"}\n{"id": "b", "name": "A"}\n{"name": "C"}\n', None),  # a record without a key is no other's
    ],
)
def test_a_snapshot_that_would_delete_what_may_be_there_is_not_taken_until_it_is_asked_for(lake: Lake, text: str, why: str | None) -> None:
    contract = compared(lake, max_gone=0.5)
    whole = [row(key, "A") for key in "abcd"]
    lake.put(path(0), whole)
    sync(lake, contract)
    lake.put(path(1), text)
    lake.put(path(2), [*whole, row("e", "E")])
    done = sync(lake, contract)
    if why is None:
        assert done.unreadable == ()
        return
    (refused,) = done.unreadable
    assert refused.path == path(1)
    assert why in refused.why
    assert f"lakehouse sync {contract.name} --force" in refused.why
    assert {key: len(line) for key, line in held(lake, contract).items()} == dict.fromkeys("abcde", 1)  # the day after was compared without it
    with pytest.raises(SourceError, match="is not taken"):
        rebuild(lake.spark, contract, [day(1).date()], "test")
    assert ingest(lake.spark, contract, "test", force=True).unreadable == ()
    build.increment(lake.spark, contract, "test")
    gone = {key for key, line in held(lake, contract).items() if (day(1), None) in line}
    assert gone == set("abcd") - {key for key in "abc" if f'"{key}"' in text and "}" in text.split(f'"{key}"')[1]}
    # It was accepted: nobody is asked again for the very same files.
    assert rebuild(lake.spark, contract, [day(1).date()], "test").unreadable == ()


def test_a_damaged_file_keeps_its_whole_snapshot_out_and_no_other(lake: Lake) -> None:
    contract = compared(lake)
    lake.put("dt=2026-01-10/a.json.gz", gzip.compress(b'{"id": "a", "name": "A"}\n'))
    lake.put("dt=2026-01-11/a.json.gz", gzip.compress(b'{"id": "b", "name": "B"}\n' * 5000)[:-20])
    lake.put("dt=2026-01-11/b.json.gz", gzip.compress(b'{"id": "c", "name": "C"}\n'))
    lake.put("dt=2026-01-12/a.json.gz", gzip.compress(b'{"id": "d", "name": "D"}\n'))
    done = sync(lake, contract)
    assert [u.path for u in done.unreadable] == ["dt=2026-01-11/a.json.gz"]
    check(lake, contract, {day(0): [row("a", "A")], day(2): [row("d", "D")]})


def test_a_snapshot_of_several_files_waits_until_it_is_complete(lake: Lake) -> None:
    contract = compared(lake, complete="_SUCCESS")
    lake.put(path(0), [row("a", "A")])
    assert pending(contract).portions == ()
    lake.put(path(0, "b"), [row("b", "B")])
    lake.put("dt=2026-01-10/_SUCCESS", "")
    lake.put(path(1), [row("a", "A")])
    assert sync(lake, contract).passed_over == ()
    check(lake, contract, {day(0): [row("a", "A"), row("b", "B")]})
    lake.put(path(2), [row("a", "A2"), row("b", "B")])
    lake.put("dt=2026-01-12/_SUCCESS", "")
    assert "waits for _SUCCESS" in sync(lake, contract).passed_over[0]
    check(lake, contract, {day(0): [row("a", "A"), row("b", "B")], day(2): [row("a", "A2"), row("b", "B")]})


def test_snapshots_of_one_day_have_a_time_in_their_paths(lake: Lake) -> None:
    contract = compared(lake, date_pattern=r"(\d{4}-\d{2}-\d{2})T", time_pattern=r"T(\d{2})(\d{2})")
    lake.put("list_2026-01-10T1800.json", [row("a", "B")])
    lake.put("list_2026-01-10T0600.json", [row("a", "A")])
    lake.put("list_2026-01-10Tnoon.json", [row("a", "C")])
    assert "no moment" in sync(lake, contract).passed_over[0]
    check(lake, contract, {FIRST + timedelta(hours=6): [row("a", "A")], FIRST + timedelta(hours=18): [row("a", "B")]})


def test_what_vanishes_from_the_source_changes_nothing_and_a_rebuild_gives_its_day_up_only_by_force(lake: Lake) -> None:
    contract = compared(lake)
    snapshots = {day(n): [row("a", f"A{n}"), row("b", "B")] for n in range(3)}
    for number in range(3):
        lake.put(path(number), snapshots[day(number)])
    extra = lake.put(path(1, "b"), [row("c", "C")])
    sync(lake, contract)
    extra.unlink()  # of two files one is gone: the snapshot stays as it was
    assert sync(lake, contract).vanished == ("dt=2026-01-11/*",)
    (lake.landing / lake.name / path(1)).unlink()
    assert sync(lake, contract).vanished == ("dt=2026-01-11/*",)
    check(lake, contract, {**snapshots, day(1): [*snapshots[day(1)], row("c", "C")]})
    with pytest.raises(SourceShrank):
        rebuild(lake.spark, contract, [day(1).date()], "test")
    rebuild(lake.spark, contract, [day(1).date()], "test", force=True)
    build.increment(lake.spark, contract, "test")
    check(lake, contract, {d: rows for d, rows in snapshots.items() if d != day(1)})


def test_after_a_restore_or_a_foreign_commit_the_same_snapshots_give_the_same(lake: Lake) -> None:
    contract = compared(lake)
    snapshots = {day(n): [row("a", "AB"[n % 2]), *([row("b", "B")] if n != 1 else [])] for n in range(3)}
    for number in range(3):
        lake.put(path(number), snapshots[day(number)])
        sync(lake, contract)
    lake.spark.sql(f"RESTORE {contract.bronze.sql} TO VERSION AS OF 1").collect()
    sync(lake, contract)
    check(lake, contract, snapshots)
    lake.spark.table(contract.bronze.sql).limit(0).write.format("delta").mode("append").saveAsTable(contract.bronze.sql)
    sync(lake, contract)
    check(lake, contract, snapshots)


def test_csv_is_compared_by_record_and_header(lake: Lake) -> None:
    columns = (Column("id", "bigint", "integer", required=True), *COLUMNS[1:])
    contract = replace(compared(lake, format="csv"), columns=columns)
    lake.put("dt=2026-01-10/a.csv", 'id,name,city\n1,"A, B",x\n2,B,y\n')
    lake.put("dt=2026-01-11/a.csv", 'id,city,name\n 01,x,"A, B"\n2,B,y\n')
    sync(lake, contract)
    assert held(lake, contract) == {1: [(day(0), ("A, B", "x"))], 2: [(day(0), ("B", "y")), (day(1), ("y", "B"))]}
    lake.put("dt=2026-01-12/a.csv", "name,city\nA,x\n")
    assert "have no field of the key" in sync(lake, contract).unreadable[0].why


def test_parquet_is_compared_by_its_columns_and_may_gain_some(lake: Lake) -> None:
    contract = compared(lake, format="parquet")
    moment = datetime(2026, 1, 1, 12, 0, 0, 1, UTC)
    seen = pa.array([moment, moment], pa.timestamp("us", "UTC"))
    first = pa.table({"id": ["a", "b"], "name": ["A", "B"], "seen": seen})
    later = pa.array([moment, moment + timedelta(microseconds=1)], pa.timestamp("us", "UTC"))
    lake.put("dt=2026-01-10/a.parquet", _parquet(first))
    sync(lake, contract)
    lake.put("dt=2026-01-11/a.parquet", _parquet(first.append_column("city", pa.array([None, None], pa.string()))))
    sync(lake, contract)
    assert lake.count(contract.bronze) == 2
    lake.put("dt=2026-01-12/a.parquet", _parquet(pa.table({"id": ["a", "b"], "name": ["A", "B"], "seen": later, "city": ["x", None]})))
    lake.put("dt=2026-01-13/a.parquet", _parquet(pa.table({"id": ["a"], "name": ["A"], "seen": later[:1], "city": ["x"]})))
    sync(lake, contract)
    assert lake.rows(contract.bronze, "_op", "id") == [("delete", "b"), ("insert", "a"), ("insert", "b"), ("update", "a"), ("update", "b")]
    assert held(lake, contract) == {"a": [(day(0), ("A", None)), (day(2), ("A", "x"))], "b": [(day(0), ("B", None)), (day(3), None)]}
    lake.put("dt=2026-01-14/a.parquet", _parquet(pa.table({"id": ["a"], "name": ["A"], "seen": later[:1], "city": ["x"], "_note": ["new"]})))
    sync(lake, contract)
    assert ("update", "new") in lake.rows(contract.bronze, "_op", "_note")


def _parquet(table: pa.Table) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file)
    return file.getvalue()
