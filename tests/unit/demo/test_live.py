"""The live example: its contracts are the files' contracts with another source, and what it sends has the shape they ask for."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from demo.live import TOPICS, click, reading, write_contracts
from lakehouse.contracts.loader import load_contracts
from lakehouse.contracts.model import Contract, KafkaSource
from lakehouse.settings import PROJECT


def contracts(tmp_path: Path) -> dict[str, Contract]:
    write_contracts(PROJECT / "contracts", tmp_path)
    return load_contracts(tmp_path)


def test_the_contracts_differ_from_the_examples_only_in_their_source(tmp_path: Path) -> None:
    live, usual = contracts(tmp_path), load_contracts(PROJECT / "contracts")
    assert set(live) == set(usual)
    for name, contract in live.items():
        assert isinstance(contract.source, KafkaSource) == (name in TOPICS)
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
