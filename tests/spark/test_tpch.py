"""TPC-H, a workload from elsewhere: its eight tables through Bronze and Silver, its 22 queries, and DuckDB's answers over other files of the same generator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from pyspark.sql import SparkSession

from benchmarks.tpch.workload import CONTRACTS, TABLES, difference, duckdb_over, generate, queries
from lakehouse.bronze.ingest import ingest
from lakehouse.contracts.loader import load_contracts
from lakehouse.silver import build

SCALE = 0.01


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    files = tmp_path_factory.mktemp("tpch")
    generate(home / "landing", files, SCALE)
    with duckdb_over(files) as connection:
        yield connection


@pytest.mark.timeout(600)
def test_every_query_says_the_same_over_silver_as_duckdb_over_the_generators_files(spark: SparkSession, oracle: duckdb.DuckDBPyConnection) -> None:
    contracts = load_contracts(CONTRACTS)
    for name in TABLES:
        ingest(spark, contracts[name], "test")
        built = build.increment(spark, contracts[name], "test")
        assert not built.unbalanced
        assert oracle.execute(f"select count(*) from {name}").fetchall() == [(sum(b.applied for b in built.balances),)]
    spark.catalog.setCurrentDatabase("silver")
    try:
        told = {name: difference(spark.sql(text).collect(), oracle.execute(text).fetchall()) for name, text in queries(SCALE).items()}
    finally:
        spark.catalog.setCurrentDatabase("default")
    assert len(told) == 22
    assert {name: text for name, text in told.items() if text} == {}
