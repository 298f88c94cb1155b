"""What thirty partitions cost in one backfill, against thirty single runs: the same job, engine and process, so that only the runs differ.

Usage: python -m benchmarks.backfill [--days 30] [--rows 3000]. Prints a row for README.md. The single runs are spared the process that the daemon
would start for each of them.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

from benchmarks.measure import PYTHON, ROOT, generate, run

FIRST = date(2026, 1, 1)
RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")


def main() -> None:
    """Make a lake, build it, and measure both ways in a process of their own."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backfill")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--rows", type=int, default=3000, help="rows a day")
    parser.add_argument("--heap", default="4g")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        sys.stdout.write("\n" + json.dumps(measure(options.days)) + "\n")
        return
    with tempfile.TemporaryDirectory(prefix="lakehouse-bench-", ignore_cleanup_errors=True) as folder:
        work = Path(folder)
        contracts = work / "contracts" / "bench"
        contracts.mkdir(parents=True)
        shutil.copy(ROOT / "benchmarks/readings.odcs.yaml", contracts / "reading.odcs.yaml")
        generate(work / "landing" / "reading", options.rows * options.days, "1000", "1", "--days", str(options.days), "--first-day", str(FIRST))
        home = work / "lake"
        env = {"LAKEHOUSE_HOME": str(home), "LAKEHOUSE_CONTRACTS": str(work / "contracts"), "LAKEHOUSE_LANDING": str(work / "landing")}
        env |= {"LAKEHOUSE_ENGINE_HEAP": options.heap, "DAGSTER_HOME": str(home / "dagster")}
        (home / "dagster").mkdir(parents=True)
        try:
            found = run([PYTHON, "-m", "benchmarks.backfill", "--measure", "--days", str(options.days)], env, home).result
        finally:
            run([PYTHON, "-m", "lakehouse", "engine", "stop"], env, home)
    print(
        f"| {options.days} days of {options.rows:,} rows: one backfill against {options.days} runs | {found['one_s']:.1f} s | {found['single_s']:.1f} s |",
        end=" ",
    )
    print(f"{found['one_s'] / found['single_s']:.3f} | 0.125 |")


def measure(days: int) -> dict[str, float]:
    """Bronze, Silver and quarantine of these days again: all in one run, then each in its own."""
    import dagster as dg

    from lakehouse.definitions import defs

    job = defs().resolve_implicit_global_asset_job_def()
    keys = [dg.AssetKey([layer, "reading"]) for layer in ("bronze", "silver", "quarantine")]

    def rebuild(first: date, last: date) -> float:
        began = time.perf_counter()
        tags = dict(zip(RANGE, (first.isoformat(), last.isoformat()), strict=True))
        job.execute_in_process(instance=instance, asset_selection=keys, tags=tags, raise_on_error=True)
        return time.perf_counter() - began

    last = FIRST + timedelta(days=days - 1)
    with dg.DagsterInstance.get() as instance:
        rebuild(FIRST, last)  # makes the tables and warms the engine
        rebuild(FIRST, FIRST)
        single = sum(rebuild(day, day) for day in (FIRST + timedelta(days=n) for n in range(days)))
        return {"one_s": rebuild(FIRST, last), "single_s": single}


if __name__ == "__main__":
    main()
