"""The trend of refused records, as numbers and bars; and the file that an export leaves."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from lakehouse.cli.refused import Count, bars, choose, counts, export, last_days, number
from lakehouse.contracts.loader import load_contracts
from lakehouse.contracts.model import Contract
from lakehouse.errors import DataError
from lakehouse.settings import settings

PROJECT = Path(__file__).resolve().parents[3]


def test_the_trend_ends_with_the_last_day_that_the_table_has() -> None:
    per_day = {date(2026, 1, 3): 2, date(2026, 1, 1): 5, None: 9}
    assert last_days(per_day, date(2026, 1, 4), 4) == [5, 0, 2, 0]
    assert last_days(per_day, None, 2) == [0, 2]
    assert last_days({None: 9}, None, 3) == [0, 0, 0]


@pytest.mark.parametrize(("numbers", "drawn"), [([], ""), ([0, 0], "··"), ([1], "█"), ([0, 1, 8], "·▁█"), ([1, 500, 1000], "▁▄█"), ([7, 7], "██")])
def test_bars_show_something_wherever_there_is_something(numbers: list[int], drawn: str) -> None:
    assert bars(numbers) == drawn


HEADER = ("_payload", "_reasons", "n", "at")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
RECORDS = [
    {"_payload": '{"ä": "1,2"}', "_reasons": ["late", "value_in_range"], "n": 1, "at": NOON},
    {"_payload": None, "_reasons": ["empty_message"], "n": None, "at": NOON.date()},
]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "out.csv",
            '_payload,_reasons,n,at\n"{""ä"": ""1,2""}","[""late"", ""value_in_range""]",1,2026-03-01T12:00:00Z\n,"[""empty_message""]",,2026-03-01\n',
        ),
        (
            "out.jsonl",
            '{"_payload": "{\\"ä\\": \\"1,2\\"}", "_reasons": ["late", "value_in_range"], "n": 1, "at": "2026-03-01T12:00:00Z"}\n'
            '{"_payload": null, "_reasons": ["empty_message"], "n": null, "at": "2026-03-01"}\n',
        ),
    ],
)
def test_an_export_is_csv_or_json_lines_by_its_name(tmp_path: Path, name: str, text: str) -> None:
    assert export(RECORDS, HEADER, tmp_path / name) == 2
    assert (tmp_path / name).read_text("utf-8") == text


def test_an_export_of_no_record_still_names_the_columns(tmp_path: Path) -> None:
    assert export([], HEADER, tmp_path / "out.csv") == 0
    assert (tmp_path / "out.csv").read_text("utf-8") == "_payload,_reasons,n,at\n"


def test_an_export_that_breaks_off_leaves_no_file(tmp_path: Path) -> None:
    def broken() -> Iterator[dict[str, Any]]:
        yield RECORDS[0]
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        export(broken(), HEADER, tmp_path / "out.csv")
    assert list(tmp_path.iterdir()) == []


RULES = ("late", "value_in_range", "it's")
WAITING = {"_waits_for": pa.map_(pa.string(), pa.string()), "_held_until": pa.date32()}


@pytest.fixture
def refused(home: Path) -> tuple[Contract, list[dict[str, Any]]]:
    """A quarantine of random records, some of no day, some of which wait; and the records."""
    contract = load_contracts(PROJECT / "contracts")["sales_order_line"]
    dice, today = random.Random(7), datetime.now(UTC).date()
    records = [
        {
            "_payload": f'{{"n": {n}}}',
            "_reasons": dice.sample(RULES, dice.randint(1, 3)),
            "_source": f"file-{dice.randint(1, 3)}",
            "_source_position": dice.choice([None, n]),
            "_source_date": dice.choice([None, *(date(2026, 1, d) for d in range(1, 6))]),
            "_quarantined_at": NOON,
            "_waits_for": dice.choice([None, {"late": "x"}]),
            "_held_until": today + timedelta(days=dice.choice([-2, 2])),
        }
        for n in range(300)
    ]
    plain = {"_payload": pa.string(), "_reasons": pa.list_(pa.string()), "_source": pa.string(), "_source_position": pa.int64(), "_source_date": pa.date32()}
    schema = pa.schema({**plain, "_quarantined_at": pa.timestamp("us", "UTC"), **WAITING})
    location = contract.quarantine.location(settings().warehouse)
    for part in (records[:200], records[200:]):
        write_deltalake(location, pa.Table.from_pylist(part, schema), mode="append", partition_by=["_source_date"])
    return contract, records


def test_refused_records_are_counted_by_rule_and_day(refused: tuple[Contract, list[dict[str, Any]]]) -> None:
    contract, records = refused
    today, expected = datetime.now(UTC).date(), Counter[tuple[str, date | None]]()
    waiting = Counter[tuple[str, date | None]]()
    for r in records:
        for rule in r["_reasons"]:
            expected[rule, r["_source_date"]] += 1
            waiting[rule, r["_source_date"]] += rule in (r["_waits_for"] or {}) and r["_held_until"] >= today
    found = counts(contract)
    assert {(c.rule, c.day): (c.records, c.waiting) for c in found} == {key: (n, waiting[key]) for key, n in expected.items()}
    assert [c.records for c in found] == sorted(expected.values(), reverse=True)
    assert {type(c) for c in found} == {Count} and {c.table for c in found} == {"sales_order_line"}


@pytest.mark.parametrize("rule", [None, "late", "it's", "nope"])
@pytest.mark.parametrize("days", [None, frozenset({date(2026, 1, 2), None}), frozenset({date(2025, 1, 1)})])
def test_refused_records_are_found_by_rule_and_day_the_newest_first(
    refused: tuple[Contract, list[dict[str, Any]]], rule: str | None, days: frozenset[date | None] | None
) -> None:
    contract, records = refused
    wanted = [r for r in records if (rule is None or rule in r["_reasons"]) and (days is None or r["_source_date"] in days)]
    found = list(choose(contract, rule, days))
    assert sorted(found, key=lambda r: r["_payload"]) == sorted(wanted, key=lambda r: r["_payload"])
    assert [r["_source_date"] for r in found] == sorted((r["_source_date"] for r in wanted), key=lambda d: d or date.min, reverse=True)
    assert number(contract, rule, days) == len(wanted)


def test_a_table_that_is_not_there_has_no_refused_records(home: Path) -> None:
    contract = load_contracts(PROJECT / "contracts")["sales_order_line"]
    assert (counts(contract), list(choose(contract, None, None)), number(contract, None, None)) == ([], [], 0)


def test_files_that_are_gone_are_told_with_the_command_that_brings_them_back(refused: tuple[Contract, list[dict[str, Any]]]) -> None:
    contract, _ = refused
    for file in Path(contract.quarantine.location(settings().warehouse)).rglob("*.parquet"):
        file.unlink()
    with pytest.raises(DataError, match=r"quarantine\.sales_order_line can't be read(?s:.*)lakehouse materialize quarantine/sales_order_line --recreate"):
        counts(contract)
