"""A lake under `lakehouse up` with two tables that are fed while it is tested: `ping` by files, `beat` by topics; and what must become of what was sent.

The oracles are plain Python over what was sent, and DuckDB over what the tables hold. Not here: what is done to the lake meanwhile (the tests).
"""

from __future__ import annotations

import contextlib
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import psutil
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from lakehouse.services import kafka
from tests.integration.conftest import Lake
from tests.integration.test_kills import arrived, check
from tests.pings import BY_FILES, truth

TODAY = datetime.now(UTC).date()
SOURCE = "servers: [{server: landing, type: local, path: ping, format: json}]", "{property: source, value: {pattern: '**/*.json'}}"
TOPIC = "servers: [{server: stream, type: kafka, host: services, format: json}]", "{property: source, value: {topicPattern: 'beats.*'}}"
PATIENCE = 300  # seconds, for a machine with other work


def first_day(days: int) -> date:
    """The first of so many days up to today."""
    return TODAY - timedelta(days=days - 1)


def drop(lake: Lake, name: str, days: list[date], dice: random.Random) -> None:
    """One file a day, moved into place whole, as a source that does it right: new keys, keys that come again, late and too late ones."""
    for day in days:
        rows = [
            {"id": f"k{dice.randrange(200)}", "at": f"{day - timedelta(days=dice.choice([0, 0, 1, 2]))}T10:00:00Z", "seq": dice.randrange(1000)}
            for _ in range(40)
        ]
        folder = lake.home / "landing" / "ping" / f"dt={day}"
        folder.mkdir(parents=True, exist_ok=True)
        scratch = lake.home / f"{name}.part"
        scratch.write_text("".join(json.dumps(r) + "\n" for r in rows))
        scratch.rename(folder / f"{name}.json")


@dataclass
class Beats:
    """Two topics, and what was sent to them: the value and the day of the record."""

    brokers: str
    sent: list[tuple[bytes, date]] = field(default_factory=list)
    number: int = 0

    def create(self) -> None:
        """Brokers refuse records from the future unless they are told to take them."""
        topics = [NewTopic(name, 2, config={"message.timestamp.after.max.ms": str(2**63 - 1)}) for name in ("beats.one", "beats.two")]
        admin = AdminClient({"bootstrap.servers": self.brokers})  # kept: its answers die with it
        for made in admin.create_topics(topics).values():
            made.result()

    def send(self, dice: random.Random) -> None:
        """Some events: now and then the same twice, one that nobody can read, or one from a clock that is back or far ahead."""
        producer = Producer({"bootstrap.servers": self.brokers, "log_level": 0})
        for _ in range(20):
            self.number += 1
            at = datetime.now(UTC)
            value = json.dumps({"id": f"b{self.number}", "at": f"{TODAY}T10:00:00Z", "seq": self.number}).encode()
            kind = dice.choice(["good"] * 7 + ["twice", "poison", "back", "ahead"])
            value = value[:-5] if kind == "poison" else value
            at = datetime(2099, 1, 1, tzinfo=UTC) if kind == "ahead" else at - timedelta(hours=dice.randrange(20)) if kind == "back" else at
            for _ in range(2 if kind == "twice" else 1):
                producer.produce(dice.choice(("beats.one", "beats.two")), value, timestamp=int(at.timestamp() * 1000))
                self.sent.append((value, at.date()))
        assert producer.flush(30) == 0

    def truth(self) -> tuple[list[str], int]:
        """The ids that Silver must have, and how many records must be refused: what can't be read, and what has a time that is no day."""
        good, refused = set[str](), 0
        for value, day in self.sent:
            try:
                record = json.loads(value)
            except ValueError:
                record = None
            if record is None or day.year == 2099:
                refused += 1
            else:
                good.add(record["id"])
        return sorted(good), refused

    def check(self, lake: Lake) -> None:
        held = Counter(payload.encode() for (payload,) in lake.sql("bronze.beat", "select _payload from t"))
        assert held == Counter(value for value, _ in self.sent)
        ids, refused = self.truth()
        assert [i for (i,) in lake.sql("silver.beat", "select id from t order by id")] == ids
        assert lake.sql("quarantine.beat", "select count(*) from t") == [(refused,)]

    def arrived(self, lake: Lake) -> bool:
        """Whether all of it is in Silver or refused."""
        ids, refused = self.truth()
        return [lake.sql(f"{layer}.beat", "select count(*) from t") for layer in ("silver", "quarantine")] == [[(len(ids),)], [(refused,)]]


def start(lake: Lake, days: int) -> Beats:
    """Broker, contracts, a file for each of so many days; synced once, and up."""
    lake.run("services", "start", "kafka")
    beats = Beats(kafka.address(lake.home))
    beats.create()
    beats.send(random.Random(0))
    folder = lake.home / "contracts" / "test"
    folder.mkdir(parents=True)
    contract = BY_FILES.replace("'2026-01-01'", f"'{first_day(days) - timedelta(days=5)}'")
    (folder / "ping.odcs.yaml").write_text(contract)
    for old, new in (*zip(SOURCE, TOPIC, strict=True), ("name: ping", "name: beat"), ("000001", "000002")):
        contract = contract.replace(old, new)
    (folder / "beat.odcs.yaml").write_text(contract)
    lake.env["LAKEHOUSE_CONTRACTS"] = str(lake.home / "contracts")
    drop(lake, "first", [first_day(days) + timedelta(days=n) for n in range(days)], random.Random(1))
    lake.run("sync")
    lake.run("up")
    return beats


def stop(lake: Lake) -> None:
    """All that was started."""
    lake.run("down", check=False)
    lake.run("services", "stop", check=False)


def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.5)


def settle(lake: Lake) -> None:
    """Until the sensors have taken in what came, in all layers; then nothing may be lost or double."""
    files = arrived(lake)
    winners, refused = truth(files)
    counts = {"bronze": sum(len(lines.splitlines()) for _, lines in files), "silver": len(winners), "quarantine": refused}
    until(lambda: all(lake.sql(f"{layer}.ping", "select count(*) from t") == [(n,)] for layer, n in counts.items()), PATIENCE, "the last files are not in")
    check(lake)


def pid(lake: Lake, name: str) -> int | None:
    """The process of that name, if it lives."""
    with contextlib.suppress(FileNotFoundError, ValueError, psutil.NoSuchProcess):
        found = psutil.Process(json.loads((lake.home / "run" / f"{name}.json").read_text())["pid"])
        return found.pid if found.status() != psutil.STATUS_ZOMBIE else None
    return None


@contextlib.contextmanager
def flowing(lake: Lake, beats: Beats, dice: random.Random) -> Iterator[None]:
    """Files and events come during the block, about twice a second."""
    over = threading.Event()

    def feed() -> None:
        number = 0
        while not over.wait(0.5):
            number += 1
            drop(lake, f"flow-{dice.randrange(10**9)}", [TODAY - timedelta(days=dice.randrange(3))], dice)
            beats.send(dice)

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        yield
    finally:
        over.set()
        feeder.join()
