"""Kafka topics as a source: what is new is an offset range per topic partition, from the table's own progress to the brokers' newest committed record.

Offsets that are gone before they were read, and a topic made anew, are errors that name what is missing; never a silent jump.
Not here: asking the brokers (`broker`), the table's progress (`progress`), reading (`records`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts.model import Contract, KafkaSource
from lakehouse.engine.metadata import Position, TableState
from lakehouse.errors import SourceError, SourceShrank
from lakehouse.sources.kafka import broker
from lakehouse.sources.kafka.broker import Part, Topics
from lakehouse.sources.kafka.options import brokers_of
from lakehouse.sources.kafka.progress import Held, Progress, held_by, named, progress_of
from lakehouse.sources.kafka.records import Ranges, fields_of, read
from lakehouse.sources.protocol import Amount, Batch, Look, Portion, Unreadable
from lakehouse.tables import Field


@dataclass(frozen=True)
class KafkaPortion(Portion):
    """Offset ranges to read together, and the progress once they are in.

    Of a rebuild: only records of `only` (Bronze days), and at least as many as the table holds (`held`), unless that is empty.
    """

    contract: Contract
    source: KafkaSource
    ranges: Ranges
    reached: Mapping[str, Position]
    only: frozenset[date] = frozenset()
    held: Mapping[Part, Held] = field(default_factory=dict)

    @property
    def amount(self) -> Amount:
        """Offsets: where a topic is compacted or written in transactions, not each of them is a record."""
        return Amount(records=sum(after - first for first, after in self.ranges.values()))

    @property
    def positions(self) -> Mapping[str, Position]:
        """Topic/partition → next offset, topic → id."""
        return self.reached

    def read(self, spark: SparkSession) -> Batch:
        """The records. Raises `SourceShrank` when a rebuild finds fewer than the table holds."""
        if not self.ranges:
            return Batch(None, self)
        rows = read(spark, self.source, self.contract.start, self.ranges)
        return Batch(self._of_days(spark, rows) if self.only else rows, self)

    def _of_days(self, spark: SparkSession, rows: DataFrame) -> DataFrame:
        rows = rows.where(F.col("_source_date").isin(sorted(self.only)))
        # A record that was ahead of its time when it arrived has no day, and keeps none.
        undated = spark.table(self.contract.bronze.sql).where("_source_date is null").select("_source", "_source_position")
        rows = rows.join(undated, ["_source", "_source_position"], "left_anti").select(*[f.name for f in fields_of(self.source)])
        if self.held:
            try:
                found = {r[0]: r[1] for r in rows.groupBy("_source").count().collect()}
            except PySparkException as error:
                self.without(error)
                raise
            fewer = {named(part): held.count - found.get(named(part), 0) for part, held in self.held.items()}
            _refuse(self.contract, {part: n for part, n in fewer.items() if n > 0})
        return rows

    def without(self, error: PySparkException) -> tuple[Portion, Unreadable] | None:
        """Offsets have no parts to set aside. Raises `SourceError` for what the brokers refuse."""
        if any(sign in str(error) for sign in ("org.apache.kafka", "sql.kafka010", "KAFKA_")):
            raise broker.unreachable(self.source, RuntimeError(str(error).split("JVM stacktrace")[0].strip().splitlines()[0][:300])) from error
        return None


@dataclass(frozen=True)
class Kafka:
    """The topics of a contract."""

    contract: Contract
    source: KafkaSource

    @property
    def place(self) -> str:
        """Brokers and topic."""
        return f"{brokers_of(self.source)}/{self.source.topic or self.source.topic_pattern}"

    @property
    def fields(self) -> tuple[Field, ...]:
        """The raw record with key and headers, and the envelope."""
        return fields_of(self.source)

    def look(self, state: TableState | None, *, full: bool = False, force: bool = False) -> Look:
        """What the brokers have beyond the table's progress."""
        progress, topics = progress_of(state), broker.look(self.source)
        lost = list(_lost(progress, topics))
        if lost and not force:
            raise self._gap(lost)
        starts = {part: _start(progress, topics, part) for part in topics.offsets}
        gone = tuple(sorted(progress.topics - set(topics.ids)))
        return Look(tuple(self._portions(progress, topics, starts)), vanished=gone, passed_over=tuple(lost), oldest=lambda: self._oldest(topics, starts))

    def _oldest(self, topics: Topics, starts: Mapping[Part, int]) -> datetime | None:
        """The time of the oldest record that each partition goes on with; a time that has no day says nothing."""
        times = broker.times(self.source, {part: start for part, start in starts.items() if start < topics.offsets[part][1]})
        return min((at for at in times if at.date() >= self.contract.start), default=None)

    def _portions(self, progress: Progress, topics: Topics, starts: Mapping[Part, int]) -> Iterator[Portion]:
        """Equal shares of what each topic partition has, so that all of them advance together."""
        after = {part: topics.offsets[part][1] for part in starts}
        total = sum(after[part] - start for part, start in starts.items())
        shares = -(-total // self.source.max_records)
        for n in range(shares):
            cut = {part: [start + (after[part] - start) * m // shares for m in (n, n + 1)] for part, start in starts.items()}
            ranges = {part: (first, end) for part, (first, end) in cut.items() if end > first}
            yield KafkaPortion(self.contract, self.source, ranges, progress.after({part: end for part, (_, end) in cut.items()}, topics).positions)

    def _gap(self, lost: list[str]) -> SourceError:
        more = f" (and {len(lost) - 3:,} more)" if len(lost) > 3 else ""
        return SourceError(
            f"Kafka no longer has what {self.contract.bronze} has not read: {'; '.join(lost[:3])}{more}.",
            state=f"{self.contract.bronze} is unchanged; nothing was passed over.",
            next_step=f"Have it sent again, if it can be. To go on without it, once: lakehouse sync {self.contract.name} --force",
        )

    def again(self, state: TableState, days: Collection[date], *, force: bool = False) -> Look:
        """The offsets that can hold records of these days, of those that the table has read."""
        progress, topics = progress_of(state), broker.look(self.source)
        held = held_by(state, days)
        missing = {named(part): _missing(progress, topics, part, h) for part, h in held.items()}
        if not force:
            _refuse(self.contract, {part: n for part, n in missing.items() if n})
        read_so_far = [part for part in topics.offsets if part in progress.offsets and not _anew(progress, topics, part[0])]
        begin, end = (broker.since(self.source, read_so_far, day) for day in (min(days), max(days) + timedelta(days=1)))
        ranges = {}
        for part in read_so_far:
            low, until = topics.offsets[part][0], min(topics.offsets[part][1], progress.offsets[part])
            first, last = (h.first, h.last) if (h := held.get(part)) else (until, -1)
            # Times may go up and down along a partition: the first record of a day is known by its time, the last only by what was read of the day.
            start = max(low, min(first, _or(begin[part], until)))
            after = min(until, max(last + 1, _or(end[part], until)))
            if after > start:
                ranges[part] = (start, after)
        return Look((KafkaPortion(self.contract, self.source, ranges, progress.positions, frozenset(days), {} if force else held),))


def _or(offset: int | None, otherwise: int) -> int:
    return otherwise if offset is None else offset


def _start(progress: Progress, topics: Topics, part: Part) -> int:
    """Where to go on: at the table's progress; in a partition that was added at its beginning; never before what the brokers have."""
    low, after = topics.offsets[part]
    known = progress.offsets.get(part, 0)
    return low if known > after or _anew(progress, topics, part[0]) else max(known, low)


def _anew(progress: Progress, topics: Topics, topic: str) -> bool:
    return progress.ids.get(topic, topics.ids[topic]) != topics.ids[topic]


def _lost(progress: Progress, topics: Topics) -> Iterator[str]:
    """What was there after the table's progress and is there no more, in words. A table that has read nothing of a topic can lose nothing of it."""
    anew = {topic for topic in progress.topics & set(topics.ids) if _anew(progress, topics, topic)}
    yield from (f"topic {topic} was deleted and made anew since it was read, and what came last may be lost" for topic in sorted(anew))
    for part, (low, after) in sorted(topics.offsets.items()):
        known = progress.offsets.get(part, 0)
        if part[0] not in progress.topics or part[0] in anew:
            continue
        if known > after:
            yield f"{named(part)} was read up to offset {known - 1:,} and now ends at {after - 1:,}: it was made anew or cut off"
        elif low > known:
            yield f"offsets {known:,} to {low - 1:,} of {named(part)} ({low - known:,} records) have expired"


def _missing(progress: Progress, topics: Topics, part: Part, held: Held) -> int:
    """How many records of those held the brokers have no more, going by offsets."""
    if part not in topics.offsets or _anew(progress, topics, part[0]) or topics.offsets[part][1] <= held.last:
        return held.count
    return min(held.count, max(0, topics.offsets[part][0] - held.first))


def _refuse(contract: Contract, fewer: Mapping[str, int]) -> None:
    if not fewer:
        return
    part, n = next(iter(sorted(fewer.items())))
    more = f", and of {len(fewer) - 1:,} more partitions" if len(fewer) > 1 else ""
    raise SourceShrank(
        f"{contract.bronze} holds records that Kafka no longer has, such as {n:,} of {part}{more}: a rebuild would lose them.",
        state=f"{contract.bronze} is unchanged.",
        next_step="The layers above can be rebuilt from Bronze without it. To lose the records on purpose, repeat the rebuild with --force.",
    )
