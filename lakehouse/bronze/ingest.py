"""Taking records into Bronze: the increment (what is new at the source) and the rebuild (exactly these days).

Each write is one commit that carries the progress; what is already in is read from the table.
Not here: Dagster (`bronze.assets`), how records are read (`sources`).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from lakehouse.bronze.ledger import Difference, Entry, compare, newest_day, read_ledger
from lakehouse.contracts.model import Contract
from lakehouse.engine import metadata
from lakehouse.engine.delta import Commit, Overtaken, Shape, ensure_table
from lakehouse.engine.metadata import Day, Note, TableState
from lakehouse.errors import SourceError, SourceShrank, WriteConflict
from lakehouse.sources.files import SourceFile, list_files, root_of
from lakehouse.sources.records import Batch, Unreadable, blamed, read
from lakehouse.tables import Field

ATTEMPTS = 5
_ENVELOPE = (
    Field("_source", "string", "Path of the file below the source's folder."),
    Field("_source_position", "bigint", "Row in the file, where the format has one."),
    Field("_source_time", "timestamp", "When the file was last modified."),
    Field("_source_size", "bigint", "Bytes of the file."),
    Field("_ingested_at", "timestamp", "When the platform took the record in."),
    Field("_source_date", "date", "The Bronze day; empty when the source gives no date within the contract's range."),
)

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Ingested:
    """What a run took in: the days it touched, files and bytes, and what it found wrong with the source."""

    version: int | None
    days: frozenset[Day] = frozenset()
    files: int = 0
    bytes: int = 0
    changed: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    unreadable: tuple[Unreadable, ...] = field(default=())


def shape(contract: Contract) -> Shape:
    """The Bronze table as it is made; typed formats add their own columns with the first write."""
    raw = (Field("_payload", "string", "The raw record."),) if contract.source.is_text else ()
    header = (Field("_header", "string", "The header line of the record's file."),) if contract.source.format == "csv" else ()
    return Shape((*raw, *header, *_ENVELOPE), "_source_date", f"What arrived for {contract.name}, as it arrived.")


def pending(contract: Contract, *, full: bool = False) -> tuple[Difference, tuple[str, ...]]:
    """What the source has that Bronze lacks, and the hidden files beside it; without Spark.

    Folders older than the contract's look-back before the newest Bronze day are not listed, unless `full`.
    """
    table = metadata.open_table(contract.bronze)
    state = metadata.state(contract.bronze) if table is not None else None
    newest = newest_day(table)
    since = None if full or newest is None else newest - timedelta(days=contract.source.lookback_days)
    listing = list_files(contract, since)
    days: set[Day] = {None, *(f.day for f in listing.files)}
    # A file dated by its modification time moves to another day when it changes: look for it everywhere.
    ledger = read_ledger(table, state.note if state else None, None if contract.source.date_pattern is None else days)
    return compare([f for f in listing.files if f.size], ledger, _days_since(ledger, since)), listing.hidden


def _days_since(ledger: dict[str, Entry], since: date | None) -> set[Day]:
    return {e.day for e in ledger.values() if e.day and (since is None or e.day >= since)}


def ingest(spark: SparkSession, contract: Contract, run: str, *, full: bool = False, progress: Progress | None = None) -> Ingested:
    """Take in every new and changed file, in commits of bounded size.

    Files that can't be read are named in the result; everything else is in. Raises `SourceError`, `WriteConflict`.
    """
    difference, hidden = pending(contract, full=full)
    total = Ingested(None, hidden=hidden, vanished=difference.vanished, changed=tuple(f.path for f in difference.changed))
    bad: set[str] = set()
    for attempt in range(ATTEMPTS):
        try:
            for files, is_change in _portions(contract, difference, bad):
                total = _take_in(spark, contract, run, files, is_change, total)
                bad |= {u.path for u in total.unreadable}
                if progress:
                    progress(f"{contract.bronze}: {total.files:,} files, {total.bytes / 1e6:,.0f} MB")
            return total
        except Overtaken:
            difference, _ = pending(contract, full=full)
            if attempt == ATTEMPTS - 1:
                break
    raise WriteConflict(
        f"{contract.bronze} was written by another run {ATTEMPTS} times while this one tried.",
        state="Nothing of this run's last portion was written; nothing is lost.",
        next_step=f"When the other run is done: lakehouse sync {contract.name}",
    )


def _portions(contract: Contract, difference: Difference, bad: set[str]) -> Iterator[tuple[list[SourceFile], bool]]:
    """Files in portions of bounded number and size, changed ones first."""
    for files, is_change in ((difference.changed, True), (difference.new, False)):
        portion: list[SourceFile] = []
        size = 0
        for file in (f for f in files if f.path not in bad):
            if portion and (len(portion) >= contract.source.max_files or size + file.size > contract.source.max_bytes):
                yield portion, is_change
                portion, size = [], 0
            portion.append(file)
            size += file.size
        if portion:
            yield portion, is_change


def _take_in(spark: SparkSession, contract: Contract, run: str, files: Sequence[SourceFile], is_change: bool, total: Ingested) -> Ingested:
    """One portion in one commit; files that Spark can't read are set aside one by one."""
    unreadable = list(total.unreadable)
    left = list(files)
    while left:
        batch = read(spark, contract, left)
        unreadable += batch.unreadable
        if batch.rows is None:
            break
        state = ensure_table(spark, contract.bronze, shape(contract))
        try:
            version = _write(spark, contract, state, _next_note(state, run, contract), batch, is_change)
        except PySparkException as error:
            culprit = blamed(error, batch.files)
            if culprit is None:
                raise
            unreadable.append(Unreadable(culprit.path, _reason(error)))
            left = [f for f in batch.files if f != culprit]
            continue
        version = _remember_recordless(spark, contract, run, batch.files, version)
        return replace(
            total,
            version=version,
            days=total.days | {f.day for f in batch.files},
            files=total.files + len(batch.files),
            bytes=total.bytes + sum(f.size for f in batch.files),
            unreadable=tuple(unreadable),
        )
    return replace(total, unreadable=tuple(unreadable))


