"""SCD 1 and 2 of change feeds: whatever order, batches and duplicates the changes come in, the tables hold what applying them in order gives."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakehouse.contracts.model import ChangeFeed, Column, Contract
from lakehouse.engine import metadata
from lakehouse.gold.progress import behind, notes, stale, taken_now
from lakehouse.gold.project import Model, Reach
from lakehouse.silver import build
from lakehouse.silver.keys import KeyCount, count_keys
from lakehouse.silver.parse import parse
from tests.spark.changes import Version, told
from tests.spark.conftest import Lake

FIRST = date(2026, 1, 10)
LEFT_OUT = "__debezium_unavailable_value"
FEED = ChangeFeed("columns", "op = 'd'", ("op", "at", "n"), ("seen",))


def feed(lake: Lake, scd: Any = 2, **changes: Any) -> Contract:
    """A change feed: key, operation, time and number of the change, two attributes and one that does not count."""
    columns = (
        Column("id", "string", "string", required=True),
        Column("op", "string", "string", required=True),
        Column("at", "timestamp", "timestamp", required=True),
        Column("n", "int", "integer", required=True),
        Column("name", "string", "string", required=True),
        Column("city", "string", "string"),
        Column("seen", "int", "integer"),
    )
    contract = lake.entities(columns=columns, sequence=("at", "n"), feed=FEED, scd=scd)
    return replace(contract, **changes)


def change(key: str | None, minute: int | None, name: str | None, city: str | None = None, n: int | None = 1, **more: Any) -> dict[str, Any]:
    """A change at a minute after 10 o'clock; no name: the key is gone."""
    at = None if minute is None else f"2026-01-10T10:{minute:02d}:00Z"
    told_ = {"id": key, "op": "d"} if name is None else {"id": key, "op": "u", "name": name, "city": city, "seen": len(str(minute))}
    return {**told_, "at": at, "n": n, **more}


def path(number: int) -> str:
    return f"dt={FIRST + timedelta(days=number % 3)}/f{number:03d}.json"


def check(lake: Lake, contract: Contract) -> None:
    """Hold Silver against the files; and, from the tables alone, that nothing overlaps or is missing."""
    expected = told(lake.landing / contract.name)
    if contract.scd == 1:
        rows = lake.rows(contract.silver, "id", "is_deleted", "name", "city")
        assert {r[0]: None if r[1] else r[2:] for r in rows} == expected.latest
        assert len(rows) == len(expected.latest)
        assert [r for r in rows if r[1] and r[2:] != (None, None)] == []
    else:
        rows = lake.rows(contract.silver, "id", "is_deleted", "name", "city", "valid_from", "valid_to", "n", "is_current", "change_seq")
        found = {Version(r[0], None if r[1] else (r[2], r[3]), utc(r[4]), utc(r[5]) if r[5] else None, r[6]) for r in rows}
        assert found == expected.versions
        assert len(rows) == len(expected.versions)
        assert {r[0] for r in rows if r[7]} == set(expected.latest)
        assert [r for r in rows if r[7] != (r[5] is None)] == []
        assert count_keys(lake.spark, contract, (), None) == KeyCount(0, 0)
    refused = lake.count(contract.quarantine)
    assert refused == expected.refused
    kept = len(rows) + sum(len(r[0]) for r in lake.rows(contract.silver, "_repeats") if r[0]) if contract.scd == 2 else len(rows)
    assert kept <= expected.records - refused


def utc(local: datetime) -> datetime:
    return local.astimezone(UTC)


def sync(lake: Lake, contract: Contract) -> None:
    _, built = lake.sync(contract)
    assert built.unbalanced == ()


Changes = list[tuple[str, int, int, str | None]]


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[list[dict[str, Any]]], set[int]]:
    """Changes of few keys at few places, so that they meet, in files that come in any order and batches; some come twice, some have no key or place."""
    place = st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 7), st.integers(1, 2))
    places = draw(st.lists(place, min_size=40, max_size=60, unique=True))
    changes = [change(k, m, draw(st.sampled_from(["A", "A", "B", None])), draw(st.sampled_from([None, "x"])), n) for k, m, n in places]
    changes += draw(st.lists(st.sampled_from(changes), max_size=8))
    changes += draw(st.lists(st.sampled_from([change(None, 1, "A"), change("a", None, "A"), change("a", 2, "B", n=None)]), max_size=1))
    shuffled = draw(st.permutations(changes))
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(shuffled) - 1)), max_size=3)))
    files = [shuffled[a:b] for a, b in zip([0, *cuts], [*cuts, len(shuffled)], strict=True)]
    return files, draw(st.sets(st.integers(0, len(files))))


