"""Running what is measured as processes of their own: seconds, and the peak memory of the client and of the engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
PYTHON = sys.executable


@dataclass(frozen=True)
class Run:
    """One measured process. Memory in bytes: the most that the process, the engine, and the largest of a cluster's executors held.

    `processor`: the seconds that processors worked for all of them meanwhile, which depends less on what else a machine does.
    """

    seconds: float
    client: int
    engine: int
    output: str
    executor: int = 0
    processor: float = 0.0

    @property
    def result(self) -> dict[str, float]:
        """The JSON object in the last line that the process printed."""
        found: dict[str, float] = json.loads(self.output.strip().splitlines()[-1])
        return found


def run(command: list[str], env: dict[str, str], home: Path, workers: Sequence[int] = ()) -> Run:
    """Run a command to its end; `workers` are the processes of a cluster whose children are executors.

    Raises `RuntimeError` with what it said when it fails.
    """
    peak = {"client": 0, "engine": 0, "executor": 0}
    before = _processor([p for _, p in _working(home, workers)])
    started = time.perf_counter()
    process = subprocess.Popen(command, env={**os.environ, **env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    done = threading.Event()
    own: list[float] = [0.0]
    watcher = threading.Thread(target=_watch, args=(process.pid, home, workers, peak, own, done))
    watcher.start()
    out, err = process.communicate()
    seconds = time.perf_counter() - started
    done.set()
    watcher.join()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{(out + err)[-4000:]}")
    worked = _processor([p for _, p in _working(home, workers)]) - before
    return Run(seconds, peak["client"], peak["engine"], out, peak["executor"], worked + own[0])


def _watch(pid: int, home: Path, workers: Sequence[int], peak: dict[str, int], own: list[float], done: threading.Event) -> None:  # noqa: PLR0913 - what `run` knows
    while not done.wait(0.2):
        own[0] = max(own[0], _processor([pid]))
        for name, number in (("client", pid), *_working(home, workers)):
            try:
                peak[name] = max(peak[name], psutil.Process(number).memory_info().rss)
            except psutil.NoSuchProcess:
                continue


def _working(home: Path, workers: Sequence[int]) -> list[tuple[str, int]]:
    """The engine's process, when one runs, and the executors'."""
    engine = engine_pid(home)
    return [*([("engine", engine)] if engine else []), *[("executor", child.pid) for worker in workers for child in psutil.Process(worker).children()]]


def _processor(pids: Sequence[int]) -> float:
    """Seconds that these processes have worked so far."""
    total = 0.0
    for pid in pids:
        try:
            times = psutil.Process(pid).cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def engine_pid(home: Path) -> int | None:
    """The engine's process, when one runs."""
    try:
        return int(json.loads((home / "engine.json").read_text())["pid"])
    except (OSError, ValueError, KeyError):
        return None


def generate(target: Path, rows: int, *options: str) -> dict[str, float]:
    """Readings with known dirt; returns the truth. Nothing is generated twice."""
    truth = target.with_suffix(".truth.json")
    if not truth.exists():
        command = [PYTHON, str(ROOT / "benchmarks/gen_readings.py"), str(target), str(rows), *options]
        truth.write_text(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    found: dict[str, float] = json.loads(truth.read_text())
    return found


def small_files(folder: Path, count: int) -> None:
    """So many files of ten readings each, in one partition."""
    day = folder / "dt=2026-01-05"
    day.mkdir(parents=True, exist_ok=True)
    for n in range(count):
        rows = (
            {"reading_id": f"r{n}-{k}", "device_id": f"d{n % 500}", "metric": "pressure", "value": 20.5 + k, "event_time": "2026-01-05T10:00:00Z"}
            for k in range(10)
        )
        (day / f"part-{n:05d}.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
