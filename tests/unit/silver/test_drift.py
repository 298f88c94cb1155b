"""What a run's records tell about their source's fields, once they are counted; and what a contract could say of new ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
import yaml

from lakehouse.contracts.guess import guess_type
from lakehouse.contracts.model import Column, Contract, FileSource
from lakehouse.contracts.suggest import guess_of_csv, guess_of_json, suggested
from lakehouse.quality.checks import check_fields
from lakehouse.silver.drift import Drift, masks, optional

CSV = FileSource("t", "csv", delimiter=";")
KEY = Column("id", "string", "string", required=True)
OPTIONAL = tuple(Column(f"c{n}", "string", "string") for n in range(70))
CONTRACT = Contract("t", "1.0.0", "d", "entity", (KEY, *OPTIONAL), ("id",), FileSource("t", "json"), date(2026, 1, 1), Path("t.odcs.yaml"))
EVERY, LAST = (1 << 63) - 1, (1 << 7) - 1


def test_only_a_column_that_may_be_empty_is_looked_for_and_63_share_a_mask() -> None:
    assert optional(CONTRACT) == OPTIONAL
    assert masks(CONTRACT) == ["_absent0", "_absent1"]
    assert masks(replace(CONTRACT, columns=(KEY,))) == []


def test_unknown_fields_are_counted_by_record() -> None:
    drift = Drift.of(CONTRACT, [("a\nb", 3, (0, 0)), (None, 5, (0, 0)), ("b", 1, (0, 0))])
    assert (drift.records, dict(drift.unknown), drift.absent) == (9, {"a": 3, "b": 4}, ())


def test_a_field_is_absent_when_no_record_has_it() -> None:
    drift = Drift.of(CONTRACT, [(None, 1, (0b110, 1 << 6)), (None, 1, (0b011, 1 << 6)), (None, 1, (-1, -1))])
    assert drift.absent == ("c1", "c69")


def test_nothing_is_absent_where_no_record_tells() -> None:
    assert Drift.of(CONTRACT, [(None, 4, (-1, -1))]).absent == ()
    assert Drift.of(CONTRACT, []).absent == ()


@pytest.mark.parametrize(
    ("records", "share", "gone"),
    [(1, 1.0, True), (5, 0.98, True), (2, 0.98, False), (10, 0.5, False), (20, 0.5, True), (10_000, 0.0, False), (10_000, 0.01, True)],
)
def test_a_field_is_gone_where_chance_does_not_explain_that_no_record_has_it(records: int, share: float, gone: bool) -> None:
    drift = Drift.of(CONTRACT, [(None, records, (1, 0))]).explained(pytest.fail, CONTRACT, {"c0": share})  # type: ignore[arg-type]
    assert dict(drift.gone) == ({"c0": share} if gone else {})


def test_a_column_that_was_never_filled_or_that_nothing_is_known_of_is_not_gone() -> None:
    assert not Drift.of(CONTRACT, [(None, 99, (1, 0))]).explained(pytest.fail, CONTRACT, {}).gone  # type: ignore[arg-type]


def test_new_fields_are_suggested_as_columns_of_the_contract_that_may_be_empty() -> None:
    payloads = ['{"id": "1", "Price net": 1.25, "n": 7}', '{"id": "2", "Price net": 3.5, "n": 8}', "no record", '{"id": "3", "n": 9}']
    text = suggested({"Price net": guess_of_json("Price net", payloads), "n": guess_of_json("n", payloads), "t": guess_type("array<int>")})
    assert "1.25" not in text and "seen" not in text, "values may be personal"
    first, second, third = yaml.safe_load(text)
    assert (first["name"], first["logicalType"], first["customProperties"]) == ("price_net", "number", [{"property": "sourceField", "value": "Price net"}])
    assert (second["name"], second["logicalType"], second.get("required")) == ("n", "integer", None)
    assert (third["logicalType"], third["physicalType"]) == ("array", "array<int>")


def test_a_field_of_an_envelope_is_read_from_the_row_that_it_carries() -> None:
    messages = ['{"op": "c", "after": {"id": 1, "vip": true}}', '{"payload": {"op": "d", "before": {"vip": false}}}']
    guess = guess_of_json("vip", messages, (("after",), ("payload", "after"), ("before",), ("payload", "before")))
    assert (guess.logical, sum(guess.seen.values())) == ("boolean", 2)


def test_a_field_of_csv_is_found_by_the_record_s_own_header() -> None:
    guess = guess_of_csv("day", [("id;day", "1;2026-01-01"), ("day;id", "2026-01-02;2"), ("id", "3")], CSV)
    assert (guess.logical, guess.empty) == ("date", 1)


def test_the_check_tells_what_is_new_what_is_gone_and_what_to_do() -> None:
    verdict = check_fields(CONTRACT, {"vip": 3}, {"c0": 0.98}, 10, "- name: vip")
    assert not verdict.passed and verdict.severity.value == "WARN"
    assert "vip is in 3 of 10 records and the contract does not take it" in verdict.text
    assert "c0 is in none of 10 records, and 98% of the rows before had a value" in verdict.text
    assert verdict.numbers == {"unknown: vip": 3, "gone: c0": 0.98, "suggested_columns": "- name: vip"}
    assert check_fields(replace(CONTRACT, schema_evolution="strict"), {"vip": 3}, {}, 10, "").severity.value == "ERROR"
    assert check_fields(CONTRACT, {}, {}, 10, "").passed
