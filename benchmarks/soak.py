"""Events for minutes while processes are killed at random moments: `python -m benchmarks.soak --rate 1000 --seconds 600 --each 40`.

A lake under `lakehouse up` with a real broker. The engine, the daemon, the code server, the follower (whose passes are the runs) and the broker die by
SIGKILL, one after another; only the broker is started again from here. At the end the topics are read from their beginning by a plain consumer and held
against what DuckDB finds in the tables' files: each record once in Bronze, each id once in Silver or refused, and all of Silver counted in Gold.
With `--backfill DAYS` so many days before today are in the topics as well, and are rebuilt with today in all layers while the events come;
`--each 0` kills nothing.
Not here: latency without faults (`benchmarks.latency`).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from datetime import time as daytime
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any

import duckdb
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from benchmarks.latency import PROJECT, latencies, live_lake, run
from demo import live

TOPICS = {"sensor_reading": ("factory.sensor-readings", "reading_id"), "web_click": ("shop.web-clicks", "click_id")}
VICTIMS = {name: f"run/{name}.json" for name in ("dagster-daemon", "dagster-code", "stream-follower", "kafka")} | {"engine": "engine.json"}
REBUILT = "bronze/sensor_reading+ or bronze/web_click+"
HISTORY = 2_000  # readings a day of the days before today, and half as many clicks
GOLD = "select coalesce(sum(readings), 0) from t"
BEFORE_REBUILD = 60.0  # seconds of the flow alone, to compare with
PATIENCE = 300.0  # seconds without anything moving
QUIET = 60.0  # seconds in which nothing came any more
POLL = 0.5


@dataclass
class Soak:
    """A lake under load, what was killed when, and what Gold counted when."""

    home: Path
    environment: dict[str, str]
    dice: Random
    killed: list[tuple[float, str]] = field(default_factory=list)
    seen: list[tuple[float, int]] = field(default_factory=list)

    def kill(self, began: float) -> None:
        """One process, by its file; the broker comes back at once, since its sender is part of the load."""
        victim = self.dice.choice(sorted(VICTIMS))
        with suppress(OSError, ValueError, KeyError):  # it is away already
            os.kill(json.loads((self.home / VICTIMS[victim]).read_text())["pid"], signal.SIGKILL)
            self.killed.append((round(time.time() - began, 1), victim))
            print(f"{self.killed[-1][0]:6.1f} s  kill -9 {victim}", file=sys.stderr, flush=True)
        if victim == "kafka":
            run(self.environment, "-m", "lakehouse", "services", "start", "kafka")

    def look(self) -> int:
        """What Gold counts now, from its files."""
        counted = int(self.sql("gold", "fct_machine_health_hourly", GOLD)[0][0])
        if not self.seen or counted > self.seen[-1][1]:
            self.seen.append((time.time(), counted))
        return counted

    def sql(self, layer: str, table: str, query: str) -> list[tuple[Any, ...]]:
        """A query over a table, which it calls `t`."""
        with suppress(TableNotFoundError), duckdb.connect() as connection:
            connection.register("t", DeltaTable(self.home / "warehouse" / layer / table).to_pyarrow_dataset())
            return connection.execute(query).fetchall()
        return [(0,)]


def reader(brokers: str) -> Consumer:
    """A consumer that leaves no trace at the broker."""
    return Consumer({"bootstrap.servers": brokers, "group.id": "soak", "enable.auto.commit": False})


def extents(consumer: Consumer, topic: str) -> dict[int, tuple[int, int]]:
    """The first offset of each partition, and the one after its last."""
    partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
    return {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=30) for p in partitions}


def sent(brokers: str, topic: str) -> Iterator[tuple[str, int, bytes]]:
    """Every record of a topic: topic/partition, offset, value."""
    consumer = reader(brokers)
    for partition, (low, after) in extents(consumer, topic).items():
        consumer.assign([TopicPartition(topic, partition, low)])
        while low < after:
            for record in consumer.consume(min(10_000, after - low), timeout=30):
                yield f"{topic}/{partition}", record.offset(), record.value()
                low = record.offset() + 1
    consumer.close()


def verdict(soak: Soak, brokers: str, table: str) -> dict[str, int]:
    """How many records are lost, double or strange in Bronze, and ids lost or double in Silver; all 0 when the promises hold."""
    topic, key = TOPICS[table]
    records, ids = set[tuple[str, int, str]](), set[str]()
    for source, offset, value in sent(brokers, topic):
        records.add((source, offset, hashlib.md5(value).hexdigest()))
        ids.add(json.loads(value)[key])
    bronze = soak.sql("bronze", table, "select _source, _source_position, md5(_payload) from t")
    silver = [i for (i,) in soak.sql("silver", table, f"select {key} from t")]
    refused = {json.loads(payload)[key] for (payload,) in soak.sql("quarantine", table, "select _payload from t")}
    return {
        "sent": len(records),
        "bronze_lost": len(records - set(bronze)),
        "bronze_double_or_strange": len(bronze) - len(set(bronze) & records),
        "silver": len(silver),
        "refused": len(refused),
        "silver_lost": len(ids - set(silver) - refused),
        "silver_double_or_strange": len(silver) - len(set(silver) & ids),
    }


@dataclass(frozen=True)
class Plan:
    """What is sent (`rate`: readings a second, with half as many clicks), how often something is killed (mean seconds; 0: never), what is rebuilt."""

    rate: float
    seconds: float
    each: float
    days: int
    seed: int


def send_history(brokers: str, days: int, dice: Random) -> None:
    """Readings and clicks of the days before today, stamped with these days, into topics that keep them."""
    admin = AdminClient({"bootstrap.servers": brokers})
    topics = [NewTopic(topic, live.PARTITIONS, config={"retention.ms": "-1"}) for topic in live.TOPICS.values()]
    for made in admin.create_topics(topics).values():
        made.result()
    producer, today = Producer({"bootstrap.servers": brokers, "linger.ms": 20}), datetime.now(UTC).date()
    for day in (today - timedelta(days=n) for n in range(days, 0, -1)):
        for number in range(HISTORY):
            at = datetime.combine(day, daytime(), UTC) + timedelta(days=1) * number / HISTORY
            for make, topic in ((live.reading, "sensor_reading"), *[(live.click, "web_click")] * (number % 2)):
                key, record = make(number, at, dice)
                producer.produce(live.TOPICS[topic], live.json_line(record), key, timestamp=int(at.timestamp() * 1000))
        if producer.flush(60):
            raise RuntimeError("the broker did not take the days before")


@dataclass
class Backfill:
    """A rebuild beside the load, followed to its end."""

    process: subprocess.Popen[str]
    began: float
    ended: float = 0.0

    def look(self) -> None:
        """Note when it ended."""
        if not self.ended and self.process.poll() is not None:
            self.ended = time.time()

    def outcome(self) -> dict[str, Any]:
        """What the command said at its end."""
        said, _ = self.process.communicate(timeout=6 * PATIENCE)
        self.look()
        return {**json.loads(said), "from": round(self.began), "took": round(self.ended - self.began, 1)}


def backfill(found: Soak, days: int) -> Backfill:
    """Ask the daemon for these days and today, in which the events come, in all layers of both tables."""
    first = datetime.now(UTC).date() - timedelta(days=days)
    command = [sys.executable, "-m", "lakehouse", "backfill", REBUILT, "--from", str(first), "--json"]
    began = time.time()
    return Backfill(subprocess.Popen(command, cwd=PROJECT, env=found.environment, stdout=subprocess.PIPE, text=True), began)


def soak(home: Path, plan: Plan) -> dict[str, Any]:
    """Load, faults and a rebuild, then the verdict."""
    with live_lake(home) as environment:
        from lakehouse.services import kafka

        brokers, found = kafka.address(home), Soak(home, environment, Random(plan.seed))
        send = [sys.executable, "-m", "demo.live", "send", "--brokers", brokers]
        if plan.days:
            send_history(brokers, plan.days, found.dice)
        run(environment, *send[1:], "--seconds", "2")
        run(environment, "-m", "lakehouse", "sync")
        run(environment, "-m", "lakehouse", "up")
        try:
            before, began = found.look(), time.time()
            sender = subprocess.Popen(
                [*send, "--rate", str(plan.rate * 1.5), "--seconds", str(plan.seconds)], cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL
            )
            rebuilt = load(found, began, plan)
            sender.wait(2 * PATIENCE)
            outcome = rebuilt.outcome() if rebuilt else None
            settled = settle(found, brokers)
            verdicts = {table: verdict(found, brokers, table) for table in TOPICS}
        finally:
            run(environment, "-m", "lakehouse", "down")
    seen = [(began, before), *[s for s in found.seen if s[1] > before]]
    pairs = list(zip(seen, seen[1:], strict=False))
    beside = [p for p in pairs if rebuilt and rebuilt.began <= p[1][0] <= rebuilt.ended]
    good = settled and not any(n for v in verdicts.values() for name, n in v.items() if name.endswith(("_lost", "_strange")))
    return {
        "good": good and (outcome is None or outcome["status"] == "COMPLETED_SUCCESS"),
        "rate": plan.rate * 1.5,
        "seconds": plan.seconds,
        "killed": found.killed,
        "tables": verdicts,
        "gold_is_silver": settled,
        "latency": spread(pairs, began, plan.rate, before),
        **({"backfill": outcome, "latency_beside": spread(beside, began, plan.rate, before)} if outcome else {}),
    }


def spread(pairs: list[tuple[tuple[float, int], tuple[float, int]]], began: float, rate: float, before: int) -> dict[str, float] | None:
    """Seconds from event to Gold, of the events counted between these pairs of looks."""
    took = sorted(chain.from_iterable(latencies(list(pair), began, rate, before) for pair in pairs))
    return {"p50": round(statistics.median(took), 1), "p95": round(took[int(len(took) * 0.95)], 1), "most": round(took[-1], 1)} if took else None


def load(found: Soak, began: float, plan: Plan) -> Backfill | None:
    """Watch Gold, kill, and a minute after the beginning rebuild, until the sending is over. The rebuild, where there is one."""
    following, rebuilt = began + plan.each if plan.each else math.inf, None
    while time.time() < began + plan.seconds:
        with suppress(OSError, duckdb.Error, DeltaError):  # a file that was replaced while it was read
            found.look()
        if time.time() > following:
            found.kill(began)
            following = time.time() + found.dice.uniform(0.5, 1.5) * plan.each
        if plan.days and rebuilt is None and time.time() > began + BEFORE_REBUILD:
            rebuilt = backfill(found, plan.days)
        if rebuilt:
            rebuilt.look()
        time.sleep(POLL)
    return rebuilt


def settle(found: Soak, brokers: str) -> bool:
    """Until Bronze has as many records as the topics, Gold counts every reading of Silver, and a minute long nothing comes: True. False when, short of that,
    nothing has moved for `PATIENCE` seconds: a machine that is behind is given its time, since what is late is not lost."""
    consumer = reader(brokers)
    wanted = {table: sum(after - low for low, after in extents(consumer, topic).values()) for table, (topic, _) in TOPICS.items()}
    consumer.close()
    last, moved = None, time.time()
    while time.time() < moved + PATIENCE:
        with suppress(OSError, duckdb.Error, DeltaError):
            there = {table: int(found.sql("bronze", table, "select count(*) from t")[0][0]) for table in TOPICS}
            silver, gold = int(found.sql("silver", "sensor_reading", "select count(*) from t")[0][0]), found.look()
            if (there, silver, gold) != last:
                last, moved = (there, silver, gold), time.time()
            if time.time() > moved + QUIET and there == wanted and gold == silver:
                return True
        time.sleep(POLL)
    return False


def main() -> int:
    """Read the options, do it, print the result as JSON. Returns 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak")
    parser.add_argument("--rate", type=float, default=667.0, help="readings a second; half as many clicks on top (default %(default)s: 1,000 events a second)")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--each", type=float, default=40.0, help="mean seconds between two kills; 0: none")
    parser.add_argument("--backfill", type=int, default=0, metavar="DAYS", help="rebuild so many days before today, and today, while the events come")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--home", type=Path, default=None)
    options = parser.parse_args()
    home = options.home or Path(tempfile.mkdtemp(prefix="soak-"))
    home.mkdir(parents=True, exist_ok=True)
    result = soak(home, Plan(options.rate, options.seconds, options.each, options.backfill, options.seed))
    print(json.dumps(result, indent=1))
    return 0 if result["good"] else 1


if __name__ == "__main__":
    sys.exit(main())
