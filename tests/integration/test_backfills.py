"""Under `lakehouse up`, while files keep coming: thirty days are rebuilt beside two syncs; a backfill is cancelled and resumed. Nothing is lost or doubled."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.integration.conftest import Lake
from tests.integration.flow import TODAY, drop, first_day, settle, start, stop, until
from tests.integration.test_kills import check

DAYS = 30
FIRST = first_day(DAYS)
TABLES = "*/ping"


@pytest.fixture(scope="module")
def pings(lake: Lake) -> Iterator[Lake]:
    start(lake, DAYS)
    yield lake
    stop(lake)


def backfills(lake: Lake) -> dict[str, dict[str, object]]:
    found = json.loads(lake.run("backfill", "--list", "--json").stdout)["backfills"]
    return {b["id"]: b for b in found}


def increments(home: Path, began: float, ended: float) -> int:
    """Incremental runs that succeeded between two moments, from Dagster's own storage."""
    with sqlite3.connect(home / "dagster" / "history" / "runs.db") as runs:
        query = "select count(*) from runs join run_tags using (run_id) where key = 'lakehouse/mode' and status = 'SUCCESS' and end_time > ? and end_time < ?"
        return int(runs.execute(query, (began, ended)).fetchone()[0])


@pytest.mark.timeout(1800, func_only=True)  # the daemon looks for backfills every half minute
def test_a_backfill_of_thirty_days_beside_two_syncs_and_a_stream_of_files_loses_and_doubles_nothing(pings: Lake) -> None:
    dice, began, number = random.Random(2), time.time(), 0
    command = pings.start("backfill", TABLES, "--from", str(FIRST), "--to", str(TODAY), "--json", output=subprocess.PIPE)
    syncs = [pings.start("sync", "ping") for _ in range(2)]
    while command.poll() is None or increments(pings.home, began, time.time()) == 0:
        assert time.time() - began < 800, f"the backfill is not over: {backfills(pings)}"
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


@pytest.mark.timeout(1800, func_only=True)
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