def _write(spark: SparkSession, contract: Contract, state: TableState, note: Note, batch: Batch, is_change: bool) -> int:
    assert batch.rows is not None
    commit, typed = Commit(spark, state, note), not contract.source.is_text
    if not is_change:
        return commit.append(batch.rows, new_columns=typed and _may_grow(contract, state))
    # Only the changed files' own rows are replaced: a neighbour that vanished from the source stays.
    paths = ", ".join("'" + f.path.replace("\\", "\\\\").replace("'", "\\'") + "'" for f in batch.files)
    return commit.replace(batch.rows, f"_source in ({paths})", new_columns=typed and _may_grow(contract, state))


def _may_grow(contract: Contract, state: TableState) -> bool:
    return contract.schema_evolution == "addOnly" or state.note is None


def _next_note(state: TableState, run: str, contract: Contract) -> Note:
    return metadata.advanced(state.note, f"{run}/{uuid.uuid4().hex[:8]}", contract.version, state.version, {})


def _remember_recordless(spark: SparkSession, contract: Contract, run: str, files: Sequence[SourceFile], version: int) -> int:
    """Note the files that were read and held no record, so that they aren't new again; they leave no row to be found by."""
    state = metadata.state(contract.bronze)
    table = metadata.open_table(contract.bronze)
    if state is None or table is None:
        return version
    ledger = read_ledger(table, None, {None, *(f.day for f in files)})
    silent = {f.path: f.stamp for f in files if f.path not in ledger}
    if not silent:
        return version
    note = _next_note(state, run, contract)
    empty = spark.table(contract.bronze.sql).limit(0)
    return Commit(spark, state, replace(note, recordless={**note.recordless, **silent})).append(empty)


def rebuild(spark: SparkSession, contract: Contract, days: Collection[date], run: str, *, force: bool = False) -> Ingested:
    """Read exactly these days anew from the source and replace them in one commit.

    Raises `SourceShrank` when the source no longer has files that the table holds (unless `force`), `SourceError` when one can't be read.
    """
    wanted = set(days)
    for _ in range(ATTEMPTS):
        listing = list_files(contract, min(wanted))
        files = [f for f in listing.files if f.day in wanted and f.size]
        state = ensure_table(spark, contract.bronze, shape(contract))
        _refuse_less(contract, wanted, files, force)
        batch = read(spark, contract, files)
        if batch.unreadable:
            raise _unreadable(contract, batch.unreadable)
        rows = batch.rows if batch.rows is not None else spark.table(contract.bronze.sql).limit(0)
        where = "_source_date in ({})".format(", ".join(f"date'{d}'" for d in sorted(wanted)))
        try:
            version = Commit(spark, state, _next_note(state, run, contract)).replace(rows, where, new_columns=not contract.source.is_text)
        except Overtaken:
            continue
        except PySparkException as error:
            culprit = blamed(error, files)
            if culprit is None:
                raise
            raise _unreadable(contract, (Unreadable(culprit.path, _reason(error)),)) from error
        version = _remember_recordless(spark, contract, run, batch.files, version)
        return Ingested(version, frozenset(wanted), len(files), sum(f.size for f in files), hidden=listing.hidden)
    raise WriteConflict(
        f"{contract.bronze} was written by other runs {ATTEMPTS} times while this rebuild tried.", state=f"{contract.bronze} holds what they wrote."
    )


def _refuse_less(contract: Contract, days: set[date], files: Sequence[SourceFile], force: bool) -> None:
    held = read_ledger(metadata.open_table(contract.bronze), None, set(days))
    gone = sorted(set(held) - {f.path for f in files})
    if gone and not force:
        raise SourceShrank(
            f"{contract.bronze} holds records of {len(gone):,} files that the source no longer has, such as {gone[0]}: a rebuild would lose them.",
            state=f"{contract.bronze} is unchanged.",
            next_step=f"Put the files back below {root_of(contract.source)}; or, to lose them on purpose, repeat the rebuild with --force.",
        )


def _unreadable(contract: Contract, files: Sequence[Unreadable]) -> SourceError:
    first = files[0]
    return SourceError(
        f"{root_of(contract.source)}/{first.path} can't be read: {first.why}" + (f" (and {len(files) - 1:,} more files)" if len(files) > 1 else ""),
        state=f"{contract.bronze} is unchanged.",
        next_step=f"Replace or remove the file, then run the same command again, or: lakehouse sync {contract.name}",
    )


def _reason(error: Exception) -> str:
    return str(error).split("JVM stacktrace")[0].strip().splitlines()[0][:300]
