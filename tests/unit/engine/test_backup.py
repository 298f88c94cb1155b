"""A copy of a lake that is being written to: whole at every moment, brought up to date, never put behind. The tables are delta-rs' own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from lakehouse.engine import backup
from lakehouse.engine.backup import copy_lake
from lakehouse.errors import DataError
from lakehouse.settings import settings


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path))
    settings.cache_clear()
    for layer in ("bronze", "silver"):
        commit(tmp_path / "warehouse" / layer / "t", 1)
    yield tmp_path / "warehouse"
    settings.cache_clear()


def commit(table: Path, value: int) -> None:
    write_deltalake(table, pa.table({"v": [value], "day": ["2026-01-01"]}), mode="append", partition_by=["day"])


def values(table: Path) -> list[int]:
    return sorted(DeltaTable(table).to_pyarrow_table()["v"].to_pylist())


def test_a_copy_is_a_lake_and_a_second_one_brings_only_what_is_new(lake: Path, tmp_path: Path) -> None:
    copy, said = tmp_path / "copy", list[str]()
    assert copy_lake(str(copy), said.append).tables == 2
    assert [line.split(":")[0] for line in said] == ["silver.t", "bronze.t"]  # what consumes first
    commit(lake / "bronze" / "t", 2)
    assert copy_lake(str(copy), said.append).files == 2
    assert values(copy / "bronze" / "t") == [1, 2]
    assert copy_lake(str(copy), said.append).files == 0


def test_what_is_committed_while_the_copy_is_made_is_in_it_whole_or_not_at_all(lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy, table, real = tmp_path / "copy", lake / "bronze" / "t", backup._files

    def files(url: str, below: str = "") -> dict[str, int]:
        found = real(url, below)
        if url == str(table):
            commit(table, 2 if below else 3)  # between the look at the log and that at the data, and after both
        return found

    monkeypatch.setattr(backup, "_files", files)
    copy_lake(str(copy), lambda _: None)
    assert values(copy / "bronze" / "t") == [1]
    monkeypatch.undo()
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path))
    copy_lake(str(copy), lambda _: None)
    assert values(copy / "bronze" / "t") == [1, 2, 3]


def test_a_copy_that_is_newer_is_left_alone(lake: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy_lake(str(copy), lambda _: None)
    commit(copy / "bronze" / "t", 9)
    with pytest.raises(DataError, match="is newer than"):
        copy_lake(str(copy), lambda _: None)
    assert values(copy / "bronze" / "t") == [1, 9]
