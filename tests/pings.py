"""A small table, `ping` by files or `pong` by Kafka, whose records repeat, come late and are broken; and what must become of them, in plain Python."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from tests.integration.conftest import Lake

FIRST = date(2026, 3, 1)
_CONTRACT = """\
apiVersion: v3.2.0
kind: DataContract
id: {id}
name: {name}
version: 1.0.0
status: active
domain: test
description: {{purpose: Pings.}}
servers: [{server}]
schema:
  - name: {name}
    physicalType: table
    description: One row per ping.
    properties:
      - {{name: id, logicalType: string, required: true, primaryKey: true, primaryKeyPosition: 1, description: Number.}}
      - {{name: at, logicalType: timestamp, required: true, description: When.}}
      - {{name: seq, logicalType: integer, description: Order.}}
      - {{name: day, logicalType: date, required: true, partitioned: true, partitionKeyPosition: 1, transformLogic: cast(at as date), description: Day.}}
customProperties:
  - {{property: kind, value: event}}
  - {{property: source, value: {source}}}
  - {{property: partition, value: {{start: '2026-01-01'}}}}
  - {{property: lateness, value: {{days: 1}}}}
  - {{property: dedupe, value: {{orderBy: [seq]}}}}
"""
BY_FILES = _CONTRACT.format(
    id="00000000-0000-4000-8000-000000000001",
    name="ping",
    server="{server: landing, type: local, path: ping, format: json}",
    source="{pattern: '**/*.json'}",
)
BY_KAFKA = _CONTRACT.format(
    id="00000000-0000-4000-8000-000000000002",
    name="pong",
    server="{server: stream, type: kafka, host: services, format: json}",
    source="{topic: pong}",
)


def portion(turn: int, rng: random.Random, rows: int = 200) -> Iterator[tuple[date, str]]:
    """Three times a day of arrival and lines: new keys, keys that come again, late ones, one broken line."""
    for _ in range(3):
        day = FIRST + timedelta(days=rng.randrange(3))
        made = [{"id": f"k{rng.randrange(300)}", "at": f"{day - timedelta(days=rng.choice([0, 0, 1, 2]))}T10:00:00Z", "seq": turn} for _ in range(rows)]
        yield day, "".join(json.dumps(r) + "\n" for r in made) + '{"id": \n'


def produce(brokers: str, portions: Iterable[tuple[date, str]]) -> None:
    """Send them to the topic of `pong`, stamped with their days; made where it is not there, and without an end to what it keeps."""
    topics = AdminClient({"bootstrap.servers": brokers})
    for future in topics.create_topics([NewTopic("pong", 2, config={"retention.ms": "-1"})]).values():
        if not isinstance(error := future.exception(), KafkaException) or error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            future.result()
    producer = Producer({"bootstrap.servers": brokers})
    for day, lines in portions:
        at = int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp() * 1000)
        for line in lines.splitlines():
            producer.produce("pong", line.encode(), timestamp=at)
    assert producer.flush(30) == 0


def truth(arrived: Iterable[tuple[date, str]]) -> tuple[dict[tuple[str, str], int], int]:
    """Of all portions: the winner's sequence by identity, how many are refused."""
    refused, winners = 0, dict[tuple[str, str], int]()
    for arrival, lines in arrived:
        for line in lines.splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                refused += 1
                continue
            day = row["at"][:10]
            if (arrival - date.fromisoformat(day)).days > 1:
                refused += 1
                continue
            key = (row["id"], day)
            winners[key] = max(winners.get(key, -1), row["seq"])
    return winners, refused


def check(lake: Lake, name: str, arrived: Iterable[tuple[date, str]]) -> None:
    """Hold Bronze, Silver and quarantine against what arrived."""
    arrived = list(arrived)
    winners, refused = truth(arrived)
    sent = Counter(line for _, lines in arrived for line in lines.splitlines())
    assert Counter(line for (line,) in lake.sql(f"bronze.{name}", "select _payload from t")) == sent
    assert {(k, str(d)): s for k, d, s in lake.sql(f"silver.{name}", "select id, day, seq from t")} == winners
    assert lake.sql(f"silver.{name}", "select count(*) from t") == [(len(winners),)]
    assert lake.sql(f"quarantine.{name}", "select count(*) from t") == [(refused,)]
