"""What the brokers say of topics, asked without Spark: which there are, their ids, offsets and times. Not here: what follows from that (`Kafka`)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from time import monotonic
from typing import Any

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Consumer, IsolationLevel, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]  # public, but not marked so

from lakehouse.contracts.model import KafkaSource
from lakehouse.errors import ServerAway, SourceError
from lakehouse.sources.kafka.options import brokers_of, client_options

TIMEOUT = 10.0  # seconds for one question
TIMES_TIMEOUT = 2.0  # for one that nobody waits for
Part = tuple[str, int]  # topic and partition


@dataclass(frozen=True)
class Topics:
    """The topics of a source: the id of each, which a topic that is made anew does not keep, and per partition the first offset there is and the next one.

    The next one is the first that a reader of committed records could not read yet.
    """

    ids: Mapping[str, str]
    offsets: Mapping[Part, tuple[int, int]]


def look(source: KafkaSource) -> Topics:
    """The source's topics as they are now. Raises `SourceError` when there is none, or no broker answers."""
    try:
        return _look(source)
    except KafkaException as error:
        raise unreachable(source, error) from error


def _look(source: KafkaSource) -> Topics:
    admin = _admin(brokers_of(source), tuple(client_options().items()))
    try:
        listed = admin.list_topics(timeout=TIMEOUT).topics
    except KafkaException as error:
        raise unreachable(source, error, ServerAway) from error
    found = [t for t in listed if _is_of(source, t)]
    if not found:
        raise SourceError(
            f"There is no topic {source.topic or source.topic_pattern} at {brokers_of(source)}.",
            state="Nothing was read or written.",
            next_step="Create the topic, or correct it in the contract's property source.",
        )
    described = {t: f.result() for t, f in admin.describe_topics(TopicCollection(found), request_timeout=TIMEOUT).items()}
    parts = [(t, p.id) for t, d in described.items() for p in d.partitions]
    first = _offsets(admin, parts, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
    after = _offsets(admin, parts, OffsetSpec.latest())  # type: ignore[no-untyped-call]
    return Topics({t: str(d.topic_id) for t, d in described.items()}, {part: (first[part], after[part]) for part in parts})


def _is_of(source: KafkaSource, topic: str) -> bool:
    return topic == source.topic if source.topic_pattern is None else re.fullmatch(source.topic_pattern, topic) is not None


def since(source: KafkaSource, parts: Iterable[Part], day: date) -> dict[Part, int | None]:
    """Per partition the first offset whose record's time is not before that day (UTC); None when there is none. Raises `SourceError`."""
    millis = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)
    try:
        found = _offsets(_admin(brokers_of(source), tuple(client_options().items())), parts, OffsetSpec.for_timestamp(millis))
    except KafkaException as error:
        raise unreachable(source, error) from error
    return {part: offset if offset >= 0 else None for part, offset in found.items()}


def times(source: KafkaSource, starts: Mapping[Part, int]) -> list[datetime]:
    """Of each partition the time of its first committed record from that offset on; what a broker does not tell in time is left out."""
    own = {"group.id": "lakehouse", "enable.auto.commit": False, "enable.partition.eof": True, "isolation.level": "read_committed"}
    few = {"max.partition.fetch.bytes": 1024, "queued.min.messages": 1}  # one record is asked for
    consumer = Consumer({"bootstrap.servers": brokers_of(source), "log_level": 0, **own, **few, **client_options()})
    try:
        consumer.assign([TopicPartition(*part, start) for part, start in starts.items()])
        return list(_first_times(consumer, set(starts)))
    finally:
        consumer.close()


def _first_times(consumer: Consumer, awaited: set[Part]) -> Iterator[datetime]:
    deadline = monotonic() + TIMES_TIMEOUT
    while awaited and monotonic() < deadline:
        record = consumer.poll(0.1)
        if record is None:
            continue
        part = (str(record.topic()), int(record.partition() or 0))
        kind, millis = record.timestamp()
        if record.error() is None and part in awaited and kind != TIMESTAMP_NOT_AVAILABLE:
            yield datetime.fromtimestamp(millis / 1000, UTC)
        if part in awaited:
            awaited.discard(part)
            consumer.pause([TopicPartition(*part)])


def _offsets(admin: AdminClient, parts: Iterable[Part], spec: Any) -> dict[Part, int]:
    asked = {TopicPartition(*part): spec for part in parts}
    answers = admin.list_offsets(asked, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=TIMEOUT) if asked else {}
    return {(tp.topic, tp.partition): future.result().offset for tp, future in answers.items()}


@lru_cache(maxsize=8)
def _admin(brokers: str, options: tuple[tuple[str, str], ...]) -> AdminClient:
    # Its own log lines (a broker that is away, said every second) would go to the terminal; what it can't do it also raises.
    return AdminClient({"bootstrap.servers": brokers, "log_level": 0, "socket.timeout.ms": int(TIMEOUT * 1000), **dict(options)})


def unreachable(source: KafkaSource, error: Exception, kind: type[SourceError] = SourceError) -> SourceError:
    """The error for brokers that don't answer, or refuse."""
    said = error.args[0].str() if isinstance(error, KafkaException) and error.args else str(error)
    return kind(
        f"Kafka at {brokers_of(source)} does not answer as it should: {said}",
        state="Nothing was read or written.",
        next_step="See that the brokers run and that LAKEHOUSE_KAFKA_OPTIONS_FILE (TLS, SASL) fits them; then run the same command again.",
    )
