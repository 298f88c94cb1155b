"""A contract whose source is a PostgreSQL table: what is read from it, and what is told to be wrong."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lakehouse.contracts.describe import as_dict
from lakehouse.contracts.loader import Checked
from lakehouse.contracts.model import ChangeFeed, PostgresSource

CONTRACT = """\
apiVersion: v3.2.0
kind: DataContract
id: 6f0a1a3c-0a0e-4f57-9a0b-6a6f7f5a2c77
name: orders
version: 1.0.0
status: active
domain: sales
servers:
  - {server: landing, type: postgresql, host: db.example.com, port: 5432, database: shop, schema: public}
schema:
  - name: orders
    dataGranularityDescription: One row per order.
    properties:
      - {name: order_id, logicalType: integer, required: true, primaryKey: true}
      - {name: updated_at, logicalType: timestamp}
customProperties:
  - {property: kind, value: entity}
  - {property: partition, value: {start: '2026-01-01'}}
  - {property: source, value: {mode: cursor, cursor: updated_at, overlap: 120, table: order_header}}
"""


def test_the_source_is_read(check: Callable[..., Checked]) -> None:
    checked = check(CONTRACT, "sales/orders.odcs.yaml")
    assert [str(m) for m in checked.mistakes] == []
    assert checked.contract is not None
    assert checked.contract.source == PostgresSource("db.example.com", 5432, "shop", "public", "order_header", "updated_at", 120)
    assert "public.order_header of the database shop at db.example.com:5432" in str(as_dict(checked.contract))


def test_the_table_is_called_like_the_contract(check: Callable[..., Checked]) -> None:
    checked = check(CONTRACT.replace(", table: order_header", ""), "sales/orders.odcs.yaml")
    assert isinstance(checked.contract.source if checked.contract else None, PostgresSource)
    assert checked.contract.source.table == "orders"  # type: ignore[union-attr]


def test_snapshots_tell_deletes_by_themselves(check: Callable[..., Checked]) -> None:
    source = "mode: cursor, cursor: updated_at, overlap: 120"
    assert source in CONTRACT
    contract = check(CONTRACT.replace(source, "mode: snapshot"), "sales/orders.odcs.yaml").contract
    assert contract is not None
    assert contract.feed == ChangeFeed()
    assert "in snapshots" in str(as_dict(contract))
    event = check(CONTRACT.replace(source, "mode: snapshot").replace("value: entity", "value: event"), "sales/orders.odcs.yaml")
    assert any("its kind is entity" in str(m) for m in event.mistakes)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (", cursor: updated_at", "", "mode cursor needs `cursor`"),
        ("mode: cursor, ", "", "is missing"),
        ("mode: cursor", "mode: stream", "Allowed: cursor, snapshot"),
        ("overlap: 120", "overlap: -1", "greater than or equal to 0"),
        ("overlap: 120", "interval: 5", "is for mode snapshot"),
        ("overlap: 120", "pattern: x", "pattern"),
        ("  - {property: source, value: {mode: cursor, cursor: updated_at, overlap: 120, table: order_header}}\n", "", "needs the property 'source'"),
        (", port: 5432", "", "port"),
        ("mode: cursor, cursor: updated_at, overlap: 120", "mode: snapshot, overlap: 5", "is for mode cursor"),
    ],
)
def test_what_is_wrong_is_told(check: Callable[..., Checked], before: str, after: str, said: str) -> None:
    assert before in CONTRACT
    checked = check(CONTRACT.replace(before, after), "sales/orders.odcs.yaml")
    assert any(said in str(m) for m in checked.mistakes), [str(m) for m in checked.mistakes]
