"""The live example: its contracts are the files' contracts with another source, and what it sends has the shape they ask for."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from random import Random

from demo import live_sales
from demo.live import TOPICS, click, reading, write_contracts
from demo.sales import COLUMNS
from lakehouse.contracts.loader import load_contracts
from lakehouse.contracts.model import Contract, KafkaSource, PostgresSource
from lakehouse.settings import PROJECT


def contracts(tmp_path: Path) -> dict[str, Contract]:
    write_contracts(PROJECT / "contracts", tmp_path, database=True)
    return load_contracts(tmp_path)


def test_the_contracts_differ_from_the_examples_only_in_their_source(tmp_path: Path) -> None:
    live, usual = contracts(tmp_path), load_contracts(PROJECT / "contracts")
    assert set(live) == set(usual)
    for name, contract in live.items():
        assert isinstance(contract.source, KafkaSource) == (name in TOPICS)
        assert isinstance(contract.source, PostgresSource) == (name == live_sales.TABLE)
        assert replace(contract, source=usual[name].source, file=usual[name].file) == usual[name]


def test_what_is_sent_keeps_the_contracts_patterns_and_words(tmp_path: Path) -> None:
    dice, now = Random(7), datetime.now(UTC)
    live = contracts(tmp_path)
    for name, make in (("sensor_reading", reading), ("web_click", click)):
        records = [make(n, now, dice)[1] for n in range(200)]
        assert len({next(iter(r.values())) for r in records}) == 200
        for column in live[name].read_columns:
            values = [r.get(column.source_field or column.name) for r in records]
            assert all(v is not None for v in values) or not column.required
            assert all(re.search(column.pattern, str(v)) for v in values if v is not None and column.pattern)
            assert {v for v in values if v is not None} <= set(column.enum) or not column.enum


def test_orders_keep_the_contracts_patterns_and_words(tmp_path: Path) -> None:
    dice, now, contract = Random(7), datetime.now(UTC), contracts(tmp_path)[live_sales.TABLE]
    rows = [dict(zip(COLUMNS, line, strict=False)) for n in range(200) for line in live_sales.lines(now, 10_000 + n, dice)]
    assert len({(row["order_id"], row["line_no"]) for row in rows}) == len(rows)
    for column in contract.read_columns:
        values = [row[column.name] for row in rows if column.name in row]
        assert all(re.search(column.pattern, str(v)) for v in values if column.pattern)
        assert {str(v) for v in values} <= set(column.enum) or not column.enum
    assert all(Decimal(row["discount"]) <= row["quantity"] * Decimal(row["unit_price"]) for row in rows if row["discount"])
