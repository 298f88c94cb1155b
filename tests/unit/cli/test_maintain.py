"""`lakehouse maintain --dry-run`: what it takes for a name, and what it says of real tables; nothing is started."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from typer.testing import CliRunner

from lakehouse.cli.maintain import app
from lakehouse.errors import ContractError
from lakehouse.settings import settings


@pytest.fixture(autouse=True)
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path))
    settings.cache_clear()
    for table, commits in (("silver/sensor_reading", 12), ("gold/fct_sales_daily", 1)):
        rows = pa.table({"event_date": pa.array([date(2026, 1, 2)], pa.date32()), "n": [1]})
        for _ in range(commits):
            write_deltalake(tmp_path / "warehouse" / table, rows, mode="append", partition_by=["event_date"])
    yield tmp_path / "warehouse"
    settings.cache_clear()


def said(*words: str) -> str:
    done = CliRunner().invoke(app, [*words], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def test_a_dry_run_says_what_is_worth_doing_and_does_nothing(warehouse: Path) -> None:
    (line,) = [line for line in said("--dry-run").splitlines() if "." in line.split(" ")[0]]
    assert line.split()[:3] == ["silver.sensor_reading", "1", "12"]
    assert DeltaTable(warehouse / "silver/sensor_reading").version() == 11


def test_json_has_the_same() -> None:
    (found,) = json.loads(said("sensor_reading", "--dry-run", "--json"))
    assert (found["table"], found["partitions"], found["files"], found["removable_files"]) == ("silver.sensor_reading", ["2026-01-02"], 12, 0)


@pytest.mark.parametrize("name", ["fct_sales_daily", "gold/fct_sales_daily"])
def test_tables_in_order_need_nothing_and_start_nothing(name: str) -> None:
    assert said(name) == "1 table looked at: all in order.\n"


def test_a_name_that_is_none_is_answered_with_what_there_is() -> None:
    with pytest.raises(ContractError, match=r"There is no table 'sensor_raeding'\. Did you mean 'sensor_reading'"):
        CliRunner().invoke(app, ["sensor_raeding"], catch_exceptions=False)
