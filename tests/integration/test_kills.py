"""P2, P3, P5 under kill -9: the engine or the client dies in the middle of a run, again and again; then a run ends, and nothing is lost or doubled."""

from __future__ import annotations

import os
import random
import signal
import time
from datetime import date
from pathlib import Path

import pytest

from tests import pings
from tests.integration.conftest import Lake
from tests.pings import BY_FILES, portion


@pytest.fixture(scope="module")
def pinged(lake: Lake) -> Lake:
    folder = lake.home / "contracts" / "test"
    folder.mkdir(parents=True)
    (folder / "ping.odcs.yaml").write_text(BY_FILES)
    (lake.landing / "ping").mkdir(parents=True)
    lake.env["LAKEHOUSE_CONTRACTS"] = str(lake.home / "contracts")
    return lake


def write(landing: Path, turn: int, rng: random.Random) -> None:
    """Files of some days."""
    for n, (day, lines) in enumerate(portion(turn, rng)):
        file = landing / f"dt={day}" / f"t{turn}-{n}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(lines)


def arrived(lake: Lake) -> list[tuple[date, str]]:
    """The files of the landing folder, each with its day."""
    return [(date.fromisoformat(f.parent.name[3:]), f.read_text()) for f in (lake.landing / "ping").rglob("*.json")]


def check(lake: Lake) -> None:
    pings.check(lake, "ping", arrived(lake))


def commits(lake: Lake) -> dict[str, int]:
    """How many commits each table has."""
    return {layer: len(list((lake.home / f"warehouse/{layer}/ping/_delta_log").glob("*.json"))) for layer in ("bronze", "silver", "quarantine")}


def writing(lake: Lake, layer: str, before: dict[str, int], process: object) -> bool:
    """Wait until the run reaches a layer's write: the layer before it has committed, or files of it appear. False when the run ended before."""
    folder = lake.home / f"warehouse/{layer}/ping"
    known = set(folder.rglob("*.parquet"))
    end = time.monotonic() + 300
    while time.monotonic() < end:
        if set(folder.rglob("*.parquet")) - known or commits(lake)[layer] > before[layer]:
            return True
        if process.poll() is not None:  # type: ignore[attr-defined]
            return False
        time.sleep(0.005)  # as tight as it can be: the moment of the write is what is waited for
    raise AssertionError(f"the run never reached {layer}")


@pytest.mark.timeout(1800)  # twelve runs, each from the start of a process
@pytest.mark.parametrize("victim", ["engine", "client"])
def test_killed_in_the_middle_of_each_write_nothing_is_lost_or_doubled(pinged: Lake, victim: str) -> None:
    rng = random.Random(victim)
    landing = pinged.landing / "ping"
    write(landing, 0 if victim == "engine" else 100, rng)
    pinged.run("sync", check=False)
    check(pinged)
    for turn, layer in enumerate(("bronze", "silver", "quarantine"), start=1 if victim == "engine" else 101):
        write(landing, turn, rng)
        before = commits(pinged)
        run = pinged.start("sync")
        writing(pinged, layer, before, run)
        pid = pinged.engine_pid() if victim == "engine" else run.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        run.wait(timeout=400)
        pinged.run("sync", check=False)
        check(pinged)


def test_two_syncs_at_once_take_everything_in_once(pinged: Lake) -> None:
    write(pinged.landing / "ping", 500, random.Random(5))
    runs = [pinged.start("sync") for _ in range(2)]
    for run in runs:
        run.wait(timeout=900)
    pinged.run("sync", check=False)
    check(pinged)
