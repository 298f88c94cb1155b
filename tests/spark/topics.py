"""Topics of a real broker that remember what was sent to them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from lakehouse.contracts.model import Contract, KafkaSource

if TYPE_CHECKING:
    from tests.spark.conftest import Lake

DAY = date(2026, 1, 5)
KEEP = {"retention.ms": "-1", "message.timestamp.after.max.ms": str(2**63 - 1)}  # whatever times the records carry


@dataclass
class Topic:
    """A topic of its own for each test, and what was sent to it: (partition, key, value, day)."""

    brokers: str
    name: str
    sent: list[tuple[int, bytes | None, bytes | None, date]] = field(default_factory=list)

    @cached_property
    def admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.brokers})  # kept: its answers die with it

    def create(self, partitions: int) -> None:
        for future in self.admin.create_topics([NewTopic(self.name, partitions, config=KEEP)]).values():
            future.result()

    def send(self, value: Any, *, partition: int = 0, key: bytes | None = None, day: date = DAY, twice: bool = False) -> None:
        data = value if isinstance(value, bytes) or value is None else json.dumps(value).encode()
        producer = Producer({"bootstrap.servers": self.brokers})
        at = int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp() * 1000)
        for _ in range(1 + twice):
            producer.produce(self.name, data, key, partition, timestamp=at, headers=[("from", b"test")], on_delivery=_delivered)
            self.sent.append((partition, key, data, day))
        assert producer.flush(30) == 0

    def expire(self, partition: int, before: int) -> None:
        for future in self.admin.delete_records([TopicPartition(self.name, partition, before)]).values():
            future.result()

    def contract(self, lake: Lake, **source: Any) -> Contract:
        return lake.events(source=KafkaSource(self.brokers, topic=self.name, **source))


def _delivered(error: Any, _: Any) -> None:
    assert error is None, error
