"""What a contract says of a change feed, what follows from it, and each mistake in it."""

# ruff: noqa: E501 (a table: one case per line)

from __future__ import annotations

from collections.abc import Callable

import pytest

from lakehouse.contracts.loader import Checked
from lakehouse.contracts.model import ChangeFeed, Contract
from lakehouse.contracts.rules import implied_rules
from lakehouse.contracts.spark_schema import silver_fields

FEED = """\
apiVersion: v3.2.0
kind: DataContract
id: 6f0a1a3c-0a0e-4f57-9a0b-6a6f7f5a2b12
name: customer
version: 1.0.0
status: active
domain: sales
servers:
  - {server: landing, type: local, path: sales/customer, format: json}
schema:
  - name: customer
    properties:
      - {name: id, logicalType: string, required: true, primaryKey: true}
      - {name: op, logicalType: string, required: true}
      - {name: millis, logicalType: integer, required: true}
      - {name: at, logicalType: timestamp, required: true, transformLogic: timestamp_millis(millis)}
      - {name: lsn, logicalType: integer, required: true}
      - {name: city, logicalType: string, required: true}
      - {name: seen_at, logicalType: timestamp}
customProperties:
  - {property: kind, value: entity}
  - {property: partition, value: {start: '2026-01-01'}}
  - {property: changeFeed, value: {sequence: [at, lsn], deleteWhen: op = 'd', ignore: [seen_at]}}
  - {property: scd, value: {type: 2}}
"""

Check = Callable[..., Checked]


def contract_of(check: Check, text: str = FEED) -> Contract:
    checked = check(text, "sales/customer.odcs.yaml")
    assert [str(m) for m in checked.mistakes] == []
    assert checked.contract is not None
    return checked.contract


def test_the_sequence_and_what_it_and_the_delete_condition_are_made_of_make_no_version(check: Check) -> None:
    contract = contract_of(check)
    assert contract.feed == ChangeFeed("columns", "op = 'd'", ("op", "millis", "at", "lsn"), ("seen_at",))
    assert (contract.scd, contract.sequence, contract.identity) == (2, ("at", "lsn"), ("id", "at", "lsn"))
    assert contract.compared == ("city",)
    assert contract.told_by_deletes == ("id", "op", "millis", "at", "lsn")


def test_silver_has_the_columns_of_history_and_what_a_delete_lacks_may_be_empty(check: Check) -> None:
    fields = {f.name: f for f in silver_fields(contract_of(check))}
    assert fields["change_seq"].type == "struct<at:timestamp,lsn:bigint>"
    assert [fields[n].type for n in ("is_deleted", "valid_from", "valid_to", "is_current")] == ["boolean", "timestamp", "timestamp", "boolean"]
    assert fields["_repeats"].type.startswith("array<struct<op:string,millis:bigint,at:timestamp,lsn:bigint,seen_at:timestamp,_source:string,")
    assert (fields["city"].nullable, fields["id"].nullable, fields["lsn"].nullable) == (True, False, False)


def test_type_1_keeps_one_row_of_a_key_and_marks_the_deleted_ones(check: Check) -> None:
    contract = contract_of(check, FEED.replace("type: 2", "type: 1"))
    assert contract.identity == ("id",)
    assert {f.name for f in silver_fields(contract)} & {"is_deleted", "valid_from", "_repeats"} == {"is_deleted"}


def test_debezium_brings_rules_of_its_own(check: Check) -> None:
    contract = contract_of(check, FEED.replace("sequence: [at", "form: debezium, sequence: [at"))
    rules = {name: action for name, _, action in implied_rules(contract)}
    assert (rules["unknown_operation"], rules["unavailable_value"], rules["empty_message"]) == ("quarantine", "quarantine", "drop")


# what · the text that is replaced · what replaces it · what the message says
CASES = [
    ("history without a feed", "  - {property: changeFeed, value: {sequence: [at, lsn], deleteWhen: op = 'd', ignore: [seen_at]}}\n", "", ["needs the property changeFeed"]),
    ("a feed of events", "value: entity", "value: event", ["changeFeed", "for entity tables"]),
    ("a place that may be missing", "name: lsn, logicalType: integer, required: true", "name: lsn, logicalType: integer", ["lsn must have `required: true`"]),
    ("history without time", "sequence: [at, lsn]", "sequence: [lsn, at]", ["lsn is bigint", "a date or a timestamp"]),
    ("no such place", "sequence: [at, lsn]", "sequence: [at, lsm]", ["unknown column 'lsm'", "Did you mean 'lsn'"]),
    ("nothing to order by", "sequence: [at, lsn]", "sequence: []", ["at least 1 item"]),
    ("a delete condition that is none", "deleteWhen: op = 'd'", "deleteWhen: oq = 'd'", ["names 'oq'", "Columns: id, op"]),
    ("nothing of that name to ignore", "ignore: [seen_at]", "ignore: [seen]", ["unknown column 'seen'"]),
    ("a column of the platform's", "name: city", "name: valid_to", ["'valid_to' is a column that the platform adds"]),
    ("two orders", "  - {property: scd", "  - {property: dedupe, value: {orderBy: [at]}}\n  - {property: scd", ["drop the property `dedupe`"]),
    ("an unknown form", "sequence: [at", "form: debesium, sequence: [at", ["unknown value 'debesium'", "Did you mean 'debezium'"]),
    ("envelopes in CSV", "sequence: [at", "form: debezium, sequence: [at", ["the server's format must be json"]),
    ("what can't be compared", "{name: city, logicalType: string, required: true}", "{name: city, logicalType: map, physicalType: 'map<string,string>'}", ["can't be compared"]),
]  # fmt: skip


@pytest.mark.parametrize(("what", "old", "new", "told"), CASES, ids=[c[0] for c in CASES])
def test_a_mistake_is_found_and_says_what_was_allowed(what: str, old: str, new: str, told: list[str], check: Check) -> None:
    text = FEED.replace(old, new)
    assert text != FEED
    if "CSV" in what:
        text = text.replace("format: json", "format: csv")
    mistakes = "\n".join(str(m) for m in check(text, "sales/customer.odcs.yaml").mistakes)
    for part in told:
        assert part in mistakes, mistakes
