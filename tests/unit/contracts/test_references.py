"""Columns that name rows of other tables and wait for them: what a contract can say, and that the contracts of a folder agree about it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lakehouse.contracts.loader import Checked, check_folder
from lakehouse.contracts.model import Contract, Parent
from lakehouse.contracts.rules import implied_rules
from lakehouse.contracts.spark_schema import quarantine_fields

COLUMN = "      - name: metric\n        logicalType: string\n"
HOLD = "{to: %s, customProperties: [{property: onFail, value: hold}%s]}"


def naming(text: str, relationship: str) -> str:
    return text.replace(COLUMN, f"{COLUMN}        relationships:\n          - {relationship}\n")


def other(text: str, name: str) -> str:
    """The contract of another table, under another id."""
    return text.replace("name: reading\n", f"name: {name}\n").replace("element: reading.", f"element: {name}.").replace("6f0a1a3c", f"6f0a{len(name):04x}")


def test_a_column_waits_for_the_row_that_it_names(event_text: str, check: Callable[..., Checked]) -> None:
    horizon = ", {property: horizon, value: {days: 3}}"
    contract = check(naming(event_text, HOLD % ("metric.metric_id", horizon))).contract
    assert contract is not None
    assert contract.column("metric").parent == Parent("metric", "metric_id", 3)
    assert ("metric_known", "names a row of silver.metric; until it is there the record waits", "hold") in implied_rules(contract)
    assert [f.name for f in quarantine_fields(contract)][-2:] == ["_waits_for", "_held_until"]
    default = check(naming(event_text, HOLD % ("metric.metric_id", ""))).contract
    assert isinstance(default, Contract) and default.column("metric").parent == Parent("metric", "metric_id", 7)


def test_a_relationship_that_nobody_waits_for_is_noted(event_text: str, check: Callable[..., Checked]) -> None:
    checked = check(naming(event_text, "{to: metric.metric_id}"))
    assert checked.contract is not None and checked.contract.waiting_columns == ()
    assert ["documentation" in str(note) for note in checked.notes] == [True]


@pytest.mark.parametrize(
    ("relationship", "said"),
    [
        (HOLD % ("a.b.c", ""), "must be <table>.<column>"),
        (HOLD % ("a.b", ", {property: horizon, value: {days: -1}}"), "horizon"),
        ("{to: a.b, customProperties: [{property: onFail, value: quarantine}]}", "hold"),
        ("{to: a.b, customProperties: [{property: lateness, value: {days: 1}}]}", "belongs in the customProperties of the contract"),
        (f"{HOLD % ('a.b', '')}\n          - {HOLD % ('c.d', '')}", "one table"),
    ],
)
def test_mistakes_in_a_relationship_are_told(event_text: str, check: Callable[..., Checked], relationship: str, said: str) -> None:
    assert [m for m in check(naming(event_text, relationship)).mistakes if said in str(m)]


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("other.reading_id", None),
        ("othr.reading_id", "there is no table 'othr'. Did you mean 'other'?"),
        ("other.metric", "must be the whole key of other, which is reading_id"),
        ("reading.reading_id", "waits for reading itself"),
        ("back.reading_id", "back waits for reading itself"),
        ("typed.count", "is int, and metric is string"),
        ("masked.operator", "operator is masked"),
    ],
)
def test_the_contracts_of_a_folder_have_to_agree(event_text: str, check: Callable[..., Checked], tmp_path: Path, to: str, said: str | None) -> None:
    key, integer, masked = ("        primaryKey: true\n        primaryKeyPosition: 1\n", "      - name: count\n", "      - name: operator\n")
    texts = {
        "other": event_text,
        "back": naming(event_text, HOLD % ("reading.reading_id", "")),
        "typed": event_text.replace(key, "").replace(integer, f"{integer}        required: true\n        primaryKey: true\n"),
        "masked": event_text.replace(key, "").replace(masked, f"{masked}        required: true\n        primaryKey: true\n"),
    }
    for name, text in texts.items():
        check(other(text, name), f"factory/{name}.odcs.yaml")
    check(naming(event_text, HOLD % (to, "")))
    found = {c.file.name: [str(m) for m in c.mistakes] for c in check_folder(tmp_path / "contracts")}["reading.odcs.yaml"]
    line = naming(event_text, "x").splitlines().index("          - x") + 1
    assert found == [] if said is None else (len(found) == 1 and said in found[0] and f"reading.odcs.yaml:{line}:" in found[0]), found
