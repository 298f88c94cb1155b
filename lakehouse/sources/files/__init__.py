"""Files as a source: what is new is a listing held against the table's own ledger; a portion is a bounded number of files.

Here: what is new, and how it is cut into portions. Not here: listing (`listing`), what the table holds (`ledger`), reading (`records`),
files that are snapshots of a table (`snapshots`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from lakehouse.contracts.model import Contract, FileSource
from lakehouse.engine import metadata
from lakehouse.engine.metadata import Day, TableState
from lakehouse.sources.files import snapshots
from lakehouse.sources.files.ledger import Difference, Entry, compare, newest_day, read_ledger, shrank
from lakehouse.sources.files.listing import EPOCH, SourceFile, list_files, root_of
from lakehouse.sources.files.records import blamed, read
from lakehouse.sources.protocol import CHANGE, Amount, Batch, Look, Portion, Unreadable, envelope
from lakehouse.tables import Field

_ENVELOPE = (
    *envelope("Path of the file below the source's folder.", "Row in the file, where the format has one.", "When the file was last modified."),
    Field("_source_size", "bigint", "Bytes of the file."),
)
_OF_SNAPSHOTS = envelope(
    "Path of the snapshot's file below the source's folder; of several files what their paths begin with.",
    "The moment of the snapshot, in microseconds since 1970; of a delete one less.",
    "The moment of the snapshot.",
)


@dataclass(frozen=True)
class FilePortion(Portion):
    """Files to read together. `known`: the paths of those that were read before, whose rows are replaced. `again`: the days of a rebuild."""

    contract: Contract
    source: FileSource
    files: tuple[SourceFile, ...]
    known: frozenset[str] = frozenset()
    again: frozenset[date] = frozenset()

    @property
    def amount(self) -> Amount:
        """Files and bytes."""
        return Amount(files=len(self.files), bytes=sum(f.size for f in self.files))

    @property
    def days(self) -> frozenset[Day]:
        """The files' days."""
        return frozenset(f.day for f in self.files)

    @property
    def replaces(self) -> str | None:
        """Only the known files' own rows, and the days of a rebuild: a neighbour that vanished from the source stays."""
        replaced = [f.path for f in self.files if f.path in self.known]
        paths = ", ".join("'" + path.replace("\\", "\\\\").replace("'", "\\'") + "'" for path in replaced)
        days = ", ".join(f"date'{d}'" for d in sorted(self.again))
        return (f"_source_date in ({days}) or " if days else "") + f"_source in ({paths})" if replaced else None

    def read(self, spark: SparkSession) -> Batch:
        """The records; files that can't be opened are set aside."""
        rows, files, unreadable = read(spark, self.source, self.contract.start, self.files)
        return Batch(rows, replace(self, files=files), unreadable)

    def without(self, error: PySparkException) -> tuple[Portion, Unreadable] | None:
        """Without the file that Spark names."""
        culprit = blamed(error, self.files)
        if culprit is None:
            return None
        why = str(error).split("JVM stacktrace")[0].strip().splitlines()[0][:300]
        return replace(self, files=tuple(f for f in self.files if f != culprit)), Unreadable(culprit.path, why)

    def recordless(self) -> Mapping[str, tuple[int, int]]:
        """The files that were read and held no record, so that they aren't new again."""
        ledger = read_ledger(metadata.open_table(self.contract.bronze), None, {None, *self.days})
        return {f.path: f.stamp for f in self.files if f.path not in ledger}


@dataclass(frozen=True)
class Files:
    """The files of a contract."""

    contract: Contract
    source: FileSource

    @property
    def place(self) -> str:
        """The folder."""
        return root_of(self.source)

    @property
    def fields(self) -> tuple[Field, ...]:
        """The raw record of text formats, and the envelope."""
        raw = (Field("_payload", "string", "The raw record."),) if self.source.is_text else ()
        header = (Field("_header", "string", "The header line of the record's file."),) if self.source.format == "csv" else ()
        return (*raw, *header, *CHANGE, *_OF_SNAPSHOTS) if self.source.compared else (*raw, *header, *_ENVELOPE)

    def look(self, state: TableState | None, *, full: bool = False, force: bool = False) -> Look:
        """New and changed files. Folders older than the contract's look-back before the newest Bronze day are not listed, unless `full`."""
        if self.source.compared:
            return snapshots.look(self.contract, self.source, state, full=full, force=force)
        table = metadata.open_table(self.contract.bronze, state.version) if state is not None else None
        newest = newest_day(table)
        # A file from a clock that is ahead must not move the look-back beyond the days that are still being written.
        since = None if full or newest is None else min(newest, datetime.now(UTC).date()) - timedelta(days=self.source.lookback_days)
        listing = list_files(self.source, self.contract.start, since)
        days: set[Day] = {None, *(f.day for f in listing.files)}
        # A file dated by its modification time moves to another day when it changes: look for it everywhere.
        ledger = read_ledger(table, state.note if state else None, None if self.source.date_pattern is None else days)
        found = compare([f for f in listing.files if f.size], ledger, _days_since(ledger, since))
        return Look(
            tuple(self._portions(found)),
            [(f.path, f.stamp) for f in (*found.new, *found.changed)],
            tuple(f.path for f in found.changed),
            found.vanished,
            listing.hidden,
            oldest=lambda: min((EPOCH + timedelta(milliseconds=f.millis) for f in (*found.new, *found.changed)), default=None),
        )

    def _portions(self, found: Difference) -> Iterator[Portion]:
        """Files in portions of bounded number and size, changed ones first."""
        known = frozenset(f.path for f in found.changed)
        for files in (found.changed, found.new):
            portion: list[SourceFile] = []
            size = 0
            for file in files:
                if portion and (len(portion) >= self.source.max_files or size + file.size > self.source.max_bytes):
                    yield FilePortion(self.contract, self.source, tuple(portion), known)
                    portion, size = [], 0
                portion.append(file)
                size += file.size
            if portion:
                yield FilePortion(self.contract, self.source, tuple(portion), known)

    def again(self, state: TableState, days: Collection[date], *, force: bool = False) -> Look:
        """The files of these days. Raises `SourceShrank` when the table has some that the source no longer has."""
        if self.source.compared:
            return snapshots.again(self.contract, self.source, state, days, force=force)
        listing = list_files(self.source, self.contract.start, min(days))
        files = tuple(f for f in listing.files if f.day in days and f.size)
        # By their paths' dates files stay where they are, but for those that had no day yet; by their times they move with each change.
        held = read_ledger(metadata.open_table(self.contract.bronze, state.version), None, {None, *days} if self.source.date_pattern else None)
        gone = sorted({path for path, entry in held.items() if entry.day in days} - {f.path for f in files})
        elsewhere = frozenset(f.path for f in files if f.path in held and held[f.path].day not in days)
        if gone and not force:
            raise shrank(self.contract, self.source, gone)
        return Look((FilePortion(self.contract, self.source, files, elsewhere, frozenset(days)),), hidden=listing.hidden)


def _days_since(ledger: dict[str, Entry], since: date | None) -> set[Day]:
    return {e.day for e in ledger.values() if e.day and (since is None or e.day >= since)}
