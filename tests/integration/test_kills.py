"""P2, P3, P5 under kill -9: the engine or the client dies in the middle of a run, again and again; then a run ends, and nothing is lost or doubled."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.integration.conftest import Lake

FIRST = date(2026, 3, 1)
CONTRACT = """\
apiVersion: v3.2.0
kind: DataContract
id: 00000000-0000-4000-8000-000000000001
name: ping
version: 1.0.0
status: active
domain: test
description: {purpose: Pings.}
servers: [{server: landing, type: local, path: ping, format: json}]
schema:
  - name: ping
    physicalType: table
    description: One row per ping.
    properties:
      - {name: id, logicalType: string, required: true, primaryKey: true, primaryKeyPosition: 1, description: Number.}
      - {name: at, logicalType: timestamp, required: true, description: When.}
      - {name: seq, logicalType: integer, description: Order.}
      - {name: day, logicalType: date, required: true, partitioned: true, partitionKeyPosition: 1, transformLogic: cast(at as date), description: Day.}
customProperties:
  - {property: kind, value: event}
  - {property: source, value: {pattern: '**/*.json'}}
  - {property: partition, value: {start: '2026-01-01'}}
  - {property: lateness, value: {days: 1}}
  - {property: dedupe, value: {orderBy: [seq]}}
"""


@pytest.fixture(scope="module")
def pings(lake: Lake) -> Lake:
    folder = lake.home / "contracts" / "test"
    folder.mkdir(parents=True)
    (folder / "ping.odcs.yaml").write_text(CONTRACT)
    (lake.landing / "ping").mkdir(parents=True)
    lake.env["LAKEHOUSE_CONTRACTS"] = str(lake.home / "contracts")
    return lake


def write(landing: Path, turn: int, rng: random.Random) -> None:
    """Files of two days: new keys, keys that come again, late ones, one broken line."""
    for n in range(3):
        day = FIRST + timedelta(days=rng.randrange(3))
        rows = [{"id": f"k{rng.randrange(300)}", "at": f"{day - timedelta(days=rng.choice([0, 0, 1, 2]))}T10:00:00Z", "seq": turn} for _ in range(200)]
        file = landing / f"dt={day}" / f"t{turn}-{n}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(json.dumps(r) + "\n" for r in rows) + '{"id": \n')


def truth(landing: Path) -> tuple[int, dict[tuple[str, str], int], int]:
    """Records, the winner's sequence by identity, refused records; plain Python over the files."""
    records, refused, winners = 0, 0, dict[tuple[str, str], tuple[int, str]]()
    for file in landing.rglob("*.json"):
        bronze_day = date.fromisoformat(file.parent.name[3:])
        for line in file.read_text().splitlines():
            records += 1
            try:
                row = json.loads(line)
            except ValueError:
                refused += 1
                continue
            day = row["at"][:10]
            if (bronze_day - date.fromisoformat(day)).days > 1:
                refused += 1
                continue
            key = (row["id"], day)
            winners[key] = max(winners.get(key, (-1, "")), (row["seq"], file.as_posix()))
    return records, {k: v[0] for k, v in winners.items()}, refused


def check(lake: Lake) -> None:
    records, winners, refused = truth(lake.landing / "ping")
    assert lake.sql("bronze.ping", "select count(*) from t") == [(records,)]
    assert {(k, str(d)): s for k, d, s in lake.sql("silver.ping", "select id, day, seq from t")} == winners
    assert lake.sql("silver.ping", "select count(*) from t") == [(len(winners),)]
    assert lake.sql("quarantine.ping", "select count(*) from t") == [(refused,)]


def commits(lake: Lake) -> dict[str, int]:
    """How many commits each table has."""
    return {layer: len(list((lake.home / f"warehouse/{layer}/ping/_delta_log").glob("*.json"))) for layer in ("bronze", "silver", "quarantine")}


def writing(lake: Lake, layer: str, before: dict[str, int], process: object) -> bool:
    """Wait until the run reaches a layer's write: the layer before it has committed, or files of it appear. False when the run ended before."""
    folder = lake.home / f"warehouse/{layer}/ping"
    known = set(folder.rglob("*.parquet"))
    end = time.monotonic() + 90
    while time.monotonic() < end:
        if set(folder.rglob("*.parquet")) - known or commits(lake)[layer] > before[layer]:
            return True
        if process.poll() is not None:  # type: ignore[attr-defined]
            return False
        time.sleep(0.005)  # as tight as it can be: the moment of the write is what is waited for
    raise AssertionError(f"the run never reached {layer}")


@pytest.mark.timeout(900)  # twelve runs, each from the start of a process
@pytest.mark.parametrize("victim", ["engine", "client"])
def test_killed_in_the_middle_of_each_write_nothing_is_lost_or_doubled(pings: Lake, victim: str) -> None:
    rng = random.Random(victim)
    landing = pings.landing / "ping"
    write(landing, 0 if victim == "engine" else 100, rng)
    pings.run("sync", check=False)
    check(pings)
    for turn, layer in enumerate(("bronze", "silver", "quarantine"), start=1 if victim == "engine" else 101):
        write(landing, turn, rng)
        before = commits(pings)
        run = pings.start("sync")
        writing(pings, layer, before, run)
        pid = pings.engine_pid() if victim == "engine" else run.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        run.wait(timeout=120)
        pings.run("sync", check=False)
        check(pings)


def test_two_syncs_at_once_take_everything_in_once(pings: Lake) -> None:
    write(pings.landing / "ping", 500, random.Random(5))
    runs = [pings.start("sync") for _ in range(2)]
    for run in runs:
        run.wait(timeout=300)
    pings.run("sync", check=False)
    check(pings)
