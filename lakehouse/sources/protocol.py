"""What Bronze asks of a source, whatever it is: what is new, in bounded portions; these days once more; and the records of a portion.

A kind of source is

* a frozen dataclass in `contracts.model` (what a contract says of it, with `format` and `is_text`), read from YAML by `contracts.source`;
* a folder here with a `Source`, which `sources.source_of` makes from the contract, and its `Portion`.

Bronze, Silver, sensors and `status` know nothing more. The rules that keep a source exactly once:

* `look` and `again` plan from the `TableState` they are given and from nothing newer. Bronze commits a portion only on that very state (a
  compare-and-swap), and plans again when another run was faster.
* Progress that rows can't tell (offsets, a cursor) is in `Portion.positions`, which the commit's note keeps. Each portion carries the whole map as it
  is after that portion. A note may be missing (somebody else wrote, or a RESTORE overtook a run): then the source finds its progress in the table's own
  columns, and never starts over.
* Records carry the envelope (`envelope`); their Bronze day follows from the record alone.
* What can't be had is said: `Unreadable` for a part that others can do without, `SourceError` for all of it, `SourceShrank` for a rebuild that would lose
  records. A loss that a person accepts is asked for with `force`, and reported in `Look.passed_over`.

Here belongs what Bronze and a source say to each other. Not here: any one kind of source.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import reduce
from operator import add
from typing import Protocol

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from lakehouse.engine.metadata import Day, Position, TableState
from lakehouse.tables import Field


@dataclass(frozen=True)
class Amount:
    """How much there is, in the units that the source has: 0 where it has none of them."""

    files: int = 0
    bytes: int = 0
    records: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.files + other.files, self.bytes + other.bytes, self.records + other.records)

    def __str__(self) -> str:
        parts = [f"{self.files:,} files, {self.bytes / 1e6:,.0f} MB"] * bool(self.files) + [f"{self.records:,} records"] * bool(self.records)
        return ", ".join(parts) or "nothing"


@dataclass(frozen=True)
class Unreadable:
    """A part of a source (a file) that can't be read, or is not taken, and why; the other parts are."""

    path: str
    why: str
    said: str = "can't be read"

    def __str__(self) -> str:
        return f"{self.path} {self.said}: {self.why}"


def _nothing() -> None:
    """Most batches hold nothing open."""


def _unknown() -> datetime | None:
    """Not every source knows times."""
    return None


@dataclass(frozen=True)
class Batch:
    """The records of a portion. Columns: `Source.fields`; of typed formats also the source's own. None: nothing of it could be opened.

    `portion` is what the records are of: the portion without what was `unreadable`. `close` is called when they were written, or could not be.
    """

    rows: DataFrame | None
    portion: Portion
    unreadable: tuple[Unreadable, ...] = ()
    close: Callable[[], None] = field(default=_nothing)


class Portion(ABC):
    """A bounded part of a source, taken in by one commit. A value: reading it twice gives the same records."""

    @property
    @abstractmethod
    def amount(self) -> Amount:
        """How much it is, for people."""

    @property
    def days(self) -> frozenset[Day]:
        """The Bronze days it is known to concern before it is read; others are found in the commit."""
        return frozenset()

    @property
    def replaces(self) -> str | None:
        """SQL over the Bronze table: the rows that this portion's records take the place of. None: it only adds, or of `again` replaces its days."""
        return None

    @property
    def positions(self) -> Mapping[str, Position]:
        """The source's progress once this portion is in, whole; empty for sources whose rows tell it."""
        return {}

    @abstractmethod
    def read(self, spark: SparkSession) -> Batch:
        """Its records. Raises `SourceError`."""

    def without(self, error: PySparkException) -> tuple[Portion, Unreadable] | None:
        """This portion without the part that Spark failed on, and that part; None when the error is not about a part of it."""
        return None

    def recordless(self) -> Mapping[str, tuple[int, int]]:
        """Asked after the commit: parts that left no row to be found by (`Note.recordless`)."""
        return {}


@dataclass(frozen=True)
class Look:
    """What a source has that a table lacks, in the order to take it in; and what is odd about the source.

    `fingerprint` tells this work from other work on the same state of the table, so that a failed run is not asked for again at once; what arrives all
    the time stays out of it. `changed`, `vanished`: parts that are not as they were read, or are gone (their records stay). `hidden`: parts that
    are passed over by their name. `passed_over`: in words, what was lost before it was read and is given up, since that was asked for.
    `oldest`: when the oldest of the portions came to the source, None where nobody knows; it may ask the source once more: only who tells it pays for it.
    """

    portions: tuple[Portion, ...] = ()
    fingerprint: object = None
    changed: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    passed_over: tuple[str, ...] = ()
    oldest: Callable[[], datetime | None] = field(default=_unknown, compare=False)

    @property
    def amount(self) -> Amount:
        """All portions together."""
        return reduce(add, (p.amount for p in self.portions), Amount())

    def waited(self, now: datetime) -> float | None:
        """Seconds for which the oldest has waited: 0 when there is nothing, None when nobody knows."""
        if not self.portions:
            return 0.0
        since = self.oldest()
        return max((now - since).total_seconds(), 0.0) if since else None

    @property
    def days(self) -> frozenset[Day]:
        """The days that the portions are known to concern."""
        return frozenset().union(*(p.days for p in self.portions))


class Source(Protocol):
    """One contract's source."""

    @property
    def place(self) -> str:
        """Where it is, for people."""

    @property
    def fields(self) -> tuple[Field, ...]:
        """The columns of the Bronze table, envelope included; typed formats add their own with the first write."""

    def look(self, state: TableState | None, *, full: bool = False, force: bool = False) -> Look:
        """What is new for a table in this state (None: there is no table), without Spark. Raises `SourceError`.

        `full`: look beyond what usually changes. `force`: go on where the source has lost what was never read.
        """

    def again(self, state: TableState, days: Collection[date], *, force: bool = False) -> Look:
        """These days as the source has them, of what the table has taken in already: one portion.

        Raises `SourceShrank` when the table holds more of them (unless `force`).
        """


CHANGE = (  # beside each record of a source that is read in snapshots
    Field("_key", "string", "The row's key, as a JSON list; empty where the record can't be read."),
    Field("_op", "string", "What happened to it since the snapshot before: insert, update or delete (with what was last known)."),
)


def envelope(source: str, position: str, time: str) -> tuple[Field, ...]:
    """The platform's columns on each record, told what they mean for this kind of source."""
    return (
        Field("_source", "string", source),
        Field("_source_position", "bigint", position),
        Field("_source_time", "timestamp", time),
        Field("_ingested_at", "timestamp", "When the platform took the record in."),
        Field("_source_date", "date", "The Bronze day; empty when the source gives no date within the contract's range."),
    )
