"""Under `lakehouse up`, while files and events keep coming: thirty days are rebuilt, every process of Dagster's is killed, its memory is lost.

Nothing is lost, nothing doubled. The oracles are plain Python over what was sent, and DuckDB over what the tables hold.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from lakehouse.services import kafka
from tests.integration.conftest import Lake
from tests.integration.test_kills import arrived, check
from tests.pings import BY_FILES, truth

DAYS = 30
TODAY = datetime.now(UTC).date()
FIRST = TODAY - timedelta(days=DAYS - 1)
TABLES = "*/ping"
SOURCE = "servers: [{server: landing, type: local, path: ping, format: json}]", "{property: source, value: {pattern: '**/*.json'}}"
TOPIC = "servers: [{server: stream, type: kafka, host: services, format: json}]", "{property: source, value: {topicPattern: 'beats.*'}}"
PATIENCE = 150


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


@pytest.fixture(scope="module")
def beats(lake: Lake) -> Beats:
    lake.run("services", "start", "kafka")
    made = Beats(kafka.address(lake.home))
    made.create()
    made.send(random.Random(0))
    return made


@pytest.fixture(scope="module")
def pings(lake: Lake, beats: Beats) -> Iterator[Lake]:
    folder = lake.home / "contracts" / "test"
    folder.mkdir(parents=True)
    contract = BY_FILES.replace("'2026-01-01'", f"'{FIRST - timedelta(days=5)}'")
    (folder / "ping.odcs.yaml").write_text(contract)
    for old, new in (*zip(SOURCE, TOPIC, strict=True), ("name: ping", "name: beat"), ("000001", "000002")):
        contract = contract.replace(old, new)
    (folder / "beat.odcs.yaml").write_text(contract)
    lake.env["LAKEHOUSE_CONTRACTS"] = str(lake.home / "contracts")
    drop(lake, "first", [FIRST + timedelta(days=n) for n in range(DAYS)], random.Random(1))
    lake.run("sync")
    lake.run("up")
    yield lake
    lake.run("down", check=False)
    lake.run("services", "stop", check=False)


def backfills(lake: Lake) -> dict[str, dict[str, object]]:
    found = json.loads(lake.run("backfill", "--list", "--json").stdout)["backfills"]
    return {b["id"]: b for b in found}


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


def increments(home: Path, began: float, ended: float) -> int:
    """Incremental runs that succeeded between two moments, from Dagster's own storage."""
    with sqlite3.connect(home / "dagster" / "history" / "runs.db") as runs:
        query = "select count(*) from runs join run_tags using (run_id) where key = 'lakehouse/mode' and status = 'SUCCESS' and end_time > ? and end_time < ?"
        return int(runs.execute(query, (began, ended)).fetchone()[0])


@pytest.mark.timeout(900)  # the daemon looks for backfills every half minute
def test_a_backfill_of_thirty_days_beside_two_syncs_and_a_stream_of_files_loses_and_doubles_nothing(pings: Lake) -> None:
    dice, began, number = random.Random(2), time.time(), 0
    command = pings.start("backfill", TABLES, "--from", str(FIRST), "--to", str(TODAY), "--json", output=subprocess.PIPE)
    syncs = [pings.start("sync", "ping") for _ in range(2)]
    while command.poll() is None or increments(pings.home, began, time.time()) == 0:
        assert time.time() - began < 600
        number += 1
        drop(pings, f"stream-{number}", [TODAY - timedelta(days=dice.randrange(3))], dice)
        time.sleep(1)  # the pace of the stream
    for sync in syncs:
        sync.wait(timeout=300)
    outcome = json.loads(command.communicate()[0])
    assert (outcome["status"], outcome["failed"], outcome["built"], outcome["total"]) == ("COMPLETED_SUCCESS", 0, 3 * DAYS, 3 * DAYS)
    assert outcome["runs"] == 1  # all layers and all days in one
    settle(pings)
    assert pings.sql("bronze.ping", "select count(*) from (select _source, _source_position, _payload from t group by all having count(*) > 1)") == [(0,)]


@pytest.mark.timeout(900)
def test_a_cancelled_backfill_is_resumed_with_what_it_left(pings: Lake) -> None:
    options = ("--max-partitions-per-run", "6", "--no-follow", "--json")
    name = json.loads(pings.run("backfill", TABLES, "--from", str(FIRST), "--to", str(TODAY), *options).stdout)["id"]
    until(lambda: int(str(backfills(pings)[name]["built"])) > 0, 300, "no part was built")
    pings.run("backfill", "--cancel", name)
    until(lambda: backfills(pings)[name]["status"] == "CANCELED", 120, "it was not cancelled")
    cancelled = backfills(pings)[name]
    left = int(str(cancelled["total"])) - int(str(cancelled["built"]))
    assert 0 < left < 3 * DAYS
    resumed = json.loads(pings.run("backfill", "--resume", name, "--json").stdout)
    assert (resumed["status"], resumed["built"], resumed["total"]) == ("COMPLETED_SUCCESS", left, left)
    check(pings)
    nothing = pings.run("backfill", TABLES, "--from", str(FIRST), "--only", "missing").stdout
    assert "No chosen day is missing" in nothing


@pytest.mark.timeout(600)
def test_what_is_killed_comes_back_and_what_came_meanwhile_is_in_once(pings: Lake, beats: Beats) -> None:
    victims = ("dagster-daemon", "dagster-code", "stream-follower")
    with flowing(pings, beats, random.Random(3)):
        time.sleep(random.Random(4).uniform(1, 3))  # somewhere in what they do: that is the point
        killed = {name: pid(pings, name) for name in victims}
        for process in killed.values():
            assert process is not None
            os.kill(process, signal.SIGKILL)
        assert "about to be brought back" in pings.run("status", "ping").stderr
        until(lambda: all(pid(pings, name) not in (None, killed[name]) for name in victims), PATIENCE, "they did not come back")
    until(lambda: beats.arrived(pings), PATIENCE, "the last events are not in")
    settle(pings)
    beats.check(pings)


@pytest.mark.timeout(600)
def test_without_dagsters_memory_nothing_is_lost_or_taken_twice(pings: Lake, beats: Beats) -> None:
    pings.run("down")
    assert [pid(pings, name) for name in ("supervisor", "dagster-daemon", "dagster-code", "dagster-webserver", "stream-follower")] == [None] * 5
    drop(pings, "while-down", [TODAY], random.Random(6))
    beats.send(random.Random(6))
    shutil.rmtree(pings.home / "dagster")
    pings.run("up")
    until(lambda: beats.arrived(pings), PATIENCE, "the last events are not in")
    settle(pings)
    beats.check(pings)
