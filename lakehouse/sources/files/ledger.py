"""Which files a Bronze table already holds, read from the table itself; so progress can't disagree with the data.

Reads three dictionary-encoded columns of the partitions in question, without Spark. Not here: what to do about it (`bronze.ingest`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa

from lakehouse.contracts.model import Contract, FileSource
from lakehouse.engine.metadata import Day, Note
from lakehouse.errors import SourceShrank
from lakehouse.sources.files.listing import SourceFile, root_of
from lakehouse.sources.held import columns, data_files

if TYPE_CHECKING:  # only its name: the engine alone opens tables
    from deltalake import DeltaTable


@dataclass(frozen=True)
class Entry:
    """A file as Bronze holds it."""

    stamp: tuple[int, int]
    day: Day


@dataclass(frozen=True)
class Difference:
    """The source held against the ledger: what is new, what changed since it was read, what the source no longer has."""

    new: tuple[SourceFile, ...]
    changed: tuple[SourceFile, ...]
    vanished: tuple[str, ...]


def read_ledger(table: DeltaTable | None, note: Note | None, days: Collection[Day] | None) -> dict[str, Entry]:
    """The files in these partitions (None: all), and those that were read and held no record."""
    entries = {path: Entry(stamp, None) for path, stamp in (note.recordless if note else {}).items()}
    for read, day in columns(table, days, "_source", "_source_size", "_source_time") if table is not None else ():
        for path, size, time in _distinct(read):
            entries[path] = Entry((size, time), day)
    return entries


def _distinct(read: pa.Table) -> list[tuple[str, int, int]]:
    grouped = read.group_by(["_source", "_source_size", "_source_time"]).aggregate([])
    times = grouped["_source_time"].cast(pa.timestamp("ms", "UTC"), safe=False).cast(pa.int64())
    return list(zip(grouped["_source"].to_pylist(), grouped["_source_size"].to_pylist(), times.to_pylist(), strict=True))


def compare(files: Collection[SourceFile], ledger: dict[str, Entry], days: Collection[Day]) -> Difference:
    """New and changed files of a listing, and the ledger's files of `days` that the listing lacks."""
    new = tuple(f for f in files if f.path not in ledger)
    changed = tuple(f for f in files if f.path in ledger and ledger[f.path].stamp != f.stamp)
    listed = {f.path for f in files}
    vanished = tuple(sorted(path for path, entry in ledger.items() if path not in listed and entry.day in days and entry.day is not None))
    return Difference(new, changed, vanished)


def shrank(contract: Contract, source: FileSource, gone: Sequence[str]) -> SourceShrank:
    """What a rebuild says that would lose records of these files."""
    return SourceShrank(
        f"{contract.bronze} holds records of {len(gone):,} files that the source no longer has, such as {gone[0]}: a rebuild would lose them.",
        state=f"{contract.bronze} is unchanged.",
        next_step=f"Put the files back below {root_of(source)}; or, to lose them on purpose, repeat the rebuild with --force.",
    )


def newest_day(table: DeltaTable | None) -> date | None:
    """The newest partition that holds anything."""
    days = [d for _, d in data_files(table, None) if d is not None] if table is not None else []
    return max(days, default=None)
