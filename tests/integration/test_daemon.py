"""Under `lakehouse up`, while files and events keep coming: every process of Dagster's is killed, its memory is lost. Nothing is lost, nothing doubled."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Iterator

import pytest

from tests.integration.conftest import Lake
from tests.integration.flow import PATIENCE, TODAY, Beats, drop, flowing, pid, settle, start, stop, until


@pytest.fixture(scope="module")
def beats(lake: Lake) -> Iterator[Beats]:
    yield start(lake, days=3)
    stop(lake)


@pytest.mark.timeout(1200, func_only=True)
def test_what_is_killed_comes_back_and_what_came_meanwhile_is_in_once(lake: Lake, beats: Beats) -> None:
    victims = ("dagster-daemon", "dagster-code", "stream-follower")
    with flowing(lake, beats, random.Random(3)):
        time.sleep(random.Random(4).uniform(1, 3))  # somewhere in what they do: that is the point
        killed = {name: pid(lake, name) for name in victims}
        for process in killed.values():
            assert process is not None
            os.kill(process, signal.SIGKILL)
        assert "about to be brought back" in lake.run("status", "ping").stderr
        until(lambda: all(pid(lake, name) not in (None, killed[name]) for name in victims), PATIENCE, "they did not come back")
    until(lambda: beats.arrived(lake), PATIENCE, "the last events are not in")
    settle(lake)
    beats.check(lake)


@pytest.mark.timeout(1200, func_only=True)
def test_without_dagsters_memory_nothing_is_lost_or_taken_twice(lake: Lake, beats: Beats) -> None:
    lake.run("down")
    assert [pid(lake, name) for name in ("supervisor", "dagster-daemon", "dagster-code", "dagster-webserver", "stream-follower")] == [None] * 5
    drop(lake, "while-down", [TODAY], random.Random(6))
    beats.send(random.Random(6))
    shutil.rmtree(lake.home / "dagster")
    lake.run("up")
    until(lambda: beats.arrived(lake), PATIENCE, "the last events are not in")
    settle(lake)
    beats.check(lake)
