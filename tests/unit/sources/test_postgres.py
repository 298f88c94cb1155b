"""What is asked of PostgreSQL, as SQL: values as texts, places in the cursor's own type, ranges that meet."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from lakehouse.contracts.model import Column, Contract, PostgresSource
from lakehouse.errors import SourceError
from lakehouse.sources.postgres import cursor, rows, snapshot
from lakehouse.sources.postgres.cursor import Cursor, CursorPortion
from lakehouse.sources.postgres.database import Field, Relation, quoted, text

SOURCE = PostgresSource("db", 5432, "shop", "public", "orders", cursor="at", max_records=100, parallel=3)
COLUMNS = (Column("id", "int", "integer", required=True), Column("at", "timestamp", "timestamp", timezone="Europe/Berlin"))
CONTRACT = Contract("orders", "1.0.0", "sales", "entity", COLUMNS, ("id",), SOURCE, date(2026, 1, 1), Path("orders.odcs.yaml"))
TABLE = Relation(1, '"public"."orders"', (Field("id", "int4", None), Field("at", "timestamp", None)), True, 10_000, 1000)
NOON = int(datetime(2026, 7, 1, 12, tzinfo=UTC).timestamp() * 1_000_000)


def test_names_and_texts_are_quoted() -> None:
    assert (quoted('a"b'), text("it's")) == ('"a""b"', "'it''s'")


def test_values_whose_json_would_lose_something_are_texts() -> None:
    fields = [Field("n", "numeric", None), Field("j", "json", None), Field("ns", "_numeric", "numeric"), Field("m", "money", None), Field("t", "text", None)]
    said = rows.payload(fields)
    for part in ('t."n"::text AS "n"', 't."j"::text AS "j"', 't."ns"::text[] AS "ns"', 't."m"::numeric::text AS "m"', 't."t")'):
        assert part in said


@pytest.mark.parametrize(
    ("type_", "zone", "literal"),
    [
        ("timestamptz", None, "timestamptz '2026-07-01T12:00:00+00:00'"),
        ("timestamp", "Europe/Berlin", "(timestamptz '2026-07-01T12:00:00+00:00' AT TIME ZONE 'Europe/Berlin')"),
        ("date", None, "date '2026-07-01'"),
        ("int8", None, str(NOON)),
    ],
)
def test_a_place_is_written_in_the_cursors_own_type(type_: str, zone: str | None, literal: str) -> None:
    assert Cursor("at", type_, zone).literal(NOON) == literal


def test_the_window_is_longer_where_clocks_jump_and_whole_days_where_there_are_only_days() -> None:
    second = 1_000_000
    assert Cursor("at", "timestamptz").below(NOON, 600) == NOON - 600 * second
    assert Cursor("at", "timestamp", "Europe/Berlin").below(NOON, 600) == NOON - (600 + 3600) * second
    assert Cursor("at", "timestamp", "UTC").below(NOON, 600) == NOON - 600 * second
    assert Cursor("at", "date").below(NOON, 600) == NOON - 12 * 3600 * second
    assert Cursor("at", "int8").below(1000, 600) == 400


def test_a_cursor_of_another_type_or_without_a_zone_or_that_is_not_there_is_said() -> None:
    for wrong, said in (("text", "of type text"), ("timestamp", "name its zone")):
        table = replace(TABLE, fields=(Field("at", wrong, None),))
        with pytest.raises(SourceError, match=said):
            cursor.cursor_of(replace(CONTRACT, columns=COLUMNS[:1]), SOURCE, table)
    with pytest.raises(SourceError, match="has no column 'at'. It has: id"):
        cursor.cursor_of(CONTRACT, SOURCE, replace(TABLE, fields=TABLE.fields[:1]))
    assert cursor.cursor_of(CONTRACT, SOURCE, TABLE).zone == "Europe/Berlin"


def test_portions_follow_each_other_without_a_gap_and_the_last_is_open() -> None:
    first = CursorPortion(CONTRACT, SOURCE, None, None, token="t", records=1000)
    marks = list(range(10, 100, 10))
    found = cursor._portions(first, marks, [100, 110], 50, 1)  # two parts of 50 rows make a portion of 100
    assert [(p.low, p.high) for p in found] == [(None, 20), (21, 40), (41, 60), (61, 80), (81, None)]
    assert [p.token for p in found] == [None] * 4 + ["t"]  # only what is whole is remembered as seen
    assert all(len(p.splits) < 3 for p in found)


def test_portions_by_a_date_share_no_day() -> None:
    by_date, day = Cursor("at", "date"), 24 * 3600 * 1_000_000
    first = CursorPortion(CONTRACT, SOURCE, None, None, records=1000)
    found = cursor._portions(first, [n * day for n in range(1, 10)], [], 50, by_date.grain)
    read = [p._where(by_date) for p in found]
    assert "<= date '1970-01-03'" in read[0] and ">= date '1970-01-04'" in read[1]
    assert [(p.low, p.high) for p in found[:2]] == [(None, 2 * day), (3 * day, 4 * day)]


@pytest.mark.parametrize(("count", "parallel"), [(0, 4), (1, 4), (3, 4), (10, 4), (100, 4), (5, 1)])
def test_ranges_of_places_cover_everything_once(count: int, parallel: int) -> None:
    splits = cursor._few(list(range(100, 100 + count)), parallel)
    portion = CursorPortion(CONTRACT, SOURCE, None, None, splits=splits)
    parts = portion._parts()
    assert len(parts) <= parallel
    for place in (None, 0, 99, 100, 150, 10**18):
        truth = [_holds(part.replace("_source_position IS NULL", str(place is None)), place) for part in parts]
        assert sum(truth) == 1


def _holds(part: str, place: int | None) -> bool:
    if part == "true":
        return True
    alternatives = part.split(" OR ")
    return any(_all(a, place) for a in alternatives)


def _all(conditions: str, place: int | None) -> bool:
    for condition in conditions.split(" AND "):
        if condition in ("True", "False"):
            if condition == "False":
                return False
            continue
        _, sign, bound = condition.split()
        if place is None or not (place >= int(bound) if sign == ">=" else place < int(bound)):
            return False
    return True


@pytest.mark.parametrize(("blocks", "parallel", "count"), [(0, 4, 1), (100, 4, 1), (3000, 4, 2), (100_000, 4, 4), (100_000, 1, 1)])
def test_ranges_of_blocks_are_as_many_as_pay(blocks: int, parallel: int, count: int) -> None:
    parts = snapshot._ranges(replace(TABLE, blocks=blocks), parallel)
    assert len(parts) == count
    starts = [p.split("'")[1] for p in parts if "_block >=" in p]
    assert starts == sorted(starts, key=lambda s: int(s[1:-1].split(",")[0]))
    assert (count == 1) == (parts == ["true"])


def test_a_key_that_the_table_lacks_is_said() -> None:
    with pytest.raises(SourceError, match="has no column id, of the contract's key. It has: at"):
        snapshot._key(CONTRACT, SOURCE, replace(TABLE, fields=TABLE.fields[1:]))
