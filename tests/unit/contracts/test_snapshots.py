"""A contract whose files are snapshots: what is read from it, and what is told to be wrong."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lakehouse.contracts.compare import compare
from lakehouse.contracts.describe import as_dict
from lakehouse.contracts.loader import Checked
from lakehouse.contracts.model import ChangeFeed, FileSource

STOCK = """\
apiVersion: v3.2.0
kind: DataContract
id: 6f0a1a3c-0a0e-4f57-9a0b-6a6f7f5a2c99
name: stock
version: 1.0.0
status: active
domain: shop
servers:
  - {server: landing, type: local, path: shop/stock, format: csv}
schema:
  - name: stock
    properties:
      - {name: sku, logicalType: string, required: true, primaryKey: true}
      - {name: pieces, logicalType: integer}
      - {name: read_at, logicalType: timestamp, required: true, customProperties: [{property: sourceField, value: _source_time}]}
customProperties:
  - {property: kind, value: entity}
  - {property: partition, value: {start: '2026-01-01'}}
  - {property: source, value: {mode: snapshot, timePattern: 'T(\\d\\d)', complete: _SUCCESS, maxGone: 0.2}}
  - {property: changeFeed, value: {sequence: [read_at]}}
  - {property: scd, value: {type: 2}}
"""
Check = Callable[..., Checked]


def test_the_source_is_read(check: Check) -> None:
    checked = check(STOCK, "shop/stock.odcs.yaml")
    assert [str(m) for m in checked.mistakes] == []
    contract = checked.contract
    assert contract is not None
    assert contract.source == FileSource("shop/stock", "csv", compared=True, time_pattern=r"T(\d\d)", complete="_SUCCESS", max_gone=0.2)
    assert contract.feed == ChangeFeed(control=("read_at",))
    assert "in snapshots" in str(as_dict(contract))


def test_snapshots_tell_deletes_by_themselves(check: Check) -> None:
    text = "\n".join(line for line in STOCK.splitlines() if "changeFeed" not in line and "property: scd" not in line)
    contract = check(text, "shop/stock.odcs.yaml").contract
    assert contract is not None
    assert (contract.feed, contract.scd) == (ChangeFeed(), 1)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("mode: snapshot", "mode: snapshots", "Allowed: records, snapshot"),
        ("mode: snapshot, ", "", "is for mode snapshot"),
        ("mode: snapshot", "mode: snapshot, date: modified", "moment is in its path"),
        (r"T(\d\d)", "T..", "has 0 groups"),
        (r"T(\d\d)", "T(", "is no regular expression"),
        ("complete: _SUCCESS", "complete: a/_SUCCESS", "a name without folders"),
        ("maxGone: 0.2", "maxGone: 1.2", "less than or equal to 1"),
        ("value: entity", "value: event", "its kind is entity"),
        ("{sequence: [read_at]}", "{form: debezium, sequence: [read_at]}", "the form must be columns"),
        ("name: sku, logicalType: string", "name: sku, logicalType: string, transformLogic: cast(pieces as string)", "a key column can't be computed"),
    ],
)
def test_what_is_wrong_is_told(check: Check, before: str, after: str, said: str) -> None:
    assert before in STOCK
    checked = check(STOCK.replace(before, after), "shop/stock.odcs.yaml")
    assert any(said in str(m) for m in checked.mistakes), [str(m) for m in checked.mistakes]


def test_records_that_become_snapshots_stop_the_runs_and_another_limit_does_not(check: Check) -> None:
    old = check(STOCK, "shop/stock.odcs.yaml").contract
    assert old is not None
    looser = check(STOCK.replace("maxGone: 0.2", "maxGone: 0.9"), "shop/stock.odcs.yaml").contract
    hours = check(STOCK.replace(r"T(\d\d)", r"H(\d\d)"), "shop/stock.odcs.yaml").contract
    assert looser is not None
    assert hours is not None
    assert [(c.subject, c.stops_runs) for c in compare(old, looser)] == [("max_gone", False)]
    assert [(c.subject, c.stops_runs) for c in compare(old, hours)] == [("time_pattern", True)]
