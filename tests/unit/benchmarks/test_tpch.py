"""The second workload fits its generator: contracts name the very columns of the files, and answers that differ are told. (Over Silver: `benchmarks.tpch`.)"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from benchmarks.tpch.workload import CONTRACTS, TABLES, difference, duckdb_over, generate, queries
from lakehouse.contracts.loader import check_file, check_together, load_contracts

SCALE = 0.001


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tpch")
    generate(folder / "landing", folder / "oracle", SCALE)
    return folder


def test_the_contracts_are_without_mistake_and_take_every_column_of_every_file(made: Path) -> None:
    checked = check_together(check_file(file) for file in sorted(CONTRACTS.rglob("*.yaml")))
    assert [str(m) for c in checked for m in (*c.mistakes, *c.notes)] == []
    contracts = load_contracts(CONTRACTS)
    assert set(contracts) == set(TABLES)
    for name, contract in contracts.items():
        file = next((made / "landing" / "tpch" / name).glob("*.csv"))
        assert file.open().readline().strip().split(",") == [c.name for c in contract.columns]


def test_all_queries_have_an_answer_in_duckdb(made: Path) -> None:
    with duckdb_over(made / "oracle") as connection:
        answers = {name: connection.execute(text).fetchall() for name, text in queries(SCALE).items()}
    assert len(answers) == 22
    assert difference(answers["q01"], answers["q01"][::-1]) == ""  # whatever the order


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        ([("A", Decimal("0.333333"))], [("A", 1 / 3)], ""),
        ([("A", Decimal("0.3334"))], [("A", 1 / 3)], "instead of"),
        ([("A", 3)], [("A", 4)], "instead of"),
        ([("A", None)], [("A", 0)], "instead of"),
        ([(date(1995, 1, 1),)], [(date(1995, 1, 2),)], "instead of"),
        ([("A",)], [("A",), ("A",)], "1 rows, not 2"),
    ],
)
def test_answers_that_differ_are_told(ours: list[tuple[object, ...]], theirs: list[tuple[object, ...]], said: str) -> None:
    told = difference(ours, theirs)
    assert said in told and bool(said) == bool(told)
