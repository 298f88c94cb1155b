"""A look at sources and tables: what can't be read is told by name, and holds up no other."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Never

import psycopg
import pyarrow as pa
import pytest
from confluent_kafka import KafkaError, KafkaException
from deltalake import write_deltalake

from lakehouse.cli.lake import Lake
from lakehouse.cli.summary import Before, show_summary
from lakehouse.contracts.loader import load_contracts
from lakehouse.contracts.model import FileSource, KafkaSource, PostgresSource, Source
from lakehouse.gold.project import Model, Reach
from lakehouse.pauses import FAILURES, SECONDS, Pauses
from lakehouse.pending import due, look_again
from lakehouse.settings import PROJECT, settings
from lakehouse.sources.kafka import broker
from lakehouse.tables import Table

pytestmark = pytest.mark.usefixtures("home")

CONTRACTS = load_contracts(PROJECT / "contracts")
MACHINE, PRODUCT = CONTRACTS["machine"], CONTRACTS["product"]


def folder(name: str) -> Path:
    """The landing folder of a table with one new file."""
    source = CONTRACTS[name].source
    assert isinstance(source, FileSource)
    made = Path(settings().landing) / source.path / "dt=2026-11-20"
    made.mkdir(parents=True)
    (made / "a.jsonl").write_text("{}\n")
    return made


def damaged(table: Table) -> None:
    """A table whose log nobody understands."""
    location = Path(table.location(settings().warehouse))
    write_deltalake(location, pa.table({"a": [1]}))
    (location / "_delta_log" / f"{0:020d}.json").write_text("{")


def mart(name: str, *sources: str) -> Model:
    return Model(name, "gold", "table", None, Reach(frozenset(sources)), "code")


def test_a_folder_that_may_not_be_read_is_named_and_the_others_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    closed, real = folder("machine"), os.scandir
    folder("product")

    def scandir(path: str) -> Any:
        if Path(path) == closed:
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    work = due([MACHINE, PRODUCT], [])
    (problem,) = work.problems
    assert work.tables == ("product",) and problem.table == "machine"
    assert problem.why == f"The folder {closed} can't be read: Permission denied." and f"chmod -R a+rX {closed}" in problem.next_step


@pytest.mark.parametrize("kind", ["postgres", "kafka"])
def test_a_server_that_does_not_answer_costs_one_timeout_and_each_of_its_tables_says_why(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def silent(*address: Any, **named: Any) -> Never:
        asked.append(named.get("host") or address[0])
        raise psycopg.errors.ConnectionTimeout("connection timeout expired") if kind == "postgres" else KafkaException(KafkaError(KafkaError._TRANSPORT))

    monkeypatch.setattr(psycopg, "connect", silent)
    monkeypatch.setattr(broker, "_admin", lambda at, _: SimpleNamespace(list_topics=lambda **_: silent(at)))

    def source(at: str, name: str) -> Source:
        return PostgresSource(at, 5432, "shop", "public", name) if kind == "postgres" else KafkaSource(at, topic=name)

    contracts = [replace(PRODUCT, name=f"{at}_{n}", source=source(at, f"t{n}")) for n in range(3) for at in ("one", "other")]
    folder("product")
    work = due([*contracts, PRODUCT], [])
    assert asked == ["one", "other"] and work.tables == ("product",)
    assert [(p.table, p.table.split("_")[0] in p.why) for p in work.problems] == [(c.name, True) for c in contracts]


def test_a_damaged_log_is_told_once_and_the_others_are_looked_at() -> None:
    (folder("machine") / "a.jsonl").unlink()
    folder("product")
    bronze = pa.table({"_source_date": pa.array([date(2026, 11, 20)])})
    write_deltalake(MACHINE.bronze.location(settings().warehouse), bronze.append_column("a", pa.array([1])), partition_by=["_source_date"])
    damaged(MACHINE.silver)
    work = due([MACHINE, PRODUCT], [mart("a", "machine"), mart("b", "machine", "product"), mart("c", "product")])
    (problem,) = work.problems
    assert (work.tables, work.models, problem.table) == (("product",), ("c",), "machine")
    assert "log of silver.machine can't be read" in problem.why and "_delta_log" in problem.next_step


def test_a_damaged_mart_holds_up_no_other() -> None:
    write_deltalake(PRODUCT.silver.location(settings().warehouse), pa.table({"a": [1]}))
    marts = [mart("a", "product"), replace(mart("b", "product"), parents=(mart("a", "product"),)), mart("c", "product")]
    damaged(marts[0].table)
    work = due([], marts)
    assert ([p.table for p in work.problems], work.models) == (["gold.a"], ("c",))
    lake = Lake({}, tuple(marts))
    show_summary(lake, Before.of(lake), [])  # nor the summary of a run that made the others


def test_what_is_paused_is_not_looked_at_and_what_is_mended_is_forgotten() -> None:
    write_deltalake(PRODUCT.silver.location(settings().warehouse), pa.table({"a": [1]}))
    marts, pauses = [mart("a", "product")], Pauses()
    damaged(marts[0].table)
    for now in range(FAILURES):
        work, pauses = look_again([MACHINE], marts, pauses, now)
        assert [p.table for p in work.problems] == ["machine", "gold.a"]
    assert look_again([MACHINE], marts, pauses, FAILURES) == (due([], []), pauses)
    (folder("machine") / "a.jsonl").unlink()
    shutil.rmtree(marts[0].table.location(settings().warehouse))
    work, pauses = look_again([MACHINE], marts, pauses, SECONDS + FAILURES)
    assert (work.problems, work.models, pauses) == ((), ("a",), Pauses())
