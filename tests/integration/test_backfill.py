"""Thirty days are rebuilt under the daemon while files keep coming to the same tables: nothing is lost, nothing doubled; and a backfill can be resumed."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from tests.integration.conftest import Lake
from tests.integration.test_kills import CONTRACT, check, truth

DAYS = 30
TODAY = datetime.now(UTC).date()
FIRST = TODAY - timedelta(days=DAYS - 1)
TABLES = "*/ping"


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


@pytest.fixture(scope="module")
def pings(lake: Lake) -> Iterator[Lake]:
    folder = lake.home / "contracts" / "test"
    folder.mkdir(parents=True)
    (folder / "ping.odcs.yaml").write_text(CONTRACT.replace("'2026-01-01'", f"'{FIRST - timedelta(days=5)}'"))
    lake.env["LAKEHOUSE_CONTRACTS"] = str(lake.home / "contracts")
    drop(lake, "first", [FIRST + timedelta(days=n) for n in range(DAYS)], random.Random(1))
    lake.run("sync")
    lake.run("up")
    yield lake


def backfills(lake: Lake) -> dict[str, dict[str, object]]:
    found = json.loads(lake.run("backfill", "--list", "--json").stdout)["backfills"]
    return {b["id"]: b for b in found}


def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.5)


def increments(home: Path, began: float, ended: float) -> int:
    """Incremental runs that succeeded between two moments, from Dagster's own storage."""
    with sqlite3.connect(home / "dagster" / "history" / "runs.db") as runs:
        query = "select count(*) from runs join run_tags using (run_id) where key = 'lakehouse/mode' and status = 'SUCCESS' and end_time > ? and end_time < ?"
        return int(runs.execute(query, (began, ended)).fetchone()[0])


@pytest.mark.timeout(900)  # the daemon looks for backfills every half minute
def test_a_backfill_of_thirty_days_beside_a_stream_of_files_loses_and_doubles_nothing(pings: Lake) -> None:
    dice, began, number = random.Random(2), time.time(), 0
    command = pings.start("backfill", TABLES, "--from", str(FIRST), "--to", str(TODAY), "--json", output=subprocess.PIPE)
    while command.poll() is None or increments(pings.home, began, time.time()) == 0:
        assert time.time() - began < 600
        number += 1
        drop(pings, f"stream-{number}", [TODAY - timedelta(days=dice.randrange(3))], dice)
        time.sleep(1)  # the pace of the stream
    outcome = json.loads(command.communicate()[0])
    assert (outcome["status"], outcome["failed"], outcome["built"], outcome["total"]) == ("COMPLETED_SUCCESS", 0, 3 * DAYS, 3 * DAYS)
    assert outcome["runs"] == 1  # all layers and all days in one
    records = truth(pings.home / "landing" / "ping")[0]
    until(lambda: pings.sql("bronze.ping", "select count(*) from t") == [(records,)], 120, "the sensor did not take in the last files")
    until(lambda: pings.run("status", "--json").stdout.count('"versions_behind": 0') == 2, 120, "Silver did not follow")
    check(pings)
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
