"""What a look at snapshots in files decides, from the folder and the table's notes alone."""

from __future__ import annotations

import os
from collections.abc import Collection
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from lakehouse.contracts.model import Contract, FileSource
from lakehouse.engine.metadata import Note, TableState
from lakehouse.errors import SourceShrank
from lakehouse.sources.files import Files, snapshots
from lakehouse.sources.files.differences import Counts
from lakehouse.sources.files.snapshots import SnapshotPortion
from lakehouse.sources.protocol import Look, Portion
from lakehouse.tables import Table


def files(folder: Path, **options: Any) -> Files:
    source = FileSource(**{"path": str(folder), "format": "json", "lookback_days": 3650, "compared": True, **options})
    return Files(Contract("stock", "1.0.0", "test", "entity", (), ("id",), source, date(2026, 1, 1), Path("stock.odcs.yaml")), source)


def put(folder: Path, path: str, text: str = "{}", second: int = 0) -> None:
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    os.utime(file, (1_770_000_000 + second, 1_770_000_000 + second))


def state(portions: Collection[Portion]) -> TableState:
    """The table after these portions were taken."""
    positions = {key: said for p in portions for key, said in p._reached({}).items()}  # type: ignore[attr-defined]
    return TableState(Table("bronze", "stock"), "x", 3, 2, Note("r", "1.0.0", 1, positions=positions))


def moments(look: Look) -> list[list[datetime]]:
    return [[s.moment for s in p.snapshots] for p in look.portions if isinstance(p, SnapshotPortion)]


def day(number: int, hour: int = 0) -> datetime:
    return datetime(2026, 1, number, hour, tzinfo=UTC)


def test_the_files_of_one_day_are_one_snapshot_and_snapshots_are_taken_in_order(tmp_path: Path) -> None:
    for path in ("dt=2026-01-11/a.json", "dt=2026-01-10/b-1.json", "dt=2026-01-10/b-2.json"):
        put(tmp_path, path)
    look = files(tmp_path).look(None)
    assert moments(look) == [[day(10), day(11)]]
    assert [s.name for p in look.portions for s in p.snapshots] == ["dt=2026-01-10/b-*", "dt=2026-01-11/a.json"]  # type: ignore[attr-defined]
    assert files(tmp_path).look(state(look.portions)).portions == ()


def test_a_commit_takes_a_bounded_number_of_snapshots(tmp_path: Path) -> None:
    for number in range(1, 21):
        put(tmp_path, f"dt=2026-01-{number:02d}/a.json")
    assert [len(p) for p in moments(files(tmp_path).look(None))] == [16, 4]
    assert [len(p) for p in moments(files(tmp_path, max_files=9).look(None))] == [9, 9, 2]


def test_a_file_that_changes_or_comes_late_makes_its_snapshot_be_compared_again_and_one_that_goes_does_not(tmp_path: Path) -> None:
    put(tmp_path, "dt=2026-01-10/a.json")
    put(tmp_path, "dt=2026-01-10/b.json")
    put(tmp_path, "dt=2026-01-11/a.json")
    taken = state(files(tmp_path).look(None).portions)
    (tmp_path / "dt=2026-01-10/b.json").unlink()
    look = files(tmp_path).look(taken)
    assert (look.portions, look.vanished) == ((), ("dt=2026-01-10/*",))
    put(tmp_path, "dt=2026-01-10/c.json")
    put(tmp_path, "dt=2026-01-11/a.json", second=1)
    put(tmp_path, "dt=2026-01-12/a.json")
    look = files(tmp_path).look(taken)
    assert moments(look) == [[day(10)], [day(11)], [day(12)]]
    assert look.changed == ("dt=2026-01-10/*", "dt=2026-01-11/a.json")


def test_without_a_sign_that_it_is_complete_a_snapshot_waits_and_that_is_told_once_a_later_one_is(tmp_path: Path) -> None:
    put(tmp_path, "dt=2026-01-10/a.json")
    source = files(tmp_path, complete="_SUCCESS")
    assert source.look(None) == Look(fingerprint=[])
    put(tmp_path, "dt=2026-01-11/a.json")
    put(tmp_path, "dt=2026-01-11/_SUCCESS", "")
    look = source.look(None)
    assert moments(look) == [[day(11)]]
    assert look.passed_over == ("dt=2026-01-10/a.json waits for _SUCCESS, and a later snapshot is complete",)


def test_the_time_in_a_path_is_the_moment_and_a_path_without_one_is_told(tmp_path: Path) -> None:
    for name in ("2026-01-10T06.json", "2026-01-10T18.json", "2026-01-10T99.json", "2026-01-10.json", "2020-01-10T06.json"):
        put(tmp_path, name)
    look = files(tmp_path, date_pattern=r"(\d{4}-\d{2}-\d{2})", time_pattern=r"T(\d{2})").look(None)
    assert moments(look) == [[day(10, 6), day(10, 18)]]
    assert "and 2 more files: no moment" in look.passed_over[0]


def test_a_rebuild_of_a_day_whose_snapshot_is_gone_is_refused_unless_it_is_forced(tmp_path: Path) -> None:
    put(tmp_path, "dt=2026-01-10/a.json")
    put(tmp_path, "dt=2026-01-11/a.json")
    taken = state(files(tmp_path).look(None).portions)
    (tmp_path / "dt=2026-01-10/a.json").unlink()
    with pytest.raises(SourceShrank, match=r"such as dt=2026-01-10/a\.json"):
        files(tmp_path).again(taken, [date(2026, 1, 10)])
    (portion,) = files(tmp_path).again(taken, [date(2026, 1, 10)], force=True).portions
    assert isinstance(portion, SnapshotPortion)
    assert (portion.snapshots, portion.gone) == ((), {day(10)})
    assert portion._reached({day(10): "x|a"}) == {day(10).isoformat(): ""}


@pytest.mark.parametrize(
    ("counts", "why"),
    [
        ({1: Counts(keys=10)}, None),
        ({0: Counts(keys=10, gone=5), 1: Counts(keys=5)}, None),
        ({0: Counts(keys=10, gone=6), 1: Counts(keys=90)}, "lacks 6 of the 10 keys"),
        ({0: Counts(keys=10, gone=10)}, "it has no record"),
        ({}, None),
        ({0: Counts(keys=10), 1: Counts(keys=10, unreadable=1)}, "1 of its records can't be read"),
    ],
)
def test_what_may_delete_rows_that_are_there_is_refused(tmp_path: Path, counts: dict[int, Counts], why: str | None) -> None:
    told = snapshots._refused(files(tmp_path).contract, 1, counts)
    assert (told is None) if why is None else (why in (told or ""))


def test_a_touched_snapshot_concerns_itself_and_the_next(tmp_path: Path) -> None:
    line = [day(n) for n in (10, 12, 14)]
    assert snapshots._concerned(line, [day(12)]) == [1, 2]
    assert snapshots._concerned(line, [day(14)]) == [2]
    assert snapshots._concerned(line, [day(11)]) == [1]  # given up: the one after it is held against the one before
    assert snapshots._concerned([], [day(11)]) == []
