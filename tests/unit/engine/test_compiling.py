"""Whether a session's queries are compiled: by the rows that they make, and those that they only read."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from lakehouse.bronze.ingest import _compile_for
from lakehouse.engine.session import COMPILE, compiling
from lakehouse.sources.protocol import Amount


@pytest.mark.parametrize(
    ("rows", "read", "mode"),
    [
        (0, 0, "NO_CODEGEN"),
        (50_000, 0, "NO_CODEGEN"),
        (50_001, 0, "FALLBACK"),
        (0, 250_000, "NO_CODEGEN"),
        (0, 250_005, "FALLBACK"),
        (40_000, 60_000, "FALLBACK"),
        (sys.maxsize, 0, "FALLBACK"),
    ],
)
def test_few_rows_are_interpreted_and_many_compiled(rows: int, read: int, mode: str) -> None:
    assert compiling(rows, read) == mode


@pytest.mark.parametrize(
    ("amount", "mode"),
    [
        (Amount(files=3, bytes=4_000_000), "NO_CODEGEN"),
        (Amount(files=3, bytes=6_000_000), "FALLBACK"),
        (Amount(records=12_000), "NO_CODEGEN"),
        (Amount(records=1_000_000), "FALLBACK"),
        (Amount(), "FALLBACK"),  # a snapshot of a table that nobody has counted
    ],
)
def test_a_portion_is_small_by_its_records_or_bytes_and_large_where_it_tells_of_neither(amount: Amount, mode: str) -> None:
    told: dict[str, str] = {}
    session: Any = SimpleNamespace(conf=SimpleNamespace(set=told.__setitem__))
    portion: Any = SimpleNamespace(amount=amount)
    _compile_for(session, portion)
    assert told == {COMPILE: mode}
