"""Events for minutes while processes are killed at random moments: `python -m benchmarks.soak --rate 1000 --seconds 600 --each 40`.

A lake under `lakehouse up` with a real broker. The engine, the daemon, the code server, the follower (whose passes are the runs) and the broker die by
SIGKILL, one after another; only the broker is started again from here. At the end the topics are read from their beginning by a plain consumer and held
against what DuckDB finds in the tables' files: each record once in Bronze, each id once in Silver or refused, and all of Silver counted in Gold.
Not here: latency without faults (`benchmarks.latency`).
"""

from __future__ import annotations

import argparse
import hashlib
import json
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
from pathlib import Path
from random import Random
from typing import Any

import duckdb
from confluent_kafka import Consumer, TopicPartition
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from benchmarks.latency import PROJECT, latencies, live_lake, run

TOPICS = {"sensor_reading": ("factory.sensor-readings", "reading_id"), "web_click": ("shop.web-clicks", "click_id")}
VICTIMS = {name: f"run/{name}.json" for name in ("dagster-daemon", "dagster-code", "stream-follower", "kafka")} | {"engine": "engine.json"}
GOLD = "select coalesce(sum(readings), 0) from t"
PATIENCE = 300.0  # seconds for the last events
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


def sent(brokers: str, topic: str) -> Iterator[tuple[str, int, bytes]]:
    """Every record of a topic: topic/partition, offset, value."""
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "soak", "enable.auto.commit": False})
    for partition in consumer.list_topics(topic, timeout=30).topics[topic].partitions:
        low, after = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)
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


def soak(home: Path, rate: float, seconds: float, each: float, seed: int) -> dict[str, Any]:
    """Load and faults, then the verdict. `rate`: readings a second, with half as many clicks; `each`: mean seconds between two kills."""
    with live_lake(home) as environment:
        from lakehouse.services import kafka

        brokers, found = kafka.address(home), Soak(home, environment, Random(seed))
        send = [sys.executable, "-m", "demo.live", "send", "--brokers", brokers]
        run(environment, *send[1:], "--seconds", "2")
        run(environment, "-m", "lakehouse", "sync")
        run(environment, "-m", "lakehouse", "up")
        try:
            before, began = found.look(), time.time()
            sender = subprocess.Popen([*send, "--rate", str(rate * 1.5), "--seconds", str(seconds)], cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL)
            load(found, began, seconds, each)
            sender.wait(PATIENCE)
            settled = settle(found)
            verdicts = {table: verdict(found, brokers, table) for table in TOPICS}
        finally:
            run(environment, "-m", "lakehouse", "down")
    took = sorted(latencies([(began, before), *[s for s in found.seen if s[1] > before]], began, rate, before))
    good = settled and not any(n for v in verdicts.values() for name, n in v.items() if name.endswith(("_lost", "_strange")))
    return {
        "good": good,
        "rate": rate * 1.5,
        "seconds": seconds,
        "killed": found.killed,
        "tables": verdicts,
        "gold_is_silver": settled,
        "latency": {"p50": round(statistics.median(took), 1), "p95": round(took[int(len(took) * 0.95)], 1), "most": round(took[-1], 1)} if took else None,
    }


def load(found: Soak, began: float, seconds: float, each: float) -> None:
    """Watch Gold and kill, until the sending is over."""
    following = began + each
    while time.time() < began + seconds:
        with suppress(OSError):  # a file that was replaced while it was read
            found.look()
        if time.time() > following:
            found.kill(began)
            following = time.time() + found.dice.uniform(0.5, 1.5) * each
        time.sleep(POLL)


def settle(found: Soak) -> bool:
    """Until Gold counts every reading of Silver, and that no more grows; whether it came to that."""
    end, quiet = time.time() + PATIENCE, 0
    last = -1
    while time.time() < end:
        silver = int(found.sql("silver", "sensor_reading", "select count(*) from t")[0][0])
        quiet = quiet + 1 if found.look() == silver == last else 0
        last = silver
        if quiet * POLL >= 20:
            return True
        time.sleep(POLL)
    return False


def main() -> int:
    """Read the options, do it, print the result as JSON. Returns 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak")
    parser.add_argument("--rate", type=float, default=667.0, help="readings a second; half as many clicks on top (default %(default)s: 1,000 events a second)")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--each", type=float, default=40.0, help="mean seconds between two kills")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--home", type=Path, default=None)
    options = parser.parse_args()
    home = options.home or Path(tempfile.mkdtemp(prefix="soak-"))
    home.mkdir(parents=True, exist_ok=True)
    result = soak(home, options.rate, options.seconds, options.each, options.seed)
    print(json.dumps(result, indent=1))
    return 0 if result["good"] else 1


if __name__ == "__main__":
    sys.exit(main())
