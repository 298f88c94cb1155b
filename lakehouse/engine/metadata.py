"""What a Delta table says about itself, read from its log without Spark, in milliseconds.

Versions, the progress note of the newest commit (restore-safe), which partitions a range of commits touched, row counts from file statistics.
Not here: anything that writes (`engine.delta`), and anything that reads data rows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from typing import Any, Self
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from lakehouse.errors import DataError
from lakehouse.settings import settings
from lakehouse.storage import delta_options, explained, filesystem
from lakehouse.tables import Table

APP = "lakehouse"  # the application id of every transaction the platform writes
_MAINTENANCE = (
    *("OPTIMIZE", "VACUUM START", "VACUUM END", "SET TBLPROPERTIES", "UNSET TBLPROPERTIES", "ADD COLUMNS", "CHANGE COLUMN"),
    *("CHANGE COLUMNS", "COMPUTE STATS", "ADD CONSTRAINT", "DROP CONSTRAINT", "UPGRADE PROTOCOL"),
)

MOST_READ = 200  # commits of a stretch

Day = date | None  # None: the partition of rows without a usable date
Position = int | str  # how far a source has been read: an offset, a cursor as text


@dataclass(frozen=True)
class Rejudged:
    """One time that records which were in already were judged again: its id, and the dates that it concerned (None: all)."""

    id: str
    days: tuple[Day, ...] | None


@dataclass(frozen=True)
class Note:
    """What a commit says of itself (Delta's `userMetadata`): the progress of the table it belongs to.

    `consumed` maps a source table to its Delta table id and the version up to which this table holds it.
    `planned` is the version the writer planned from; `recordless` the source files that were read and held no record (path → size, milliseconds);
    `positions` how far each part of a source has been read, where rows alone don't tell it (see `sources.protocol`);
    `rejudged` the last times that records may have moved between Silver and quarantine, oldest first: both tables tell the same, or one lacks something.
    `judged` tells what the records of this commit were judged by, `placed` by what the table's rows were given their dates (empty: not all by the same).
    """

    run: str
    contract: str
    planned: int
    consumed: dict[str, tuple[str, int]] = field(default_factory=dict)
    recordless: dict[str, tuple[int, int]] = field(default_factory=dict)
    positions: dict[str, Position] = field(default_factory=dict)
    rejudged: tuple[Rejudged, ...] = ()
    judged: str = ""
    placed: str = ""

    def to_json(self) -> str:
        """The note as the commit carries it."""
        return json.dumps({"lakehouse": 1, **asdict(self)}, separators=(",", ":"), sort_keys=True, default=str)  # a day is a date

    @staticmethod
    def parse(text: str | None) -> Note | None:
        """The note in a commit's metadata, or None when the commit is not the platform's."""
        try:
            found = json.loads(text or "null")
        except ValueError:
            return None
        if not isinstance(found, dict) or found.get("lakehouse") != 1:
            return None
        consumed = {table: (str(source), int(version)) for table, (source, version) in found.get("consumed", {}).items()}
        recordless = {path: (int(size), int(millis)) for path, (size, millis) in found.get("recordless", {}).items()}
        rejudged = tuple(Rejudged(str(r["id"]), None if r["days"] is None else tuple(map(_day, r["days"]))) for r in found.get("rejudged", ()))
        own = (str(found["run"]), str(found["contract"]), int(found["planned"]))
        return Note(*own, consumed, recordless, dict(found.get("positions", {})), rejudged, str(found.get("judged", "")), str(found.get("placed", "")))


@dataclass(frozen=True)
class TableState:
    """A Delta table at its newest version: what a run plans from."""

    table: Table
    id: str
    version: int
    transaction: int  # how many commits the platform made: the compare-and-swap token
    note: Note | None  # None: nothing recorded, or nothing that can be trusted
    data: int = -1  # the newest version that changed rows: what keeps a table in order comes after it and changes none
    properties: Mapping[str, str] = field(default_factory=dict)
    comment: str = ""

    def holds(self, source: TableState) -> bool:
        """Whether this table holds all rows of `source`."""
        after = self.consumed(source)
        return after is not None and after >= source.data

    def consumed(self, source: TableState) -> int | None:
        """The version of `source` that this table holds; None: start over (never consumed, or `source` was made anew)."""
        entry = self.note.consumed.get(str(source.table)) if self.note else None
        return entry[1] if entry and entry[0] == source.id and entry[1] <= source.version else None

    def after(self, version: int, note: Note) -> Self:
        """The state that a commit of the platform's on this one has made."""
        return replace(self, version=version, transaction=self.transaction + 1, note=note, data=version)


@dataclass(frozen=True)
class Changes:
    """The partitions that a range of commits touched: rows only added, or rows (also) removed; and what they added.

    `files` are the data files below the table's folder, `rows` is how many rows these were written with.
    """

    appended: frozenset[Day]
    replaced: frozenset[Day]
    files: tuple[str, ...] = ()
    rows: int = 0

    @property
    def days(self) -> frozenset[Day]:
        """All of them."""
        return self.appended | self.replaced


def open_table(table: Table, version: int | None = None) -> DeltaTable | None:
    """The table at a version (None: the newest), or None when there is no table. Raises `DataError` when its log can't be understood here, `StorageError`."""
    location = table.location(settings().warehouse)
    try:
        with explained(location):
            return DeltaTable(location, version=version, storage_options=delta_options(location))
    except TableNotFoundError:
        return None
    except DeltaError as error:
        raise _not_understood(table, str(error)) from error


def _not_understood(table: Table, said: str) -> DataError:
    if "Unsupported" in said:
        return DataError(
            f"{table} needs more of Delta's protocol than this version knows: {said.rpartition('Unsupported: ')[2]}.",
            state="It was neither read nor changed.",
            next_step="Use the version that gave the table this feature, or a newer one; or go back to a copy from before (docs/deploy.md).",
        )
    return DataError(
        f"The log of {table} can't be read: {said.splitlines()[0]}.",
        state="It was neither read nor changed.",
        next_step=f"See {table.location(settings().warehouse)}/_delta_log. A file that is damaged or missing comes from a copy (docs/deploy.md).",
    )


def state(table: Table) -> TableState | None:
    """What a run plans from; None when the table does not exist."""
    delta = open_table(table)
    return state_of(table, delta) if delta is not None else None


def state_of(table: Table, delta: DeltaTable) -> TableState:
    """The same of a table that is open."""
    said, commits = delta.metadata(), _Commits(delta)
    # Sorted: delta-rs gives them in another order each time, and what a look has seen is told apart by its text.
    properties = {k: v for k, v in sorted(said.configuration.items()) if v is not None}
    own = (_newest_note(delta.version(), commits), _newest_data(delta.version(), commits), properties, said.description or "")
    return TableState(table, str(said.id), delta.version(), delta.transaction_version(APP) or 0, *own)


class _Commits:
    """What a table's commits say of themselves, from the newest back; read in stretches that grow, as far as somebody asks."""

    def __init__(self, delta: DeltaTable) -> None:
        self._delta, self._limit, self._whole = delta, 16, False
        self._read: dict[int, dict[str, Any]] = {}

    def at(self, version: int) -> dict[str, Any] | None:
        """The commit of a version; None where the log has it no more."""
        while version not in self._read and not self._whole:
            self._read = {int(e["version"]): e for e in self._delta.history(self._limit)}
            self._whole = len(self._read) < self._limit
            self._limit *= 4
        return self._read.get(version)


def _newest_data(version: int, commits: _Commits) -> int:
    """The newest version that changed rows; where only maintenance is left in the log, the oldest version of it."""
    while (entry := commits.at(version)) is not None and entry.get("operation") in _MAINTENANCE:
        version -= 1
    return version if entry is not None else version + 1


def _newest_note(version: int, commits: _Commits) -> Note | None:
    """The note of the newest commit that has one, walking over maintenance commits, and over a RESTORE to the version it went back to.

    A note whose run planned before a RESTORE and committed after it does not describe the data: None. So is one in a part of the log that is gone.
    """
    while (entry := commits.at(version)) is not None:
        if entry.get("operation") == "RESTORE":
            went_back = restored(entry)
            if went_back is None:
                return None
            version = went_back
            continue
        note = Note.parse(entry.get("userMetadata"))
        if note is not None:
            between = (commits.at(v) for v in range(note.planned + 1, version))
            return None if any(e is not None and e.get("operation") == "RESTORE" for e in between) else note
        if entry.get("operation") not in _MAINTENANCE:
            return None  # somebody else wrote data: what this table holds is not what a note says
        version -= 1
    return None


def restored(entry: Mapping[str, Any]) -> int | None:
    """The version that a RESTORE went back to; None for one to a time, of which the log has the time alone."""
    version = str((entry.get("operationParameters") or {}).get("version"))
    return int(version) if version.isdigit() else None


def last_run(table: Table) -> str | None:
    """The run that made the newest commit, or None when it was not the platform's."""
    delta = open_table(table)
    if delta is None:
        return None
    note = Note.parse(delta.history(1)[0].get("userMetadata"))
    return note.run if note else None


def changes(table: Table, after: int, until: int, column: str | None) -> Changes | None:
    """The partitions of `column` touched by the commits `after < version <= until`; None when one of these commits is gone from the log.

    Without `column` (an unpartitioned table) a touch is the partition None.
    """
    added: set[Day] = set()
    removed: set[Day] = set()
    files: list[str] = []
    rows = 0
    for version in range(after + 1, until + 1):
        found = actions(table, version)
        if found is None:
            return None
        for action in found:
            for kind, days in (("add", added), ("remove", removed)):
                body: dict[str, Any] | None = action.get(kind)
                if body and body.get("dataChange", True):
                    days.add(_day((body.get("partitionValues") or {}).get(column)) if column else None)
                    if kind == "add":
                        files.append(unquote(body["path"]))
                        rows += json.loads(body.get("stats") or "{}").get("numRecords", 0)
    return Changes(frozenset(added - removed), frozenset(removed), tuple(files), rows)


def actions(table: Table, version: int) -> list[dict[str, Any]] | None:
    """What a commit says, action by action; None when it is gone from the log."""
    location = table.location(settings().warehouse)
    system, root = filesystem(location)
    try:
        with explained(location):
            return [json.loads(line) for line in system.cat_file(f"{root}/_delta_log/{version:020d}.json").decode().splitlines()]
    except FileNotFoundError:
        return None


def _day(value: str | date | None) -> Day:
    return date.fromisoformat(value) if isinstance(value, str) and value else (value or None)


def rows_by_partition(delta: DeltaTable, column: str | None) -> dict[Day, int]:
    """Row counts per partition from file statistics; for an unpartitioned table one entry, None."""
    actions = pa.table(delta.get_add_actions(flatten=True))
    if actions.num_rows == 0:
        return {}
    if column is None:
        return {None: int(pc.sum(actions["num_records"]).as_py() or 0)}
    name = f"partition.{column}"
    counted = actions.group_by(name).aggregate([("num_records", "sum")])
    return {_day(d): int(n or 0) for d, n in zip(counted[name].to_pylist(), counted["num_records_sum"].to_pylist(), strict=True)}


def rows(table: Table, version: int) -> int:
    """How many rows a version of the table has, from file statistics."""
    delta = open_table(table, version)
    return sum(rows_by_partition(delta, None).values()) if delta is not None else 0


def filled_shares(table: Table, version: int) -> dict[str, float]:
    """The share of rows that have a value, by column, in a version of the table; of columns that file statistics tell of."""
    delta = open_table(table, version)
    found = pa.table(delta.get_add_actions(flatten=True)) if delta is not None else None
    count = pc.sum(found["num_records"]).as_py() if found is not None and found.num_rows else 0
    if found is None or not count:
        return {}
    names = [n for n in found.column_names if n.startswith("null_count.")]
    return {n.removeprefix("null_count."): 1 - (pc.sum(found[n]).as_py() or 0) / count for n in names if found[n].null_count == 0}


def greatest(table: Table, version: int, column: str) -> int | None:
    """The greatest value of a whole number column in a version of the table, from file statistics; None when there is none."""
    delta = open_table(table, version)
    actions = pa.table(delta.get_add_actions(flatten=True)) if delta is not None else None
    name = f"max.{column}"
    return pc.max(actions[name]).as_py() if actions is not None and actions.num_rows and name in actions.column_names else None


def advanced(note: Note | None, run: str, contract: str, planned: int, consumed: dict[str, tuple[str, int]]) -> Note:
    """The next note: everything the last one knew, with what this run consumed on top."""
    base = note or Note(run, contract, planned)
    return replace(base, run=run, contract=contract, planned=planned, consumed={**base.consumed, **consumed})


def filled(table: Table, column: str) -> int:
    """How many rows have a value in a column of single values, from file statistics; files without the column have none."""
    return sum(n for n, _ in _filled(table, column))


def filled_until(table: Table, column: str, before: date) -> int:
    """Of rows with a value in a date column those in files whose greatest value lies before a day."""
    return sum(n for n, greatest_ in _filled(table, column) if greatest_ is not None and greatest_ < before)


def _filled(table: Table, column: str) -> list[tuple[int, date | None]]:
    """For each file how many rows have a value in a column, and the greatest."""
    delta = open_table(table)
    actions = pa.table(delta.get_add_actions(flatten=True)) if delta is not None else None
    names = (f"null_count.{column}", f"max.{column}")
    if actions is None or not set(names) <= set(actions.column_names):
        return []
    nulls, most = (actions[name].to_pylist() for name in names)
    rows_ = actions["num_records"].to_pylist()
    return [(n - empty, top) for n, empty, top in zip(rows_, nulls, most, strict=True) if n is not None and empty is not None]


def may_lose(table: Table, after: int, until: int) -> bool:
    """Whether the commits `after < version <= until` may have taken keys away: a MERGE of the platform's never does, anything else that removed files may.
    So may more commits than are worth reading one by one.
    """
    if until - after > MOST_READ:
        return True
    for version in range(after + 1, until + 1):
        found = actions(table, version)
        if found is None:
            return True
        merge = any((action.get("commitInfo") or {}).get("operation") == "MERGE" for action in found)
        if not merge and any((action.get("remove") or {}).get("dataChange", False) for action in found):
            return True
    return False
