"""`python -m benchmarks.month`: a month of small increments with maintenance every night, and whether the tables are as quick at its end as at its beginning.

Each increment is the platform's own: one new file, Bronze, Silver and quarantine, and what their writers tidy; each night is `lakehouse maintain`'s plan and
work, on a simulated clock. Only files' and commits' times are real ones, so nothing gets old enough to be removed: the log holds all of the month.
Measured at 10, 50 and 100 %: opening a table, looking up its progress, its partitions, `status`, the night's plan, and an increment. At the end: reads
against a copy that was just compacted. Exit code 1 when a read takes more than 1.3 times as long.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.measure import ROOT

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from lakehouse.contracts.model import Contract
    from lakehouse.tables import Table

MARKS = (0.1, 0.5, 1.0)
TARGET, ROUNDS, WARM = 1.3, 9, 2
METRICS = ("temperature", "vibration", "pressure")


@dataclass
class Month:
    """The lake, its table, and the seconds of what was done so far. Days are numbered from 0."""

    contract: Contract
    spark: SparkSession
    landing: Path
    days: int
    each: int
    rows: int
    last: date
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    looks: list[dict[str, float]] = field(default_factory=list)

    def day(self, number: int) -> date:
        """The date of a day."""
        return self.last - timedelta(days=self.days - 1 - number)

    def arrive(self, number: int, part: int) -> None:
        """One file of readings: some late by one or two days, some twice, some without a meaning."""
        day, rng = self.day(number), random.Random(f"{number}/{part}")
        lines = []
        for n in range(self.rows):
            late = timedelta(days=rng.choice((1, 2)) if rng.random() < 0.01 and number > 1 else 0)
            at = datetime.combine(day - late, clock(part * 24 // self.each, rng.randrange(60), rng.randrange(60)))
            reading = {"reading_id": f"r{number:02}-{part:03}-{n:05}", "device_id": f"d{n % 50:03}", "metric": METRICS[n % 3], "line": n % 7}
            reading |= {"value": round(rng.gauss(20, 5), 3), "event_time": f"{at.isoformat()}Z"}
            lines.append(json.dumps(reading if rng.random() > 0.002 else {**reading, "metric": "colour"}))
            lines += lines[-1:] if rng.random() < 0.005 else []
        folder = self.landing / "reading" / f"dt={day}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"part-{part:03}.json").write_text("\n".join(lines) + "\n")

    def increment(self) -> None:
        """What an incremental run of both assets does, without Dagster."""
        from lakehouse.bronze.ingest import ingest
        from lakehouse.maintenance.work import tidy
        from lakehouse.silver import build

        c, kept, says = self.contract, self.contract.maintenance, lambda _: None
        began = time.perf_counter()
        taken = ingest(self.spark, c, "month")
        tidy(self.spark, c.bronze, kept.bronze, taken.days, says)
        built = build.increment(self.spark, c, "month")
        tidy(self.spark, c.silver, kept.silver, built.dates, says)
        tidy(self.spark, c.quarantine, kept.quarantine, built.days, says)
        self.seconds["increment"].append(time.perf_counter() - began)
        if built.unbalanced:
            raise SystemExit(f"not conserved: {built.unbalanced}")

    def night(self, number: int) -> None:
        """Maintenance in the night after a day."""
        from lakehouse.maintenance.plan import kept_tables, plan
        from lakehouse.maintenance.work import carry_out

        now = datetime.combine(self.day(number) + timedelta(days=1), clock(3), UTC)
        for kept in kept_tables({self.contract.name: self.contract}, ()):
            began = time.perf_counter()
            found = plan(kept, now)
            self.seconds["plan"].append(time.perf_counter() - began)
            if found is not None and not found.nothing:
                carry_out(self.spark, found)

    def look(self) -> dict[str, float]:
        """Seconds of what is read of the tables without Spark, and of the increments around."""
        from lakehouse.cli.lake import Lake
        from lakehouse.cli.status import look
        from lakehouse.engine.metadata import open_table, rows_by_partition, state

        silver = self.contract.silver
        delta = open_table(silver)
        assert delta is not None
        lake = Lake({self.contract.name: self.contract}, ())
        done = len(self.seconds["increment"]) // 10 + 1
        return {
            "files of Bronze": _files(self.contract.bronze),
            "files of Silver": _files(silver),
            "open the table": _median(lambda: open_table(silver)),
            "look its progress up": _median(lambda: state(silver)),
            "its partitions and their rows": _median(lambda: rows_by_partition(delta, self.contract.event_date)),
            "`lakehouse status`, without its start": _median(lambda: look(lake)),
            "the night's plan, a table": statistics.median(self.seconds["plan"][-9:]),
            "an increment": statistics.median(self.seconds["increment"][-done:]),
        }

    def reads(self) -> list[tuple[str, float, float]]:
        """What is read, the seconds of it on the table, and on a copy that was just written and compacted; in turns."""
        bronze, silver = self.contract.bronze.sql, self.contract.silver.sql
        self.spark.sql("CREATE DATABASE IF NOT EXISTS fresh").collect()
        copies = {bronze: ("fresh.bronze", "_source_date"), silver: ("fresh.silver", "event_date")}
        for table, (copy, column) in copies.items():
            self.spark.sql(f"CREATE OR REPLACE TABLE {copy} USING delta PARTITIONED BY ({column}) AS SELECT * FROM {table}").collect()
            self.spark.sql(f"OPTIMIZE {copy}").collect()
        middle, one = self.day(self.days // 2), f"r{self.days // 2:02}-000-00001"
        asked = (
            ("Bronze, all rows", bronze, "SELECT _source_date, count(*), sum(length(_payload)) FROM {} GROUP BY _source_date"),
            ("Silver, all rows", silver, "SELECT metric, count(DISTINCT device_id), sum(value), max(event_time) FROM {} GROUP BY metric"),
            ("Silver, one day", silver, f"SELECT count(*), avg(value) FROM {{}} WHERE event_date = date'{middle}'"),
            ("Silver, the newest day", silver, f"SELECT count(*), avg(value) FROM {{}} WHERE event_date = date'{self.day(self.days - 1)}'"),
            ("Silver, one key of a day", silver, f"SELECT * FROM {{}} WHERE event_date = date'{middle}' AND reading_id = '{one}'"),
            ("Silver, one key", silver, f"SELECT * FROM {{}} WHERE reading_id = '{one}'"),
        )
        return [(name, *self._in_turns(name, query, table, copies[table][0])) for name, table, query in asked]

    def _in_turns(self, name: str, query: str, table: str, copy: str) -> tuple[float, float]:
        seconds: dict[str, list[float]] = {table: [], copy: []}
        answers: dict[str, list[str]] = {}
        for _ in range(ROUNDS + WARM):
            for read, took in seconds.items():
                began = time.perf_counter()
                rows = self.spark.sql(query.format(read)).collect()
                took.append(time.perf_counter() - began)
                answers[read] = sorted(_rounded(row.asDict()) for row in rows)
        if answers[table] != answers[copy]:
            raise SystemExit(f"{name}: the copy says something else")
        one, other = (statistics.median(took[WARM:]) for took in seconds.values())
        return one, other


def _files(table: Table) -> float:
    from lakehouse.engine.metadata import open_table

    delta = open_table(table)
    return float(len(delta.file_uris())) if delta is not None else 0.0


def _rounded(row: dict[str, Any]) -> str:
    """Sums of doubles depend on their order."""
    return repr([round(v, 6) if isinstance(v, float) else v for v in row.values()])


def _median(work: Callable[[], object]) -> float:
    took = []
    for _ in range(7):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def main() -> None:
    """A month in a lake of its own; prints the tables of README.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.month")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--increments", type=int, default=6, help="a day")
    parser.add_argument("--rows", type=int, default=300, help="an increment")
    parser.add_argument("--heap", default="2g")
    parser.add_argument("--work", type=Path, help="default: a new folder, removed at the end")
    parser.add_argument("--seconds", type=float, default=math.inf, help="stop after so long; the same command goes on from there in the same --work")
    options = parser.parse_args()
    work = options.work or Path(tempfile.mkdtemp(prefix="lakehouse-month-"))
    saved = work / "month.json"
    told = json.loads(saved.read_text()) if saved.exists() else {"last": str(datetime.now(UTC).date()), "seconds": {}, "looks": []}
    last = date.fromisoformat(told["last"])
    contracts = work / "contracts" / "bench"
    contracts.mkdir(parents=True, exist_ok=True)
    text = (ROOT / "benchmarks/readings.odcs.yaml").read_text().replace("'2026-01-01'", f"'{last - timedelta(days=options.days)}'")
    (contracts / "reading.odcs.yaml").write_text(text)
    os.environ.update(LAKEHOUSE_HOME=str(work / "lake"), LAKEHOUSE_CONTRACTS=str(work / "contracts"), LAKEHOUSE_ENGINE_HEAP=options.heap)
    from lakehouse.contracts.loader import load_contracts
    from lakehouse.engine.launcher import stop_engine
    from lakehouse.engine.session import connect

    contract = load_contracts(work / "contracts")["reading"]
    slow = False
    try:
        month = Month(contract, connect(), work / "lake" / "landing", options.days, options.increments, options.rows, last)
        month.seconds.update(told["seconds"])
        month.looks += told["looks"]
        whole = _live(month, time.monotonic() + options.seconds)
        saved.write_text(json.dumps({"last": told["last"], "seconds": month.seconds, "looks": month.looks}))
        slow = whole and _tell(month)
    finally:
        stop_engine()
        if options.work is None:
            shutil.rmtree(work)
    sys.exit(1 if slow else 0)


