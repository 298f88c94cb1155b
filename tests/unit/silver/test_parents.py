"""What a move of a table means for those that wait for its rows, told by the logs of real Delta tables."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pyarrow as pa
import pytest
from deltalake import CommitProperties, write_deltalake

from lakehouse.contracts.loader import load_contracts
from lakehouse.contracts.model import Contract, Parent
from lakehouse.engine import metadata
from lakehouse.engine.metadata import MOST_READ, Note, TableState
from lakehouse.gold.progress import behind
from lakehouse.gold.project import Model, Reach
from lakehouse.settings import PROJECT, settings
from lakehouse.silver.parents import due, parents_of
from lakehouse.tables import Table

pytestmark = pytest.mark.usefixtures("home")

PARENT = Table("silver", "product")


@pytest.fixture
def contract() -> Contract:
    """Order lines, which wait for their products."""
    lines = load_contracts(PROJECT / "contracts")["sales_order_line"]
    columns = tuple(replace(c, parent=Parent("product", "product_id", 7)) if c.name == "product_id" else c for c in lines.columns)
    return replace(lines, columns=columns)


def write(table: Table, values: list[Any], mode: Any = "append", **consumed: TableState) -> TableState:
    """One commit; its note says which versions were followed."""
    kind = pa.date32() if table.layer == "quarantine" else pa.string()
    note = Note("run", "1.0.0", -1, {str(s.table): (s.id, s.version) for s in consumed.values()}).to_json()
    data = pa.table({"_held_until" if table.layer == "quarantine" else "key": pa.array(values, kind)})
    write_deltalake(table.location(settings().warehouse), data, mode=mode, commit_properties=CommitProperties(custom_metadata={"userMetadata": note}))
    found = metadata.state(table)
    assert found is not None
    return found


def test_a_parent_that_moved_concerns_quarantine_while_records_wait(contract: Contract) -> None:
    parent = write(PARENT, ["a"])
    silver, waiting = write(contract.silver, ["x"], parent=parent), write(contract.quarantine, [date(2026, 1, 7), None, date(2026, 1, 9)], parent=parent)
    assert not due(contract, silver, waiting)
    write(PARENT, ["b"])
    assert due(contract, silver, waiting)
    nothing_waits = write(contract.quarantine, [None, None], "overwrite", parent=parent)
    assert not due(contract, silver, nothing_waits)


def test_records_that_wait_are_counted_and_those_for_too_long(contract: Contract) -> None:
    assert metadata.filled(contract.quarantine, "_held_until") == 0
    write(contract.quarantine, [date(2026, 1, 7), None, date(2026, 1, 9)])
    write(contract.quarantine, [date(2026, 1, 12)])
    assert metadata.filled(contract.quarantine, "_held_until") == 3
    assert [metadata.filled_until(contract.quarantine, "_held_until", date(2026, 1, n)) for n in (9, 10, 13)] == [0, 2, 3]


def test_a_parent_that_may_have_lost_rows_concerns_silver(contract: Contract) -> None:
    parent = write(PARENT, ["a"])
    silver, quarantine = write(contract.silver, ["x"], parent=parent), write(contract.quarantine, [None], parent=parent)
    write(PARENT, ["b"])
    assert not due(contract, silver, quarantine)
    write(PARENT, ["a"], "overwrite")
    assert due(contract, silver, quarantine)
    assert not due(contract, write(contract.silver, ["y"], parent=parents_of(contract)["product"]), quarantine)
    never_followed = write(contract.silver, ["z"], "overwrite")
    assert not due(contract, never_followed, quarantine)


def test_a_parent_made_anew_or_far_ahead_may_have_lost_rows(contract: Contract) -> None:
    parent = write(PARENT, ["a"])
    quarantine = write(contract.quarantine, [None])
    assert due(contract, write(contract.silver, ["x"], parent=replace(parent, id="another")), quarantine)
    assert metadata.may_lose(PARENT, 0, MOST_READ + 1)
    assert metadata.may_lose(PARENT, -1, 7)  # not in the log


def test_a_commit_that_changes_no_row_leaves_no_mart_behind() -> None:
    silver = write(PARENT, ["a"])
    model = Model("dim", "gold", "table", None, Reach(frozenset({"product"})), "code")
    assert behind(model)
    write(Table("gold", "dim"), ["a"], source=silver)
    assert not behind(model)
    assert write(PARENT, []).version > silver.version
    assert not behind(model)
    write(PARENT, ["b"])
    assert behind(model)
