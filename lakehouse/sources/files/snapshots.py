"""Files that are snapshots of a table: those of one moment are all of it. Bronze gets what differs from the snapshot before, deletes included.

The moment of a snapshot is in its paths, so that a copy of it, or one that comes late, is of the same moment. A late snapshot, and one whose files changed, is
put where it belongs: what it and the one after it tell is written anew, and Bronze is as if all had come in order. Which snapshots are in, and of which
files they were, stands in the commits' notes: a snapshot that differs in nothing leaves no row.

What would count rows as deleted that may be there is not taken: a snapshot that is empty, that lacks more keys than the contract allows, that has records which
can't be read, or a file that can't. Not here: comparing (`differences`), listing (`listing`), reading (`records`).
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from os.path import commonprefix

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from lakehouse.contracts.model import Contract, FileSource
from lakehouse.engine import metadata
from lakehouse.engine.kept import kept
from lakehouse.engine.metadata import Day, Position, TableState
from lakehouse.sources.files import differences
from lakehouse.sources.files.differences import Place, micros
from lakehouse.sources.files.ledger import shrank
from lakehouse.sources.files.listing import EPOCH, Listing, SourceFile, list_files
from lakehouse.sources.files.records import blamed, read
from lakehouse.sources.held import columns
from lakehouse.sources.protocol import Amount, Batch, Look, Portion, Unreadable

_MOST = 16  # snapshots that one commit takes
Held = Mapping[datetime, str]  # what is in: of each moment the files it was of (`Snapshot.said`)


@dataclass(frozen=True)
class Snapshot:
    """The files of one moment. `name` is the path of the one file, or what the paths of several begin with."""

    moment: datetime
    name: str
    files: tuple[SourceFile, ...]

    @property
    def prints(self) -> frozenset[str]:
        """Each file's path, size and time, in few letters."""
        return frozenset(hashlib.sha256(f"{f.path}\n{f.size}\n{f.millis}".encode()).hexdigest()[:8] for f in self.files)

    @property
    def said(self) -> str:
        """What a note keeps of it."""
        return f"{' '.join(sorted(self.prints))}|{self.name}"


