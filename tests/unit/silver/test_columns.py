"""What Silver's columns are made of, by the contracts of the example and some with more."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest

from lakehouse.contracts.loader import load_contracts
from lakehouse.contracts.model import Contract, FileSource, KafkaSource
from lakehouse.lineage import ROWS, Ref
from lakehouse.settings import PROJECT
from lakehouse.silver import transforms
from lakehouse.silver.columns import silver_lineage

CONTRACTS = load_contracts(PROJECT / "contracts")


def made(contract: Contract) -> dict[str, set[str]]:
    """Silver's columns, to the columns of Bronze."""
    found = silver_lineage(contract).made_of
    return {ref.column: {s.column for s in sources} for ref, sources in found.items() if ref.table == str(contract.silver)}


def test_columns_are_made_of_the_fields_that_the_contract_names() -> None:
    found = made(CONTRACTS["sales_order_line"])
    assert found["quantity"] == {"_payload.quantity"}
    assert found["order_date"] == {"_payload.ordered_at"}  # computed
    assert list(found) == [*(c.name for c in CONTRACTS["sales_order_line"].columns), ROWS]


def test_of_a_change_feed_also_its_own_columns() -> None:
    found = made(CONTRACTS["customer"])
    assert found["name"] == {"_payload.full_name"}
    assert found["changed_at"] == found["valid_from"] == {"_payload.source.ts_ms"}
    assert found["valid_to"] == found["is_current"] == {"_payload.customer_id", "_payload.source.ts_ms", "_payload.source.lsn"}
    assert found["change_seq"] == {"_payload.source.ts_ms", "_payload.source.lsn"}
    assert found["is_deleted"] == {"_payload.op"}
    assert made(CONTRACTS["product"])["is_deleted"] == {"_payload.op"}


def test_rows_are_decided_by_key_order_and_rules_that_refuse_but_not_by_those_that_warn() -> None:
    found = made(CONTRACTS["customer"])[ROWS]
    assert {"*", "_payload.customer_id", "_payload.source.lsn", "_payload.email", "_payload.op"} <= found
    assert "_payload.city" not in found  # a text that may be empty has no rule
    assert "_payload.segment" not in found  # its rules only warn


def test_fields_come_from_the_source_which_is_named() -> None:
    order_lines = silver_lineage(CONTRACTS["sales_order_line"]).made_of
    assert order_lines[Ref("bronze.sales_order_line", "_payload.status")] == {Ref("csv files sales/sales_order_line", "status")}
    topic = replace(CONTRACTS["web_click"], source=KafkaSource("services", topic="clicks"))
    assert Ref("topic clicks", "page") in silver_lineage(topic).sources_of([Ref("silver.web_click", "page")])


def test_formats_with_columns_are_read_by_column() -> None:
    parquet = replace(CONTRACTS["machine"], source=FileSource("machines", "parquet"))
    assert made(parquet)["line"] == {"line"}


@pytest.fixture
def code() -> Iterator[ModuleType]:
    """A table's own code, as a module would be."""
    module = ModuleType(f"{transforms.__name__}.machine")
    module.__spec__ = ModuleSpec(module.__name__, None)
    sys.modules[module.__name__] = module
    yield module
    del sys.modules[module.__name__]


def test_code_may_make_any_column_of_any_field(code: ModuleType) -> None:
    code.transform = lambda rows: rows  # type: ignore[attr-defined]
    machine = CONTRACTS["machine"]
    everything = {f"_payload.{c.source_field or c.name}" for c in machine.read_columns}
    assert made(machine)["line"] == made(machine)["model"] == everything


def test_every_column_of_every_table_is_made_of_something_that_a_source_has() -> None:
    for contract in CONTRACTS.values():
        lineage = silver_lineage(contract)
        for column in lineage.columns[str(contract.silver)]:
            ends = {r for r in lineage.sources_of([Ref(str(contract.silver), column)]) if not lineage.made_of.get(r)}
            assert ends and all(" files " in r.table for r in ends), f"{contract.name}.{column}"
