"""`python -m benchmarks.history`: a million changes on histories of a million and of ten million rows, and what a change costs on each.

The feed's records are written by the engine, taken into Bronze, and built into Silver (SCD 2), an hour of the history in each increment as a feed brings
them: that is not measured. Measured are the increments after them: Bronze's new changes to Silver and quarantine, with the audit that reads them back, and
the blocking check of the versions. First all in order; then one in a hundred late by one version; then one in a hundred anywhere in the history.
Prints the rows of README.md's table. `--prepare` only builds the histories, which take a while and need no quiet machine; the next call measures on them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import PYTHON, ROOT, run

_TIME = "date_format({at}, \"yyyy-MM-dd'T'HH:mm:ssXXX\")"
_RECORD = f"to_json(named_struct('id', concat('k', {{key}}), 'op', 'u', 'at', {_TIME}, 'n', id, 'city', concat('city ', id % 977)))"


def write(landing: Path, day: str, count: int, key: str, at: str) -> None:
    """Write `count` changes as JSON lines into the folder of a day, or one below it."""
    from lakehouse.engine.session import connect

    spark = connect()
    spark.range(count).selectExpr(_RECORD.format(key=key, at=at) + " as value").write.mode("overwrite").text(str(landing / f"customer/dt={day}"))
    spark.stop()


def increment() -> dict[str, float]:
    """What an incremental run does, from a session of its own."""
    from lakehouse.bronze.ingest import ingest
    from lakehouse.contracts.loader import load_contracts
    from lakehouse.engine.session import connect
    from lakehouse.settings import settings
    from lakehouse.silver import build
    from lakehouse.silver.keys import count_keys

    contract, spark = load_contracts(settings().contracts)["customer"], connect()
    began = time.perf_counter()
    ingest(spark, contract, "bench")
    taken = time.perf_counter()
    built = build.increment(spark, contract, "bench")
    merged = time.perf_counter()
    keys = count_keys(spark, contract, (), None)
    if built.unbalanced or keys.repeated or keys.broken:
        raise SystemExit(f"not conserved, or not one line of versions: {built.unbalanced} {keys}")
    seconds = {"bronze_s": taken - began, "silver_s": merged - taken, "check_s": time.perf_counter() - merged}
    return {**seconds, "rows": spark.table(contract.silver.sql).count()}


def measure(options: argparse.Namespace, rows: int) -> None:
    """Print the table's lines of one size of history."""
    work, keys, changes, heap = options.work, options.keys, options.changes, options.heap
    home = work / f"lake-{rows}"
    contracts = work / "contracts" / "bench"
    contracts.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "benchmarks/customer.odcs.yaml", contracts / "customer.odcs.yaml")
    landing = home / "landing"
    os.environ.update(LAKEHOUSE_HOME=str(home), LAKEHOUSE_CONTRACTS=str(contracts.parent), LAKEHOUSE_ENGINE_HEAP=heap, LAKEHOUSE_LANDING=str(landing))
    from lakehouse.engine.launcher import stop_engine
    from lakehouse.settings import settings

    settings.cache_clear()
    command = [PYTHON, "-m", "benchmarks.history", "--increment"]
    versions = rows // keys
    for hour in range(versions):
        built = home / f"hour-{hour}-is-built"
        if not built.exists():
            write(landing, f"2026-01-01/{hour:02}", keys, "id", f"timestamp'2026-01-01 {hour:02}:00:00'")
            run(command, {}, home)
            built.touch()
    if options.prepare:
        stop_engine()
        return
    anywhere = f"timestamp'2026-01-01 00:30:00' + make_interval(0, 0, 0, 0, cast(id / 100 as int) % {versions})"
    one_in_a_hundred = "if(id % 100 = 0, {late}, timestamp'{now}')"
    for day, what, at in (
        ("02", "in order", "timestamp'2026-01-02'"),
        ("03", "one in a hundred late by one", one_in_a_hundred.format(late="timestamp'2026-01-01 23:00:00'", now="2026-01-03")),
        ("04", "one in a hundred anywhere", one_in_a_hundred.format(late=anywhere, now="2026-01-04")),
    ):
        write(landing, f"2026-01-{day}", changes, f"(id * 7919) % {keys}", at)
        done = run(command, {}, home)
        r = done.result
        per_change = 1e6 * (r["silver_s"] + r["check_s"]) / changes
        line = f"| {changes:,} {what} | {rows:,} | {r['silver_s']:.1f} s | {r['check_s']:.1f} s | {per_change:.0f} µs | {done.engine / 2**30:.1f} GiB |"
        print(line, flush=True)
    stop_engine()


def main() -> None:
    """Measure each size in a lake of its own."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.history")
    parser.add_argument("--rows", type=int, action="append")
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--changes", type=int, default=1_000_000)
    parser.add_argument("--heap", default="6g")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "lakehouse-bench-history")
    parser.add_argument("--prepare", action="store_true")
    parser.add_argument("--increment", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.increment:
        sys.stdout.write("\n" + json.dumps(increment()) + "\n")
        return
    for rows in options.rows or [1_000_000, 10_000_000]:
        measure(options, rows)


if __name__ == "__main__":
    main()
