"""`python -m benchmarks.many_commits`: what the number of a table's commits costs those who write it and those who look at it, on a local disk.

A stream that commits every ten seconds makes 8,640 a day. The commits are made up, without rows, but for those that are measured: one row each, by the engine.
Prints the table of README.md. Not here: many files (`benchmarks.many_files`), what a month of increments does (`benchmarks.month`).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

ROUNDS, UNCOUNTED = 9, 4
WHAT = ("append a row", "its processor time", "open the table", "look its progress up")


def fill(log: Path, until: int) -> None:
    """Commits up to this version, with the engine's checksum beside each, and a checkpoint."""
    from deltalake import DeltaTable

    newest = max(int(f.stem) for f in log.glob("*.json"))
    for version in range(newest + 1, until + 1):
        said = {"commitInfo": {"timestamp": int(time.time() * 1000), "operation": "WRITE", "operationParameters": {}}}
        (log / f"{version:020}.json").write_text(json.dumps(said) + "\n")
        (log / f"{version:020}.crc").touch()
    DeltaTable(log.parent).create_checkpoint()


def measure() -> dict[str, float]:
    """Medians in seconds."""
    from lakehouse.engine.launcher import ensure_engine
    from lakehouse.engine.metadata import open_table, state
    from lakehouse.engine.session import connect
    from lakehouse.tables import Table

    spark, engine, table = connect(), psutil.Process(ensure_engine().pid), Table("silver", "busy")
    try:
        looks: dict[str, Callable[[], object]] = {
            WHAT[0]: lambda: spark.sql(f"INSERT INTO {table.sql} VALUES (1, 'x')").collect(),
            WHAT[2]: lambda: open_table(table),
            WHAT[3]: lambda: state(table),
        }
        found: dict[str, list[float]] = {name: [] for name in WHAT}
        for _ in range(ROUNDS):
            for name, look in looks.items():
                before, began = sum(engine.cpu_times()[:2]), time.perf_counter()
                look()
                found[name].append(time.perf_counter() - began)
                if name == WHAT[0]:
                    found[WHAT[1]].append(sum(engine.cpu_times()[:2]) - before)
        return {name: statistics.median(seconds[UNCOUNTED:]) for name, seconds in found.items()}
    finally:
        spark.stop()


def main() -> int:
    """Measure each size, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.many_commits", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--commits", type=int, action="append", help="a table of so many (default: 20, 2,000, 5,000 and 20,000)")
    sizes = sorted(parser.parse_args().commits or [20, 2_000, 5_000, 20_000])
    home = Path(tempfile.mkdtemp(prefix="many-commits-"))
    os.environ.update(LAKEHOUSE_HOME=str(home), LAKEHOUSE_ENGINE_HEAP="3g")
    from lakehouse.engine.launcher import stop_engine
    from lakehouse.engine.session import connect

    try:
        spark = connect()
        spark.sql("CREATE TABLE silver.busy (id INT, v STRING) USING delta").collect()
        for _ in range(40):  # a young engine compiles
            spark.sql("INSERT INTO silver.busy VALUES (0, 'x')").collect()
        results = []
        for size in sizes:
            fill(home / "warehouse" / "silver" / "busy" / "_delta_log", size)
            results.append(measure())
        print("| what | " + " | ".join(f"{size:,} commits" for size in sizes) + " |")
        print("|---" * (len(sizes) + 1) + "|")
        for name in WHAT:
            print(f"| {name} | " + " | ".join(f"{r[name] * 1000:.0f} ms" for r in results) + " |")
    finally:
        stop_engine()
        shutil.rmtree(home, ignore_errors=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
