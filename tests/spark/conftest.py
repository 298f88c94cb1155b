"""One engine for all tests of this folder, in a lake of its own; each test has tables and files of its own."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from lakehouse.bronze.ingest import Ingested, ingest
from lakehouse.contracts.model import Column, Contract, FileSource, Rule
from lakehouse.engine.launcher import ensure_engine, stop_engine
from lakehouse.engine.session import connect
from lakehouse.services import kafka
from lakehouse.settings import settings
from lakehouse.silver import build
from lakehouse.silver.report import Built
from lakehouse.tables import Table
from tests.spark.topics import Topic

START = date(2026, 1, 1)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("lake")
    before = {k: v for k, v in os.environ.items() if k.startswith("LAKEHOUSE_")}
    for name in before:
        del os.environ[name]
    os.environ.update(LAKEHOUSE_HOME=str(folder), LAKEHOUSE_ENGINE_HEAP="2g", LAKEHOUSE_ENGINE_START_TIMEOUT="400")
    settings.cache_clear()
    yield folder
    stop_engine()
    del os.environ["LAKEHOUSE_HOME"], os.environ["LAKEHOUSE_ENGINE_HEAP"], os.environ["LAKEHOUSE_ENGINE_START_TIMEOUT"]
    os.environ.update(before)
    settings.cache_clear()


@pytest.fixture(scope="session")
def spark(home: Path) -> Iterator[SparkSession]:
    ensure_engine()
    session = connect()
    yield session
    session.stop()


def events(name: str, **changes: Any) -> Contract:
    """A small event table: key, sequence, event time and date, a number."""
    columns = (
        Column("id", "string", "string", required=True),
        Column("seq", "int", "integer"),
        Column("at", "timestamp", "timestamp", required=True),
        Column("value", "double", "number", minimum=-100.0, maximum=100.0),
        Column("day", "date", "date", required=True, expression="cast(at as date)"),
    )
    source = FileSource(path=name, format="json", lookback_days=3650)
    contract = Contract(name, "1.0.0", "test", "event", columns, ("id",), source, START, Path(f"{name}.odcs.yaml"), ("seq",), "day", 2)
    return replace(contract, **changes)


def entities(name: str, **changes: Any) -> Contract:
    """A small entity table of type 1."""
    columns = (Column("id", "string", "string", required=True), Column("name", "string", "string"), Column("seq", "int", "integer"))
    source = FileSource(path=name, format="json", lookback_days=3650)
    contract = Contract(name, "1.0.0", "test", "entity", columns, ("id",), source, START, Path(f"{name}.odcs.yaml"), ("seq",))
    return replace(contract, **changes)


@dataclass(frozen=True)
class Lake:
    """The lake as a test uses it: files in, runs, rows out."""

    spark: SparkSession
    landing: Path
    name: str

    def events(self, **changes: Any) -> Contract:
        return events(self.name, **changes)

    def entities(self, **changes: Any) -> Contract:
        return entities(self.name, **changes)

    def put(self, path: str, records: Iterable[Any] | str | bytes, *, millis: int | None = None) -> Path:
        """Write a file of the source; `records` are JSON values, or the file's text or bytes."""
        file = self.landing / self.name / path
        file.parent.mkdir(parents=True, exist_ok=True)
        data = records if isinstance(records, bytes) else (records if isinstance(records, str) else "".join(json.dumps(r) + "\n" for r in records)).encode()
        file.write_bytes(data)
        if millis is not None:
            os.utime(file, ns=(millis * 1_000_000, millis * 1_000_000))
        return file

    def sync(self, contract: Contract) -> tuple[Ingested, Built]:
        return ingest(self.spark, contract, "test", full=True), build.increment(self.spark, contract, "test")

    def rows(self, table: Table, *columns: str) -> list[tuple[Any, ...]]:
        """What the table holds, all columns where none is named, read without the engine that wrote it; times in UTC without saying so."""
        held = _open(table).to_pyarrow_table(columns=list(columns) or None)
        return sorted(zip(*([_plain(v) for v in column.to_pylist()] for column in held.columns), strict=True), key=repr)

    def count(self, table: Table) -> int:
        """How many rows the table has, read likewise."""
        return _open(table).to_pyarrow_dataset().count_rows()

    def version(self, table: Table) -> int:
        """The table's newest version."""
        return _open(table).version()


def _open(table: Table) -> DeltaTable:
    return DeltaTable(table.location(settings().warehouse))


def _plain(value: Any) -> Any:
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value


@pytest.fixture
def lake(spark: SparkSession, home: Path) -> Lake:
    name = f"t{uuid.uuid4().hex[:10]}"
    (home / "landing" / name).mkdir(parents=True)
    return Lake(spark, home / "landing", name)


def rule(name: str, expression: str, on_fail: Any = "quarantine") -> Rule:
    return Rule(name, expression, on_fail)


@pytest.fixture(scope="session")
def brokers(home: Path) -> Iterator[str]:
    kafka.start(home)
    yield kafka.address(home)
    kafka.stop(home)


@pytest.fixture
def topic(brokers: str) -> Topic:
    made = Topic(brokers, f"t{uuid.uuid4().hex[:10]}")
    made.create(2)
    return made