@dataclass(frozen=True)
class SnapshotPortion(Portion):
    """Snapshots to hold against those before and after them. `gone`: moments whose records are given up; `days`: those that are made anew, if any."""

    contract: Contract
    source: FileSource
    snapshots: tuple[Snapshot, ...]
    force: bool = False
    gone: frozenset[datetime] = frozenset()
    again: frozenset[date] = frozenset()
    where: str | None = None
    reached: Mapping[str, Position] = field(default_factory=dict)

    @property
    def amount(self) -> Amount:
        """Files and bytes."""
        return Amount(files=len(self._files), bytes=sum(f.size for f in self._files))

    @property
    def days(self) -> frozenset[Day]:
        """The days of the snapshots."""
        return frozenset(self.again or {s.moment.date() for s in self.snapshots})

    @property
    def replaces(self) -> str | None:
        """The records of these snapshots, and of those after them, where some are in; known once they were compared."""
        return self.where

    @property
    def positions(self) -> Mapping[str, Position]:
        """All snapshots that are in after this portion."""
        return self.reached

    @property
    def _files(self) -> tuple[SourceFile, ...]:
        return tuple(f for s in self.snapshots for f in s.files)

    def read(self, spark: SparkSession) -> Batch:
        """The differences. A snapshot that can't be taken is set aside whole, and the others are compared without it."""
        portion, aside = self, list[Unreadable]()
        state = metadata.state(self.contract.bronze)  # not of the look: the portions before this one are in by now
        held = _held(self.contract, state)
        while portion.snapshots or portion.gone:
            done = portion._compared(spark, state, held)
            if isinstance(done, Batch):
                return replace(done, unreadable=tuple(aside))
            portion, culprits = done
            aside += culprits
        return Batch(None, portion, tuple(aside))

    def _compared(self, spark: SparkSession, state: TableState | None, held: Held) -> Batch | tuple[SnapshotPortion, tuple[Unreadable, ...]]:
        """The differences; or this portion without a snapshot that can't be taken, and why."""
        read_: dict[datetime, differences.Records] = {}
        for snapshot in self.snapshots:
            files = tuple(f for f in snapshot.files if f.size)
            rows, _, unreadable = read(spark, self.source, self.contract.start, files)
            if unreadable:
                return self._but(snapshot), unreadable
            read_[snapshot.moment] = differences.Records(rows, files)
        moments = sorted({*held, *read_} - self.gone)
        concerned = _concerned(moments, {*read_, *self.gone})
        line = differences.line(spark, self.contract, self.source, state, read_, {n: moments[n] for n in {*concerned, *(n - 1 for n in concerned)} if n >= 0})
        done = replace(self, where=self._where([moments[n] for n in concerned], held), reached=self._reached(held))
        if line is None:
            return Batch(spark.table(self.contract.bronze.sql).limit(0), done)
        with ExitStack() as stack:
            rows = stack.enter_context(kept(line))
            try:
                counts = differences.count(rows)
            except PySparkException as error:
                left = self.without(error)
                if left is None:
                    raise
                return left[0], (left[1],)
            for snapshot in self.snapshots:
                why = None if self.force or held.get(snapshot.moment) == snapshot.said else _refused(self.contract, moments.index(snapshot.moment), counts)
                if why:
                    return self._but(snapshot), (Unreadable(snapshot.name, why, "is not taken"),)
            names = {m: _called(said) for m, said in held.items()} | {s.moment: s.name for s in self.snapshots}
            told = differences.told(spark, rows, [Place(n, names[moments[n]], moments[n]) for n in concerned])
            return Batch(told, done, (), stack.pop_all().close)

    def _where(self, moments: Sequence[datetime], held: Held) -> str | None:
        places = ", ".join(f"{micros(m) - less}" for m in moments for less in (0, 1)) if any(m in held for m in moments) else ""
        days = ", ".join(f"date'{d}'" for d in sorted(self.again))
        return " or ".join([f"_source_position in ({places})"] * bool(places) + [f"_source_date in ({days})"] * bool(days)) or None

    def _reached(self, held: Held) -> dict[str, Position]:
        """An empty text is a moment that is given up: notes are merged."""
        return {m.isoformat(): said for m, said in {**held, **dict.fromkeys(self.gone, ""), **{s.moment: s.said for s in self.snapshots}}.items()}

    def _but(self, snapshot: Snapshot) -> SnapshotPortion:
        return replace(self, snapshots=tuple(s for s in self.snapshots if s != snapshot))

    def without(self, error: PySparkException) -> tuple[SnapshotPortion, Unreadable] | None:
        """Without the snapshot of the file that Spark names."""
        culprit = blamed(error, self._files)
        if culprit is None:
            return None
        why = str(error).split("JVM stacktrace")[0].strip().splitlines()[0][:300]
        return self._but(next(s for s in self.snapshots if culprit in s.files)), Unreadable(culprit.path, why)


def look(contract: Contract, source: FileSource, state: TableState | None, *, full: bool, force: bool) -> Look:
    """New and changed snapshots, in order. Folders older than the look-back before the newest that is in are not listed, unless `full`."""
    held = _held(contract, state)
    whole = full or not held or state is None or state.note is None
    since = None if whole else min(max(held), datetime.now(UTC)).date() - timedelta(days=source.lookback_days)
    listing = list_files(source, contract.start, since)
    found, odd = _found(source, listing, held)
    new = [s for s in found if s.moment not in held]
    fewer = [s for s in found if s.moment in held and s.prints < _prints(held[s.moment])]  # gone from the source one by one: that changes nothing
    changed = [s for s in found if s.moment in held and s not in fewer and s.prints != _prints(held[s.moment])]
    listed = {s.moment for s in found}
    vanished = [_called(said) for m, said in held.items() if m not in listed and (since is None or m.date() >= since)]
    files = [f for s in (*new, *changed) for f in s.files]
    return Look(
        tuple(SnapshotPortion(contract, source, tuple(some), force) for some in (*([s] for s in changed), *_bounded(source, new))),
        [(s.moment, s.said) for s in (*new, *changed)],
        tuple(s.name for s in changed),
        tuple(sorted([*vanished, *(_called(held[s.moment]) for s in fewer)])),
        listing.hidden,
        tuple(odd),
        oldest=lambda: min((EPOCH + timedelta(milliseconds=f.millis) for f in files), default=None),
    )


def again(contract: Contract, source: FileSource, state: TableState, days: Collection[date], *, force: bool) -> Look:
    """The snapshots of these days. Raises `SourceShrank` when the table has some that the source no longer has."""
    held = _held(contract, state)
    listing = list_files(source, contract.start, min(days))
    found, odd = _found(source, listing, held)
    found = [s for s in found if s.moment.date() in days]
    gone = sorted({m for m in held if m.date() in days} - {s.moment for s in found})
    if gone and not force:
        raise shrank(contract, source, [_called(held[m]) for m in gone])
    return Look((SnapshotPortion(contract, source, tuple(found), force, frozenset(gone), frozenset(days)),), hidden=listing.hidden, passed_over=tuple(odd))


