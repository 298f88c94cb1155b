"""How long an event takes from being sent until Gold counts it: `python -m benchmarks.latency --rate 1000 --seconds 600`.

A lake of its own with a real broker; events are sent at a constant rate, `lakehouse sync --follow` keeps up, and Gold is polled for how many it counts: in its
files, without the engine, which would be slowed by it. The n-th event counted was sent n / rate seconds after the beginning. Not here: throughput
(`benchmarks.__main__`).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from lakehouse.tables import Table

PROJECT = Path(__file__).resolve().parents[1]
POLL = 0.5


@contextmanager
def live_lake(home: Path) -> Iterator[dict[str, str]]:
    """A lake with the contracts of the live example, its broker running; stopped at the end. The environment of its commands."""
    environment = {**os.environ, "LAKEHOUSE_HOME": str(home), "LAKEHOUSE_CONTRACTS": str(home / "contracts")}
    run(environment, "-m", "demo.live", "contracts", "--source", str(PROJECT / "contracts"), "--target", str(home / "contracts"))
    run(environment, "-m", "demo", "--target", str(home / "landing"), "--days", "1", "--scale", "0.05")
    run(environment, "-m", "lakehouse", "services", "start", "kafka")
    try:
        yield environment
    finally:
        for command in (["engine", "stop"], ["services", "stop"]):
            run(environment, "-m", "lakehouse", *command)


def run(environment: dict[str, str], *arguments: str) -> None:
    """A command of this Python, whole."""
    subprocess.run([sys.executable, *arguments], cwd=PROJECT, env=environment, check=True, stdout=subprocess.DEVNULL)


def watch(environment: dict[str, str], until: float, expected: int) -> list[tuple[float, int]]:
    """Times and counts of Gold's readings, whenever the count has moved, until all that is expected is counted or the time is over."""
    os.environ.update({k: v for k, v in environment.items() if k.startswith("LAKEHOUSE_")})
    seen = [(time.time(), 0)]
    while time.time() < until and seen[-1][1] < expected:
        count = counted()
        if count > seen[-1][1]:
            seen.append((time.time(), count))
        time.sleep(POLL)
    return seen


def counted() -> int:
    """How many readings Gold counts at this moment."""
    from lakehouse.engine.metadata import open_table

    mart = open_table(Table("gold", "fct_machine_health_hourly"))
    return int(pc.sum(mart.to_pyarrow_table(columns=["readings"])["readings"]).as_py() or 0) if mart is not None else 0


def latencies(seen: list[tuple[float, int]], began: float, rate: float, before: int) -> list[float]:
    """One latency for each event counted, in seconds."""
    found: list[float] = []
    for (_, earlier), (at, count) in zip(seen, seen[1:], strict=False):
        found += [at - (began + (n - before) / rate) for n in range(max(earlier, before), count)]
    return found


def measure(rate: float, seconds: float, home: Path) -> dict[str, Any]:
    """Send, follow, watch. `rate`: readings a second; half as many clicks come on top."""
    with live_lake(home) as environment:
        brokers = _brokers(home)
        total = rate * 1.5
        run(environment, "-m", "demo.live", "send", "--brokers", brokers, "--seconds", "2")
        run(environment, "-m", "lakehouse", "sync")  # tables are made, dbt has parsed
        command = [sys.executable, "-m", "lakehouse", "sync", "--follow", "60"]
        follower = subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        before = watch(environment, time.time() + 5, 1)[-1][1]
        time.sleep(15)  # the follower loads its definitions; it is the flow that is measured, not the start
        sender = subprocess.Popen(
            [sys.executable, "-m", "demo.live", "send", "--brokers", brokers, "--rate", str(total), "--seconds", str(seconds)], cwd=PROJECT, env=environment
        )
        began = time.time() + 0.5  # its own start
        seen = watch(environment, began + seconds + 120, before + int(rate * seconds))
        sender.wait(60)
        follower.send_signal(signal.SIGINT)
        said, _ = follower.communicate(timeout=120)
        found = sorted(latencies([(began, before), *[s for s in seen if s[1] > before]], began, rate, before))
    return {
        "events": len(found),
        "rate": total,
        "seconds": seconds,
        "p50": round(statistics.median(found), 1),
        "p95": round(found[int(len(found) * 0.95)], 1),
        "max": round(found[-1], 1),
        "passes": [line for line in said.splitlines() if "records through Silver" in line][-10:],
    }


def _brokers(home: Path) -> str:
    from lakehouse.services import kafka

    return kafka.address(home)


def main() -> None:
    """Read the options, measure, print the result as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency")
    parser.add_argument("--rate", type=float, default=667.0, help="readings a second; half as many clicks on top (default %(default)s: 1,000 events a second)")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--home", type=Path, default=None)
    options = parser.parse_args()
    home = options.home or Path(tempfile.mkdtemp(prefix="latency-"))
    home.mkdir(parents=True, exist_ok=True)
    print(json.dumps(measure(options.rate, options.seconds, home), indent=1))


if __name__ == "__main__":
    main()
