"""`python -m benchmarks.curves`: what the platform's work costs at several sizes and in several places, and with which power of the size it grows.

Usage: python -m benchmarks.curves --place local-2 --rows 300000 --rows 1000000 [--work FOLDER]; `--report` prints the tables of all that a folder has.
Places: `local-1` and `local-2` compute with that many threads in the engine, `cluster-1` and `cluster-2` with that many executors of one core on a
standalone cluster of processes here, `s3` is local-2 with files, tables and quarantine in an S3 server (SeaweedFS) on this machine.

At each size: thirty days of readings into Bronze, Silver and quarantine by an incremental run; an increment of 1 %; all thirty days built anew in one
run; and all days of an hourly mart by dbt. A small size before them warms the engine up, and is not reported.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil

from benchmarks.measure import PYTHON, ROOT, generate, run
from tests.s3_server import BUCKET, S3Server, s3_server

PLACES = ("local-1", "local-2", "cluster-1", "cluster-2", "s3")
WHAT = {"full": "Bronze + Silver + checks", "increment": "increment of 1 %", "backfill": "backfill of 30 days", "gold": "Gold, 30 days"}
DAYS, WARM = 30, 30_000


class Place:
    """A lake in one place, with its engine."""

    def __init__(self, work: Path, name: str, heap: str, stack: ExitStack) -> None:
        self.work, self.name, self.home = work, name, work / name
        contracts, dbt = self.home / "contracts", self.home / "dbt"
        shutil.rmtree(self.home, ignore_errors=True)
        (contracts / "bench").mkdir(parents=True)
        shutil.copy(ROOT / "benchmarks/readings.odcs.yaml", contracts / "bench" / "reading.odcs.yaml")
        shutil.copytree(ROOT / "dbt_project", dbt, ignore=shutil.ignore_patterns("models", "tests", "target", "logs"))
        shutil.copytree(ROOT / "benchmarks/gold", dbt / "models" / "marts")
        self.env = {"LAKEHOUSE_HOME": str(self.home), "LAKEHOUSE_CONTRACTS": str(contracts), "LAKEHOUSE_DBT_PROJECT": str(dbt), "LAKEHOUSE_ENGINE_HEAP": heap}
        self.workers: list[int] = []
        self.s3: S3Server | None = None
        kind, _, number = name.partition("-")
        if kind == "cluster":
            self.env |= self._cluster(int(number), stack)
        elif kind == "s3":
            self.s3 = stack.enter_context(s3_server(self.home / "s3"))
            self.env |= {**self.s3.env, "LAKEHOUSE_WAREHOUSE": f"s3a://{BUCKET}/warehouse", "LAKEHOUSE_SPARK_MASTER": "local[2]"}
        else:
            self.env["LAKEHOUSE_SPARK_MASTER"] = f"local[{number}]"
        stack.callback(self.command, "engine", "stop")
        self.command("contract", "sources")

    def _cluster(self, executors: int, stack: ExitStack) -> dict[str, str]:
        from lakehouse.engine.process import accepts, free_ports

        (port,) = free_ports(1)
        url = f"spark://127.0.0.1:{port}"
        stack.enter_context(_process(self.env, "engine", "master", "--port", str(port)))
        deadline = time.monotonic() + 120
        while not accepts(port):
            if time.monotonic() > deadline:
                raise SystemExit("The cluster's master does not come.")
            time.sleep(0.2)
        for _ in range(executors):
            words = ("engine", "worker", url, "--cores", "1", "--memory", "3g")
            self.workers.append(stack.enter_context(_process({**self.env, "LAKEHOUSE_HOME": f"{self.home}-{len(self.workers)}"}, *words)))
        return {"LAKEHOUSE_SPARK_MASTER": url, "LAKEHOUSE_EXECUTORS": str(executors), "LAKEHOUSE_EXECUTOR_CORES": "1", "LAKEHOUSE_EXECUTOR_MEMORY": "2g"}

    def command(self, *words: str) -> None:
        """A `lakehouse` command."""
        run([PYTHON, "-m", "lakehouse", *words], self.env, self.home)

    def bring(self, data: Path, rows: int) -> None:
        """Put files into the landing zone of a size."""
        for file in sorted(data.rglob("*.json")):
            name = f"data/{rows}/reading/{file.relative_to(data).as_posix()}"
            if self.s3 is not None:
                self.s3.shared.put_object(Bucket=BUCKET, Key=name, Body=file.read_bytes())
                continue
            target = self.home / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)

    def measure(self, work: str, rows: int) -> dict[str, Any]:
        """A piece of work in a process of its own: seconds, seconds of processors (with the client's start), the most memory (MiB) of driver and executor."""
        landing = f"s3a://{BUCKET}/data/{rows}" if self.s3 is not None else str(self.home / f"data/{rows}")
        done = run([PYTHON, "-m", "benchmarks.platform_run", work], {**self.env, "LAKEHOUSE_LANDING": landing}, self.home, self.workers)
        return {"seconds": done.result.get("run_s", 0.0), "processor": done.processor, "driver": done.engine >> 20, "executor": done.executor >> 20}

    def _bytes(self, rows: int) -> dict[str, int]:
        """What the records take in files, in Bronze and in Silver; of a lake in folders."""
        folders = {"files": self.home / f"data/{rows}", **{layer: self.home / "warehouse" / layer / "reading" for layer in ("bronze", "silver")}}
        return {name: sum(file.stat().st_size for file in folder.rglob("*.*") if file.is_file()) for name, folder in folders.items() if folder.exists()}

    def size(self, rows: int) -> Iterator[tuple[str, dict[str, Any]]]:
        """All kinds of work at one size."""
        data = self.work / f"data/{rows}"
        generate(data / "reading", rows, "50000", "1", "--days", str(DAYS))
        # 1 % more, all of it of the newest day
        generate(data / "increment", rows // 100, "50000", "2", "--days", "1", "--first-day", f"2026-01-{DAYS}", "--start-id", str(10 * rows))
        self.measure("reset", rows)
        self.bring(data / "reading", rows)
        yield "full", {**self.measure("dagster", rows), **self._bytes(rows)}
        self.bring(data / "increment", rows)
        yield "increment", self.measure("dagster", rows)
        yield "backfill", self.measure("backfill", rows)
        yield "gold", self.measure("gold", rows)


@contextmanager
def _process(env: dict[str, str], *words: str) -> Iterator[int]:
    process = subprocess.Popen([PYTHON, "-m", "lakehouse", *words], env={**os.environ, **env}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
    try:
        yield process.pid
    finally:
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
        process.kill()
        process.wait()


def main() -> None:
    """Measure in one place, or tell what was measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.curves")
    parser.add_argument("--place", choices=PLACES, default="local-2")
    parser.add_argument("--rows", type=int, action="append")
    parser.add_argument("--heap", default="4g")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "lakehouse-curves")
    parser.add_argument("--report", action="store_true", help="print what the folder has")
    options = parser.parse_args()
    results = options.work / "curves.jsonl"
    if not options.report:
        with ExitStack() as stack:
            place = Place(options.work, options.place, options.heap, stack)
            for _ in place.size(WARM):
                pass
            for rows in options.rows or [300_000, 1_000_000, 3_000_000]:
                for what, found in place.size(rows):
                    line = json.dumps({"place": options.place, "rows": rows, "what": what, **found})
                    print(line, flush=True)
                    with results.open("a") as file:
                        file.write(line + "\n")
        shutil.rmtree(place.home)
    print(report([json.loads(line) for line in results.read_text().splitlines()]))


def report(measured: list[dict[str, Any]]) -> str:
    """A line for each kind of work and place: seconds (and processor seconds) by size, and the exponents b of a · rows^b; of several measurements the last."""
    found: dict[tuple[str, str], dict[int, dict[str, Any]]] = defaultdict(dict)
    for one in measured:
        found[one["what"], one["place"]][one["rows"]] = one
    sizes = sorted({one["rows"] for one in measured})
    heads = ["what", "where", *(f"{n:,}" for n in sizes), "exponent", "of processor s", "driver, most", "executor, most"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for what, name in WHAT.items():
        for place in PLACES:
            by_rows = found.get((what, place), {})
            if by_rows:
                times = [f"{by_rows[n]['seconds']:.1f} s ({by_rows[n]['processor']:.0f})" if n in by_rows else "" for n in sizes]
                exponents = [_exponent(by_rows, key) for key in ("seconds", "processor")]
                memory = [max(one[key] for one in by_rows.values()) / 1024 for key in ("driver", "executor")]
                lines.append(f"| {' | '.join([name, place, *times, *exponents, *(f'{m:.1f} GiB' if m else '' for m in memory)])} |")
    return "\n".join(lines)


def _exponent(by_rows: dict[int, dict[str, Any]], key: str) -> str:
    """By least squares through the logarithms."""
    if len(by_rows) < 2:
        return ""
    return f"{statistics.linear_regression([math.log(n) for n in by_rows], [math.log(one[key]) for one in by_rows.values()]).slope:.2f}"


if __name__ == "__main__":
    main()
