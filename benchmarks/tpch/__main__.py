"""`python -m benchmarks.tpch`: TPC-H's tables taken in by `lakehouse sync`, its 22 queries over Silver, and whether DuckDB says the same.

Usage: python -m benchmarks.tpch [--scale 0.1] [--work FOLDER]. Prints the tables of README.md; exit code 1 when a count or an answer differs.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.measure import PYTHON, Run, run
from benchmarks.tpch.workload import CONTRACTS, Row, difference, duckdb_over, generate, queries, row_counts


def main() -> None:
    """Load, ask, compare."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tpch")
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--rounds", type=int, default=2, help="of each query; the last is told, since Spark compiles in the first")
    parser.add_argument("--heap", default="4g")
    parser.add_argument("--work", type=Path, help="default: a new folder, removed at the end")
    options = parser.parse_args()
    work = options.work or Path(tempfile.mkdtemp(prefix="lakehouse-tpch-"))
    home, oracle = work / "lake", work / "oracle"
    env = {"LAKEHOUSE_HOME": str(home), "LAKEHOUSE_CONTRACTS": str(CONTRACTS), "LAKEHOUSE_ENGINE_HEAP": options.heap}
    os.environ.update(env)
    try:
        generate(home / "landing", oracle, options.scale)
        loaded = run([PYTHON, "-m", "lakehouse", "sync"], env, home)
        wrong = _load(loaded, home, oracle, options.scale) + _ask(oracle, options.scale, options.rounds)
    finally:
        run([PYTHON, "-m", "lakehouse", "engine", "stop"], env, home)
        if options.work is None:
            shutil.rmtree(work)
    sys.exit(1 if wrong else 0)


def _load(loaded: Run, home: Path, oracle: Path, scale: float) -> int:
    """Tell what taking in took, and the tables whose rows in Silver are not as many as the generator made."""
    from lakehouse.contracts.loader import load_contracts
    from lakehouse.engine.metadata import open_table, rows_by_partition

    contracts, wrong, total = load_contracts(CONTRACTS), 0, 0
    with duckdb_over(oracle) as connection:
        for name, count in row_counts(connection):
            total += count
            delta = open_table(contracts[name].silver)
            have = sum(rows_by_partition(delta, None).values()) if delta is not None else 0
            if have != count:
                print(f"silver.{name} has {have:,} rows, not {count:,}")
                wrong += 1
    size = sum(file.stat().st_size for file in (home / "landing").rglob("*.csv"))
    print("| scale | CSV | rows | `lakehouse sync` | processors | rows/s | client peak | engine peak |")
    print("|---|---|---|---|---|---|---|---|")
    peaks = f"{loaded.client / 2**20:.0f} MiB | {loaded.engine / 2**30:.1f} GiB"
    parts = f"{loaded.seconds:.1f} s | {loaded.processor:.0f} s"
    print(f"| {scale:g} | {size / 1e6:.0f} MB | {total:,} | {parts} | {total / loaded.seconds:,.0f} | {peaks} |\n")
    return wrong


def _ask(oracle: Path, scale: float, rounds: int) -> int:
    """Print each query's times and whether both answers are the same; returns how many are not."""
    from lakehouse.engine.session import connect

    spark = connect()
    spark.catalog.setCurrentDatabase("silver")
    connection = duckdb_over(oracle)
    equal, times, other = 0, [], []
    asked = queries(scale)
    print("| query | rows | Silver, Spark | Parquet, DuckDB | |")
    print("|---|---|---|---|---|")
    for name, text in asked.items():
        ours, spark_s = _timed(lambda query: spark.sql(query).collect(), text, rounds)
        theirs, duck_s = _timed(lambda query: connection.execute(query).fetchall(), text, rounds)
        differs = difference(ours, theirs)
        equal += not differs
        times.append(spark_s)
        other.append(duck_s)
        print(f"| {name} | {len(ours)} | {spark_s:.2f} s | {duck_s:.3f} s | {differs or 'equal'} |", flush=True)
    geometric = [statistics.geometric_mean(t) for t in (times, other)]
    print(f"| all | | {sum(times):.1f} s | {sum(other):.1f} s | {equal} of {len(asked)} equal |")
    print(f"| geometric mean | | {geometric[0]:.2f} s | {geometric[1]:.3f} s | |")
    return len(asked) - equal


def _timed(ask: Callable[[str], Sequence[Row]], text: str, rounds: int) -> tuple[Sequence[Row], float]:
    """The answer, and the seconds of the last round."""
    for _ in range(rounds):
        began = time.perf_counter()
        answer = ask(text)
        seconds = time.perf_counter() - began
    return answer, seconds


if __name__ == "__main__":
    main()
