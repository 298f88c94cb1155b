"""The generator's files, the queries, the answers of both sides, and whether they are the same. Not here: what is measured and told (`__main__`).

The lake takes in the generator's CSV; DuckDB reads the Parquet files that the same generator makes of the same rows, and so shares neither files nor
code with the platform. Queries are TPC-H's, with its validation parameters; their text is the same for both.
"""

from __future__ import annotations

import datetime as dt
import math
import subprocess
import sys
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

HERE = Path(__file__).parent
CONTRACTS = HERE / "contracts"
TABLES = ("customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier")
TOLERANCE = 1e-6  # Spark rounds averages and ratios of decimals to six places, DuckDB computes them as doubles

Row = Sequence[Any]


def generate(landing: Path, oracle: Path, scale: float) -> None:
    """Make all rows of a scale factor twice: as CSV below `landing`, and as Parquet in `oracle`. Scale 1 is a gigabyte of CSV."""
    program = str(Path(sys.executable).with_name("tpchgen-cli"))
    parts = str(max(1, math.ceil(scale * 4)))
    for words in (("csv", "--parts", parts, "-o", str(landing / "tpch")), ("parquet", "-o", str(oracle))):
        subprocess.run([program, *words, "-s", str(scale)], check=True, capture_output=True)


def queries(scale: float) -> dict[str, str]:
    """The 22 queries, by name."""
    fraction = f"{0.0001 / scale:.10f}"  # the only parameter that depends on the scale
    return {file.stem: file.read_text("utf-8").replace("{fraction}", fraction) for file in sorted((HERE / "queries").glob("*.sql"))}


def duckdb_over(oracle: Path) -> duckdb.DuckDBPyConnection:
    """A DuckDB that has the generator's files as the eight tables."""
    connection = duckdb.connect()
    for table in TABLES:
        connection.execute(f"create view {table} as from '{oracle / table}.parquet'")
    return connection


def difference(ours: Sequence[Row], theirs: Sequence[Row]) -> str:
    """Empty when both answers hold the same rows; else the first that differs, or the counts."""
    if len(ours) != len(theirs):
        return f"{len(ours)} rows, not {len(theirs)}"
    pairs = zip(sorted(ours, key=_order), sorted(theirs, key=_order), strict=True)
    return next((f"{tuple(a)} instead of {tuple(b)}" for a, b in pairs if not _same(a, b)), "")


def _order(row: Row) -> list[str]:
    exact = [str(v) for v in row if not isinstance(v, float | Decimal)]
    return exact + [f"{v:.2f}" for v in row if isinstance(v, float | Decimal)]


def _same(ours: Row, theirs: Row) -> bool:
    return len(ours) == len(theirs) and all(_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def _equal(a: object, b: object) -> bool:
    if isinstance(a, float | Decimal) and isinstance(b, float | Decimal):
        return abs(float(a) - float(b)) <= TOLERANCE * max(1.0, abs(float(b)))
    if isinstance(a, dt.date | str | int) and isinstance(b, dt.date | str | int):
        return a == b
    return a is b is None


def row_counts(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, int]]:
    """How many rows each table has."""
    for table in TABLES:
        found = connection.execute(f"select count(*) from {table}").fetchone()
        assert found is not None
        yield table, int(found[0])
