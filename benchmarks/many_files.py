"""`python -m benchmarks.many_files`: what the number of a table's files costs those who read its log, and the number of a source's files those who list it.

The table is a log without data: files of 365 days with the statistics of readings, a checkpoint, and one commit after it. Measured are the platform's own looks
at it, and (with --spark) the engine's planning of a query that reads no file. Prints the tables of README.md.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psutil

from benchmarks.measure import PYTHON, ROOT

DAYS, LISTED_DAYS, ROUNDS = 365, 7, 4
LOOKS = ("open the table", "look its progress up", "rows of its partitions", "the night's plan")


def make_log(folder: Path, files: int) -> None:
    """A Delta log that names so many files of 128 MB."""
    from deltalake import DeltaTable

    first, log = date(2026, 1, 1), folder / "_delta_log"
    log.mkdir(parents=True)
    columns = {"reading_id": "string", "device_id": "string", "metric": "string", "value": "double", "event_time": "timestamp", "event_date": "date"}
    schema = {"type": "struct", "fields": [{"name": n, "type": t, "nullable": True, "metadata": {}} for n, t in columns.items()]}
    meta = {"id": "bench", "format": {"provider": "parquet", "options": {}}, "schemaString": json.dumps(schema), "partitionColumns": ["event_date"]}
    with (log / f"{0:020}.json").open("w") as out:
        for action in (
            {"commitInfo": {"timestamp": 0, "operation": "WRITE", "operationParameters": {}}},
            {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}},
            {"metaData": {**meta, "configuration": {}, "createdTime": 0}},
        ):
            out.write(json.dumps(action) + "\n")
        for n in range(files):
            out.write(json.dumps({"add": _file(n, first + timedelta(days=n % DAYS))}) + "\n")
    DeltaTable(folder).create_checkpoint()
    note = json.dumps({"lakehouse": 1, "run": "r", "contract": "1.0.0", "planned": 0})
    newest = {"timestamp": int(time.time() * 1000), "operation": "WRITE", "operationParameters": {}, "userMetadata": note}
    (log / f"{1:020}.json").write_text(json.dumps({"commitInfo": newest}) + "\n" + json.dumps({"add": _file(files, first)}) + "\n")


def _file(number: int, day: date) -> dict[str, object]:
    least = {"reading_id": f"r{number:010}", "device_id": "d000", "metric": "pressure", "value": -10.5, "event_time": f"{day}T00:00:00.000Z"}
    most = {"reading_id": f"r{number + 9:010}", "device_id": "d499", "metric": "vibration", "value": 99.5, "event_time": f"{day}T23:59:59.000Z"}
    stats = json.dumps({"numRecords": 4_000_000, "minValues": least, "maxValues": most, "nullCount": dict.fromkeys(least, 0)})
    path = f"event_date={day}/part-{number:08}-c000.snappy.parquet"
    return {"path": path, "partitionValues": {"event_date": str(day)}, "size": 128 << 20, "modificationTime": 0, "dataChange": True, "stats": stats}


def looks(files: int) -> dict[str, float]:
    """Seconds of each look, and the most memory (MiB)."""
    from lakehouse.contracts.model import Upkeep
    from lakehouse.engine.metadata import open_table, rows_by_partition, state
    from lakehouse.maintenance.plan import Kept, plan
    from lakehouse.tables import Table

    table = Table("silver", f"log{files}")
    before = psutil.Process().memory_info().rss
    found: dict[str, float] = {}
    delta = open_table(table)
    assert delta is not None
    work: tuple[Callable[[], object], ...] = (
        lambda: open_table(table),
        lambda: state(table),
        lambda: rows_by_partition(delta, "event_date"),
        lambda: plan(Kept(table, Upkeep()), datetime.now(UTC)),
    )
    for name, one in zip(LOOKS, work, strict=True):
        found[name] = math.inf
        for _ in range(ROUNDS):
            began = time.perf_counter()
            one()
            found[name] = min(found[name], time.perf_counter() - began)  # the least disturbed; the first also imports what it needs
    return {**found, "memory": (psutil.Process().memory_info().rss - before) / 2**20}


def planning(files: int) -> dict[str, float]:
    """Seconds of the engine: the first query of a table, and the next one of another day; neither finds a file to read."""
    from lakehouse.engine.session import connect
    from lakehouse.settings import settings
    from lakehouse.tables import Table

    spark, table = connect(), Table("silver", f"log{files}")
    spark.sql("CREATE DATABASE IF NOT EXISTS silver").collect()
    spark.sql(f"CREATE TABLE IF NOT EXISTS {table.sql} USING delta LOCATION '{table.location(settings().warehouse)}'").collect()
    found = {}
    for name, day in (("the engine's first query", "1999-01-01"), ("its next query", "1999-01-02")):
        began = time.perf_counter()
        spark.sql(f"SELECT sum(value) FROM {table.sql} WHERE event_date = date'{day}'").collect()
        found[name] = time.perf_counter() - began
    return found


def listing(work: Path, files: int) -> float:
    """Seconds to list a source's files of a week."""
    from lakehouse.contracts.model import FileSource
    from lakehouse.sources.files.listing import list_files

    root, first = work / f"listed{files}", date(2026, 1, 1)
    for n in range(LISTED_DAYS):
        folder = root / f"dt={first + timedelta(days=n)}"
        folder.mkdir(parents=True)
        for k in range(files // LISTED_DAYS):
            (folder / f"part-{k:06}.json").touch()
    least = math.inf
    for _ in range(ROUNDS):
        began = time.perf_counter()
        assert len(list_files(FileSource(path=str(root), format="json"), first).files) == files // LISTED_DAYS * LISTED_DAYS
        least = min(least, time.perf_counter() - began)
    return least


def main() -> None:
    """Measure each number of files in a process of its own."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.many_files")
    parser.add_argument("--files", type=int, action="append")
    parser.add_argument("--spark", action="store_true", help="the engine's planning, too")
    parser.add_argument("--heap", default="4g")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        found = looks(options.one) | (planning(options.one) if options.spark else {})
        found["list as many source files"] = listing(Path(os.environ["LAKEHOUSE_HOME"]), options.one)
        print("\n" + json.dumps(found))
        return
    counts = options.files or [1_000, 10_000, 100_000]
    home = Path(tempfile.mkdtemp(prefix="lakehouse-many-"))
    env = {**os.environ, "LAKEHOUSE_HOME": str(home), "LAKEHOUSE_ENGINE_HEAP": options.heap}
    measured: dict[int, dict[str, float]] = {}
    try:
        for files in counts:
            make_log(home / "warehouse" / "silver" / f"log{files}", files)
            words = [PYTHON, "-m", "benchmarks.many_files", "--one", str(files), *(["--spark"] if options.spark else [])]
            done = subprocess.run(words, check=True, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)
            measured[files] = json.loads(done.stdout.splitlines()[-1])
            print(f"{files}: {measured[files]}", file=sys.stderr, flush=True)
    finally:
        if options.spark:
            subprocess.run([PYTHON, "-m", "lakehouse", "engine", "stop"], check=False, cwd=ROOT, env=env)
        shutil.rmtree(home)
    print(f"| what | {' | '.join(f'{n:,} files' for n in counts)} | exponent of the last two |")
    print("|---" * (len(counts) + 2) + "|")
    for name in measured[counts[0]]:
        values = [measured[n][name] for n in counts]
        shown = [f"{v:.0f} MiB" if name == "memory" else f"{v:.2f} s" if v >= 0.1 else f"{1000 * v:.1f} ms" for v in values]
        slope = statistics.linear_regression([math.log(n) for n in counts[-2:]], [math.log(max(v, 1e-9)) for v in values[-2:]]).slope
        print(f"| {name} | {' | '.join(shown)} | {slope:.2f} |")


if __name__ == "__main__":
    main()