def _held(contract: Contract, state: TableState | None) -> Held:
    """The snapshots that are in: as the note says or, without one, as far as records tell."""
    if state is None:
        return {}
    if state.note is not None:
        return {datetime.fromisoformat(m): str(said) for m, said in state.note.positions.items() if said}
    table = metadata.open_table(contract.bronze, state.version)
    read_ = [t["_source_time"].to_pylist() for t, _ in columns(table, None, "_source_time")] if table is not None else []
    return {m.astimezone(UTC): f"|{m:%Y-%m-%dT%H:%M:%SZ}" for times in read_ for m in set(times)}


def _prints(said: str) -> frozenset[str]:
    return frozenset(said.partition("|")[0].split())


def _called(said: str) -> str:
    return said.partition("|")[2]


def _found(source: FileSource, listing: Listing, held: Held) -> tuple[list[Snapshot], list[str]]:
    """The snapshots that are complete, in order; and what is odd, in words."""
    marks = {moment: f.path for f in listing.marks if (moment := _moment(source, f))}
    groups: dict[datetime, list[SourceFile]] = defaultdict(list)
    for moment in marks:
        groups[moment] = []
    lost = []
    for file in listing.files:
        moment = _moment(source, file)
        groups[moment].append(file) if moment else lost.append(file.path)
    made = [Snapshot(m, _name([f.path for f in files]) or marks[m], tuple(files)) for m, files in sorted(groups.items())]
    found = [s for s in made if source.complete is None or s.moment in marks]
    newest = max([s.moment for s in found] + list(held), default=None)
    odd = [f"{s.name} waits for {source.complete}, and a later snapshot is complete" for s in made if s not in found and newest and s.moment < newest]
    if lost:
        odd.append(f"{lost[0]}{f' and {len(lost) - 1:,} more files' if lost[1:] else ''}: no moment that a snapshot can have is in the path")
    return found, odd


def _name(paths: Sequence[str]) -> str:
    return paths[0] if len(paths) == 1 else f"{commonprefix(paths)}*" if paths else ""


def _moment(source: FileSource, file: SourceFile) -> datetime | None:
    """The moment of a file's snapshot: its day, and the time in its path where the contract says how to find that."""
    if file.day is None:
        return None
    at = re.search(source.time_pattern, file.path) if source.time_pattern else None
    try:
        hour, minute, second = [int(g or 0) for g in (*at.groups(), 0, 0)][:3] if at else (0, 0, 0)
        return datetime.combine(file.day, time(hour, minute, second), UTC) if at or not source.time_pattern else None
    except ValueError:
        return None


def _bounded(source: FileSource, snapshots: Iterable[Snapshot]) -> Iterator[list[Snapshot]]:
    some: list[Snapshot] = []
    for snapshot in snapshots:
        files = [f for s in (*some, snapshot) for f in s.files]
        if some and (len(some) >= _MOST or len(files) > source.max_files or sum(f.size for f in files) > source.max_bytes):
            yield some
            some = []
        some.append(snapshot)
    if some:
        yield some


def _concerned(moments: Sequence[datetime], touched: Collection[datetime]) -> list[int]:
    """The places in the order of moments whose records a touched snapshot decides: its own, and the next one's."""
    after = [next((n for n, m in enumerate(moments) if m > t), None) for t in touched]
    return sorted({*(n for n in after if n is not None), *(n for n, m in enumerate(moments) if m in touched)})


def _refused(contract: Contract, number: int, counts: Mapping[int, differences.Counts]) -> str | None:
    """Why a snapshot can't be taken without asking, or None."""
    source = contract.source
    assert isinstance(source, FileSource)
    before, own = (counts.get(n, differences.Counts()) for n in (number - 1, number))
    onward = f"Mend it; or, if it is right as it is: lakehouse sync {contract.name} --force"
    if own.unreadable:
        return f"{own.unreadable:,} of its records can't be read, or have no field of the key: the rows that they are would count as deleted. {onward}"
    if before.keys and not own.keys:
        return f"it has no record, and all {before.keys:,} keys would count as deleted. {onward}"
    if before.gone > source.max_gone * before.keys:
        return f"it lacks {before.gone:,} of the {before.keys:,} keys of the snapshot before, more than maxGone ({source.max_gone:.0%}). {onward}"
    return None
