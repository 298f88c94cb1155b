"""Records that name a row of another table wait for it: whatever order both tables' records come in, and whatever happens to the tables, the result is that
of a batch which has all of them."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from lakehouse.contracts.model import Column, Contract, Parent
from lakehouse.engine import metadata
from lakehouse.quality.checks import check_waiting
from lakehouse.silver import build
from lakehouse.silver.report import current
from tests.spark.conftest import Lake
from tests.spark.oracle import truth_of
from tests.spark.test_replay import DAYS, FIRST, lines


def tables(lake: Lake) -> tuple[Lake, Contract, Lake, Contract]:
    """A table of events whose column `parent` names rows of a table of entities."""
    child, parent = replace(lake, name=f"{lake.name}_child"), replace(lake, name=f"{lake.name}_parent")
    contract = child.events()
    named = Column("parent", "string", "string", source_field="parent", parent=Parent(parent.name, "id", 2))
    return child, replace(contract, columns=(*contract.columns, named)), parent, parent.entities()


def naming(rng: random.Random, day: date) -> str:
    """Lines of a file; those that can be read name one of six rows, or none."""
    made = []
    for line in lines(rng, day).splitlines():
        made.append(json.dumps({**json.loads(line), "parent": rng.choice([None, *(f"p{n}" for n in range(6))])}) if line.endswith("}") else line)
    return "\n".join(made)


def check(child: Lake, contract: Contract, parent: Lake) -> None:
    """Silver and quarantine against the files of both tables."""
    known = {json.loads(line)["id"] for file in (parent.landing / parent.name).rglob("*.json") for line in file.read_text().splitlines()}
    truth = truth_of(child.landing / child.name, by_date=True, known=known)
    refused_anyway = truth_of(child.landing / child.name, by_date=True).refused
    found = {(r[0], r[1]): r[2:] for r in child.rows(contract.silver, "id", "day", "seq", "value", "_source")}
    assert found == truth.silver
    assert child.rows(contract.quarantine, "_payload", "_source_date") == sorted(truth.refused, key=repr)
    held = child.spark.table(contract.quarantine.sql).where("_disposition = 'held'").select("_payload", "_source_date", "_waits_for", "_held_until").collect()
    assert sorted((r[0], r[1]) for r in held) == sorted(set(truth.refused) - set(refused_anyway))
    assert all(r[2] == {"parent_known": json.loads(r[0])["parent"]} and r[3] == r[1] + timedelta(days=2) for r in held)
    assert metadata.filled(contract.quarantine, "_held_until") == len(held)


class History:
    """Operations on both tables, chosen at random."""

    def __init__(self, lake: Lake, seed: int) -> None:
        self.child, self.contract, self.parent, self.entities = tables(lake)
        self.rng, self.files, self.clock = random.Random(seed), 0, 1_770_000_000_000

    def new_events(self) -> None:
        self.files, day = self.files + 1, self.rng.choice(DAYS)
        self.child.put(f"dt={day}/f{self.files:02d}.json", naming(self.rng, day))

    def new_entities(self) -> None:
        """One file of few: written again, it says other rows, and those that were in it are gone."""
        self.clock += 60_000
        ids = self.rng.sample(range(6), 2)
        self.parent.put(f"dt={FIRST}/f{self.rng.randrange(3)}.json", [{"id": f"p{n}", "seq": 1, "name": "x"} for n in ids], millis=self.clock)

    def sync_child(self) -> None:
        self.child.sync(self.contract)

    def sync_parent(self) -> None:
        self.parent.sync(self.entities)

    def rebuild(self) -> None:
        build.rebuild(self.child.spark, self.contract, [self.rng.choice(DAYS)], "test")

    def restore(self) -> None:
        table = self.rng.choice([self.contract.silver, self.contract.quarantine, self.entities.silver])
        self.child.spark.sql(f"RESTORE {table.sql} TO VERSION AS OF {self.rng.randrange(self.child.version(table) + 1)}").collect()

    def end(self) -> None:
        self.sync_parent()
        self.sync_child()
        check(self.child, self.contract, self.parent)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", [1])
def test_the_order_in_which_both_tables_come_and_go_makes_no_difference(lake: Lake, seed: int) -> None:
    h = History(lake, seed)
    h.new_events()
    h.sync_child()
    check(h.child, h.contract, h.parent)  # without any parent, all that name one wait
    h.new_entities()
    h.end()
    operations = [h.new_events, h.new_entities, h.new_entities, h.sync_child, h.sync_parent, h.sync_parent, h.rebuild, h.restore]
    done = []
    for _ in range(12):
        operation = h.rng.choice(operations)
        done.append(operation.__name__)
        operation()
    try:
        h.end()
    except AssertionError as error:
        raise AssertionError(f"after {done}") from error


def test_a_parent_that_moves_starts_nothing_where_nothing_waits(lake: Lake) -> None:
    child, contract, parent, entities = tables(lake)
    parent.put(f"dt={FIRST}/a.json", [{"id": "p1", "seq": 1}])
    parent.sync(entities)
    event: dict[str, Any] = {"id": "a", "seq": 1, "at": f"{FIRST}T12:00:00Z"}
    child.put(f"dt={FIRST}/a.json", [{**event, "parent": "p1"}])
    child.sync(contract)
    parent.put(f"dt={FIRST}/b.json", [{"id": "p2", "seq": 1}, {"id": "p1", "seq": 2}])
    parent.sync(entities)
    assert current(contract)
    child.put(f"dt={FIRST}/b.json", [{**event, "id": "b", "parent": "p3"}])
    _, built = child.sync(contract)
    assert [(b.refused, b.held) for b in built.balances] == [(1, 1)] and current(contract)
    told = check_waiting(contract, FIRST + timedelta(days=2)), check_waiting(contract, FIRST + timedelta(days=3))
    assert [(v.passed, v.numbers) for v in told] == [(True, {"waiting": 1, "overdue": 0}), (False, {"waiting": 1, "overdue": 1})]
    parent.put(f"dt={FIRST}/c.json", [{"id": "p3", "seq": 1}])
    parent.sync(entities)
    assert not current(contract)
    _, built = child.sync(contract)  # long after the horizon: whether it is in depends on the rows alone
    assert [(b.applied, b.again) for b in built.balances] == [(1, True)]
    assert child.rows(contract.silver, "id") == [("a",), ("b",)] and current(contract)
