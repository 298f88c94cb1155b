"""A copy of a lake that is being written to: whole at every moment, brought up to date, never put behind. The tables are delta-rs' own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from typer.testing import CliRunner

from lakehouse.cli import backup as cli
from lakehouse.engine import backup
from lakehouse.engine.backup import copy_lake
from lakehouse.engine.lease import Owner, take
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


def test_a_copy_that_is_newer_is_left_alone_and_the_other_tables_are_copied(lake: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy_lake(str(copy), lambda _: None)
    commit(copy / "silver" / "t", 9)
    commit(lake / "bronze" / "t", 2)
    copied = copy_lake(str(copy), lambda _: None)
    assert copied.tables == 1
    assert "is newer than" in str(copied.failed[0])
    assert values(copy / "silver" / "t") == [1, 9]
    assert values(copy / "bronze" / "t") == [1, 2]


def test_a_table_that_was_made_anew_is_copied_anew_and_never_mixed(lake: Path, tmp_path: Path) -> None:
    copy, table, said = tmp_path / "copy", lake / "bronze" / "t", list[str]()
    commit(table, 2)
    copy_lake(str(copy), said.append)
    for commits in (3, 1):  # beyond the copy's newest commit, and before it
        shutil.rmtree(table)
        for value in range(commits):
            commit(table, 10 * commits + value)
        assert copy_lake(str(copy), said.append).failed == ()
        assert "bronze.t" in said[-1] and "anew" in said[-1]
        assert values(copy / "bronze" / "t") == values(table)
        assert len(list((copy / "bronze" / "t").rglob("*.parquet"))) == commits


def test_a_copy_whose_log_is_damaged_is_made_anew(lake: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy_lake(str(copy), lambda _: None)
    (copy / "bronze" / "t" / "_delta_log" / f"{0:020}.json").write_text("{half")
    copy_lake(str(copy), lambda _: None)
    assert values(copy / "bronze" / "t") == [1]


def test_the_same_table_with_another_history_is_refused(lake: Path, tmp_path: Path) -> None:
    copy, table = tmp_path / "copy", lake / "bronze" / "t"
    shutil.copytree(table, tmp_path / "before")
    commit(table, 2)
    copy_lake(str(copy), lambda _: None)
    shutil.rmtree(table)
    shutil.copytree(tmp_path / "before", table)  # a restore, after which it goes on
    commit(table, 3)
    commit(table, 4)
    copied = copy_lake(str(copy), lambda _: None)
    assert "another history" in str(copied.failed[0])
    assert values(copy / "bronze" / "t") == [1, 2]


def test_files_that_upkeep_removes_meanwhile_are_not_missed(lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy, table, real = tmp_path / "copy", lake / "bronze" / "t", backup._files
    commit(table, 2)

    def files(url: str, below: str = "") -> dict[str, int]:
        found = real(url, below)
        if url == str(table) and not below:
            delta = DeltaTable(table)
            if len(delta.file_uris()) > 1:
                delta.optimize.compact()
                delta.vacuum(0, dry_run=False, enforce_retention_duration=False)
        return found

    monkeypatch.setattr(backup, "_files", files)
    assert copy_lake(str(copy), lambda _: None).failed == ()
    assert values(copy / "bronze" / "t") == [1, 2]


def test_a_table_that_cannot_be_copied_ends_the_command_with_one_after_all_others(lake: Path, tmp_path: Path) -> None:
    (lake / "silver" / "t" / "_delta_log" / f"{0:020}.json").write_text("{half")
    done = CliRunner().invoke(cli.app, [str(tmp_path / "copy")])
    assert done.exit_code == 1
    assert "1 table in" in done.output and "silver.t can't be read" in done.output
    assert values(tmp_path / "copy" / "bronze" / "t") == [1]


def test_another_lake_is_never_taken_for_a_copy(lake: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    commit(other / "silver" / "t", 9)
    lease = take(str(other), Owner("/home/other"), lambda _: None)
    with pytest.raises(DataError, match="is no copy: .* works there"):
        copy_lake(str(other), lambda _: None)
    lease.release()
    (failed,) = copy_lake(str(other), lambda _: None).failed
    assert "is another table than" in str(failed)
    assert values(other / "silver" / "t") == [9] and values(other / "bronze" / "t") == [1], "what was lost there can be copied back"