def _live(month: Month, end: float) -> bool:
    """The month from where it stands; returns whether it came to its end."""
    total = month.days * month.each
    for done in range(len(month.seconds["increment"]), total):
        if time.monotonic() > end:
            print(f"{done} of {total} increments are done", file=sys.stderr)
            return False
        number, part = divmod(done, month.each)
        if done and not part:
            month.night(number - 1)
        month.arrive(number, part)
        month.increment()
        if len(month.looks) < len(MARKS) and done + 1 >= MARKS[len(month.looks)] * total:
            month.looks.append(month.look())
    return True


def _tell(month: Month) -> bool:
    """Print what was measured; returns whether a read missed its target."""
    total, looks = month.days * month.each, month.looks
    print(f"| after so much of {total} increments of {month.rows} rows | {' | '.join(f'{mark:.0%}' for mark in MARKS)} | last against first |")
    print("|---|---|---|---|---|")
    for name in looks[0]:
        values = [look[name] for look in looks]
        shown = [f"{v:.0f}" if name.startswith("files") else f"{v:.2f} s" if v > 0.5 else f"{1000 * v:.1f} ms" for v in values]
        print(f"| {name} | {' | '.join(shown)} | {values[-1] / values[0]:.2f} |")
    reads = month.reads()
    print("\n| read | the table | a compacted copy | ratio | target |\n|---|---|---|---|---|")
    for name, ours, copied in reads:
        print(f"| {name} | {1000 * ours:.0f} ms | {1000 * copied:.0f} ms | {ours / copied:.2f} | {TARGET} |", flush=True)
    return any(ours > TARGET * copied for _, ours, copied in reads)


if __name__ == "__main__":
    main()