@pytest.mark.timeout(1200)
@given(history=histories(), scd=st.sampled_from([2, 2, 1]))
@settings(max_examples=4, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_order_batches_and_duplicates_make_no_difference(lake: Lake, history: tuple[list[list[dict[str, Any]]], set[int]], scd: int) -> None:
    files, splits = history
    other = replace(lake, name=f"{lake.name}_{abs(hash(repr(history))):x}{scd}")
    contract = feed(other, scd)
    for number, records in enumerate(files):
        other.put(path(number), _distinct(records))
        if number in splits:
            sync(other, contract)
    sync(other, contract)
    check(other, contract)


def _distinct(records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """One file does not say two things of one place (which of them wins would hang on a hash); it may say one thing twice."""
    first: dict[Any, dict[str, Any]] = {}
    return [first.setdefault((r.get("id"), r["at"], r["n"]), r) for r in records]


@pytest.mark.timeout(1200)  # five increments and a rebuild, perhaps on a cold engine
def test_after_increments_and_a_restore_a_rebuild_gives_the_same_rows_repetitions_included(lake: Lake) -> None:
    contract, rng = feed(lake), random.Random(7)
    for number in range(3):
        made = (change(f"k{rng.randrange(4)}", rng.randrange(30), rng.choice(["A", "B", None]), rng.choice([None, "x"])) for _ in range(12))
        lake.put(path(number), _distinct(made))
        sync(lake, contract)
    check(lake, contract)
    lake.spark.sql(f"RESTORE {contract.silver.sql} TO VERSION AS OF {lake.version(contract.silver) - 1}").collect()
    sync(lake, contract)
    check(lake, contract)
    columns = [c for c in lake.spark.table(contract.silver.sql).columns if c not in ("_ingested_at", "_repeats")]

    def held() -> tuple[list[Any], list[Any]]:
        repeats = [(*row, [(r["n"], r["seen"]) for r in found or ()]) for *row, found in lake.rows(contract.silver, "id", "change_seq", "_repeats")]
        return lake.rows(contract.silver, *columns), repeats

    before = held()
    build.rebuild(lake.spark, contract, None, "test")
    assert held() == before


def test_a_to_b_to_a_are_three_versions_and_a_late_change_makes_a_repetition_count(lake: Lake) -> None:
    contract = feed(lake)
    lake.put(path(0), [change("k", 1, "A"), change("k", 9, "A"), change("k", 20, "B"), change("k", 30, "A")])
    sync(lake, contract)
    assert names(lake, contract) == [("A", 1), ("B", 20), ("A", 30)]
    lake.put(path(1), [change("k", 5, "B")])
    sync(lake, contract)
    assert names(lake, contract) == [("A", 1), ("B", 5), ("A", 9), ("B", 20), ("A", 30)]
    lake.put(path(2), [change("k", 3, "B"), change("k", 25, "A")])
    sync(lake, contract)
    assert names(lake, contract) == [("A", 1), ("B", 3), ("A", 9), ("B", 20), ("A", 25)]
    check(lake, contract)


def names(lake: Lake, contract: Contract) -> list[tuple[str | None, int]]:
    rows = lake.spark.table(contract.silver.sql).orderBy("change_seq").select("name", "valid_from").collect()
    return [(r[0], utc(r[1]).minute) for r in rows]


@pytest.mark.parametrize("scd", [1, 2])
def test_a_late_upsert_does_not_resurrect_and_a_late_delete_does_not_remove_a_newer_row(lake: Lake, scd: int) -> None:
    contract = feed(lake, scd)
    lake.put(path(0), [change("gone", 20, None), change("there", 20, "B")])
    sync(lake, contract)
    lake.put(path(1), [change("gone", 10, "A"), change("there", 10, None)])
    sync(lake, contract)
    check(lake, contract)
    current = lake.spark.table(contract.silver.sql).where("is_current" if scd == 2 else "true")
    assert {(r[0], r[1]) for r in current.select("id", "is_deleted").collect()} == {("gone", True), ("there", False)}


def test_an_increment_is_one_commit_with_one_current_row_of_each_key(lake: Lake) -> None:
    contract = feed(lake)
    lake.put(path(0), [change(f"k{n}", 1, "A") for n in range(3)])
    sync(lake, contract)
    before = lake.version(contract.silver)
    lake.put(path(1), [change("k0", 5, "B"), change("k1", 0, "C"), change("k2", 5, None), change("k3", 5, "A")])
    sync(lake, contract)
    assert lake.version(contract.silver) == before + 1
    per_key = lake.spark.table(contract.silver.sql).where("is_current").groupBy("id").count().collect()
    assert {(r[0], r[1]) for r in per_key} == {(f"k{n}", 1) for n in range(4)}


def test_a_change_in_order_leaves_the_files_of_history_alone(lake: Lake) -> None:
    contract = feed(lake)
    lake.put(path(0), [change("k", m, name) for m, name in ((1, "A"), (2, "B"), (3, "C"))])
    sync(lake, contract)
    old = history_files(contract)
    lake.put(path(1), [change("k", 9, "D"), change("new", 0, "A")])
    sync(lake, contract)
    assert old <= history_files(contract)
    check(lake, contract)


def history_files(contract: Contract) -> set[str]:
    table = metadata.open_table(contract.silver)
    assert table is not None
    return {f for f in table.file_uris() if "is_current=false" in f}


def test_a_delete_needs_only_its_key_and_its_place_and_a_row_needs_what_the_contract_says(lake: Lake) -> None:
    contract = feed(lake)
    lake.put(path(0), [{"id": "a", "op": "d", "at": "2026-01-10T10:00:00Z", "n": 1, "seen": "not a number"}, {**change("b", 1, "A"), "name": None}])
    sync(lake, contract)
    assert lake.rows(contract.silver, "id", "is_deleted") == [("a", True)]
    assert lake.rows(contract.quarantine, "_reasons") == [(["name_required"],)]


def test_masked_values_are_compared_as_they_are_kept(lake: Lake) -> None:
    contract = feed(lake)
    columns = tuple(replace(c, masking={"name": "redact", "city": "sha256"}.get(c.name)) for c in contract.columns)
    contract = replace(contract, columns=columns)
    lake.put(path(0), [change("k", 1, "Ada", "Köln")])
    sync(lake, contract)
    lake.put(path(1), [change("k", 2, "Eva", "Köln"), change("k", 3, "Eva", "Bonn")])
    sync(lake, contract)
    assert [n for n, _ in names(lake, contract)] == ["***", "***"]
    before = lake.rows(contract.silver, "city", "valid_from", "valid_to")
    build.rebuild(lake.spark, contract, None, "test")
    assert lake.rows(contract.silver, "city", "valid_from", "valid_to") == before


def test_a_mart_that_looks_at_history_is_stale_from_the_day_on_that_a_late_change_concerns(lake: Lake) -> None:
    contract = feed(lake)
    mart = Model(f"mart_{lake.name}", "gold", "incremental", "date_day", Reach(frozenset({contract.name})), "code")
    over_whole = replace(mart, reach=Reach(mart.sources, whole=mart.sources))  # the same, had it read the history's present through a dimension
    lake.put(path(0), [change("k", 1, "A", at="2026-01-10T12:00:00Z"), change("k", 1, "B", at="2026-01-20T12:00:00Z")])
    sync(lake, contract)
    days = lake.spark.sql("SELECT explode(sequence(date'2026-01-08', date'2026-01-24')) AS date_day, 1 AS n")
    contracts, engine = {contract.name: contract}, lambda: lake.spark
    note = notes([mart], "test", taken_now([mart]))[mart.name]
    days.where("date_day < '2026-01-10'").write.format("delta").partitionBy("date_day").saveAsTable(mart.table.sql)
    days.where("date_day >= '2026-01-10'").write.format("delta").mode("append").option("userMetadata", note).saveAsTable(mart.table.sql)
    assert not stale(mart, contracts, engine).moved
    build.rebuild(lake.spark, contract, None, "test")  # the same rows in other files
    found = stale(mart, contracts, engine)
    assert (found.current, found.moved, behind(mart)) == (True, True, True)
    assert found.noting().dates == {date(2026, 1, 24)}
    assert stale(over_whole, contracts, engine) == replace(found, model=over_whole)
    lake.put(
        path(1),
        [change("k", 1, "C", at="2026-01-18T12:00:00Z"), change("k", 1, "B", at="2026-01-22T12:00:00Z"), change("new", 1, "A", at="2026-01-21T00:00:00Z")],
    )
    sync(lake, contract)
    assert (found := stale(mart, contracts, engine)).dates == {date(2026, 1, d) for d in range(18, 25)}
    assert stale(over_whole, contracts, engine).dates is None
    note = notes([mart], "test", {mart.name: found.taken})[mart.name]
    days.where("date_day = '2026-01-24'").write.format("delta").mode("append").option("userMetadata", note).saveAsTable(mart.table.sql)
    assert not behind(mart)


def test_a_source_that_compares_by_itself_tells_the_operation_and_the_time_of_the_snapshot(lake: Lake) -> None:
    read_at = Column("read_at", "timestamp", "timestamp", required=True, source_field="_source_time")
    name = Column("name", "string", "string", required=True)
    columns = (Column("id", "string", "string", required=True), name, read_at)
    contract = lake.entities(columns=columns, sequence=("read_at",), feed=ChangeFeed("columns", None, ("read_at",)), scd=2)
    taken = datetime(2026, 1, 10, 10, 0, 0, 123456, UTC)
    rows = [('{"id": "a", "name": "A"}', "insert", "t", 1, taken, taken, FIRST), ('{"id": "b", "name": "B"}', "delete", "t", 1, taken, taken, FIRST)]
    types = "_payload string, _op string, _source string, _source_position bigint, _source_time timestamp, _ingested_at timestamp, _source_date date"
    read = parse(lake.spark.createDataFrame(rows, types), contract).select("id", "name", "is_deleted", "read_at", "_problems").orderBy("id").collect()
    assert [(*r[:3], utc(r[3]), r[4]) for r in read] == [("a", "A", False, taken, None), ("b", None, True, taken, None)]


def test_debezium_messages_are_applied_as_the_changes_they_tell(lake: Lake) -> None:
    columns = (
        Column("id", "bigint", "integer", required=True),
        Column("op", "string", "string"),
        Column("price", "decimal(20,4)", "number"),
        Column("tags", "array<string>", "array"),
        Column("sizes", "array<int>", "array"),
        Column("blob", "string", "string"),
        Column("uuids", "array<string>", "array"),
        Column("millis", "bigint", "integer", required=True, source_field="__source_ts_ms"),
        Column("lsn", "bigint", "integer", required=True, source_field="__source_lsn"),
        Column("at", "timestamp", "timestamp", required=True, expression="timestamp_millis(millis)"),
    )
    control = ("millis", "lsn", "at")
    contract = lake.entities(columns=columns, sequence=("at", "lsn"), feed=ChangeFeed("debezium", None, control), scd=2)

    def message(op: str, minute: int, lsn: int, before: Any = None, after: Any = None) -> dict[str, Any]:
        source = {"connector": "postgresql", "ts_ms": 1_768_039_200_000 + 60_000 * minute, "lsn": lsn}
        return {"before": before, "after": after, "source": source, "op": op, "ts_ms": 1}

    lines: list[Any] = [
        message("r", 0, 1, after={"id": 1, "op": "its own column", "price": 1}),
        message("u", 1, 2, before=None, after={"id": 1, "op": "its own column", "price": 1}),
        {"schema": {"type": "struct"}, "payload": message("u", 2, 3, after={"id": 1, "op": "x", "price": "PRICE"})},
        message("d", 3, 4, before={"id": 1, "op": None, "price": None}),  # the key became 2, in one transaction
        message("c", 3, 5, after={"id": 2, "op": "x", "price": None, "large": LEFT_OUT}),  # which no column reads
        message("t", 4, 6),
        message("u", 5, 7, before={"id": 2}),
        message("u", 6, 8, after={"id": 2, "op": LEFT_OUT}),
        message("u", 6, 8, after={"id": 2, "tags": [LEFT_OUT]}),
        message("u", 6, 8, after={"id": 2, "sizes": list(LEFT_OUT.encode())}),
        message("u", 6, 8, after={"id": 2, "blob": base64.b64encode(LEFT_OUT.encode()).decode()}),
        message("u", 6, 8, after={"id": 2, "uuids": ["b68a35a7-17ad-35b3-af2a-ae46edb4545a"]}),  # seen from Debezium 3.7
        {"id": 3, "op": "u"},
    ]
    lake.put(path(0), "\n".join(json.dumps(line).replace('"PRICE"', "1234567890123456.7891") for line in lines))
    sync(lake, contract)
    rows = (
        lake.spark.table(contract.silver.sql).orderBy("id", "change_seq").select("id", "op", "price", "is_deleted", "valid_from", "valid_to", "lsn").collect()
    )
    assert [(r[0], r[1], r[2], r[3], utc(r[4]).minute, utc(r[5]).minute if r[5] else None, r[6]) for r in rows] == [
        (1, "its own column", Decimal("1.0000"), False, 59, 2, 1),  # a snapshot's row is before all that the snapshot does not hold
        (1, "x", Decimal("1234567890123456.7891"), False, 2, 3, 3),
        (1, None, None, True, 3, None, 4),
        (2, "x", None, False, 3, None, 5),
    ]
    reasons = [r[0] for r in lake.rows(contract.quarantine, "_reasons")]
    assert sorted(map(repr, reasons)) == sorted(map(repr, [["unknown_operation"], ["unknown_operation"], ["unknown_operation"], *[["unavailable_value"]] * 5]))
