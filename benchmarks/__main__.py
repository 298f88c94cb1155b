"""`make bench`: the platform against the hand-written pipeline, on the same files, in one run, on the same engine.

Usage: python -m benchmarks [--rows 2000000 --rows 10000000] [--rounds 2] [--work FOLDER]. Prints and writes the tables of README.md.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import psutil

from benchmarks.measure import PYTHON, ROOT, Run, generate, run, small_files

Figures = dict[str, list[float]]
SMALL_FILES = 10_000


class Bench:
    """One work folder with the data, a lake of its own and what was measured."""

    def __init__(self, work: Path, heap: str) -> None:
        self.work, self.home = work, work / "lake"
        contracts = work / "contracts" / "bench"
        contracts.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "benchmarks/readings.odcs.yaml", contracts / "reading.odcs.yaml")
        self.env = {"LAKEHOUSE_HOME": str(self.home), "LAKEHOUSE_CONTRACTS": str(work / "contracts"), "LAKEHOUSE_ENGINE_HEAP": heap}
        self.figures: dict[int, Figures] = defaultdict(lambda: defaultdict(list))

    def command(self, *words: str) -> Run:
        """One `lakehouse` command."""
        return run([PYTHON, "-m", "lakehouse", *words], self.env, self.home)

    def work_of(self, name: str, rows: int) -> Run:
        """One measured piece of the platform's work, on the data of that size."""
        return run([PYTHON, "-m", "benchmarks.platform_run", name], {**self.env, "LAKEHOUSE_LANDING": str(self.work / f"data/{rows}")}, self.home)

    def opponent(self, rows: int) -> Run:
        """The hand-written pipeline, full and one increment, on the lake's engine."""
        from lakehouse.engine.launcher import ensure_engine

        url = ensure_engine().connect_url
        data = self.work / f"data/{rows}"
        command = [
            PYTHON,
            "benchmarks/opponent.py",
            "--input",
            str(data / "reading"),
            "--db",
            "opponent",
            "--remote",
            url,
            "--increment",
            str(data / "increment"),
        ]
        return run(command, self.env, self.home)

    def note(self, rows: int, **values: float) -> None:
        """Keep figures of one size."""
        for name, value in values.items():
            self.figures[rows][name].append(value)

    def median(self, rows: int, name: str) -> float:
        """The median of a figure's rounds."""
        return statistics.median(self.figures[rows][name])


def size(bench: Bench, rows: int, rounds: int) -> None:
    """Both pipelines at one size: everything, then an increment of 1 %, then nothing new."""
    data = bench.work / f"data/{rows}"
    generate(data / "reading", rows)
    # 1 % more, all of it of the newest day
    generate(data / "increment", rows // 100, "50000", "2", "--days", "1", "--first-day", "2026-01-10", "--start-id", str(10 * rows))
    for turn in range(rounds):
        pair: list[Callable[[Bench, int], None]] = [_opponent, _platform]
        for one in pair if turn % 2 == 0 else reversed(pair):
            one(bench, rows)


def _opponent(bench: Bench, rows: int) -> None:
    done = bench.opponent(rows)
    result = done.result
    total = result["bronze_s"] + result["silver_s"]
    bench.note(rows, opponent=total, opponent_increment=result["increment_s"], opponent_client=done.client, opponent_engine=done.engine)


def _platform(bench: Bench, rows: int) -> None:
    data = bench.work / f"data/{rows}"
    bench.work_of("reset", rows)
    full = bench.work_of("dagster", rows)
    result = full.result
    bench.note(rows, platform=result["run_s"], bronze=result["bronze_reading_s"], silver=result["silver_reading_s"])
    bench.note(rows, platform_client=full.client, platform_engine=full.engine)
    copied = []
    for file in (data / "increment").rglob("*.json"):
        target = data / "reading" / file.relative_to(data / "increment")
        shutil.copy(file, target)
        copied.append(target)
    try:
        bench.note(rows, platform_increment=bench.work_of("dagster", rows).result["run_s"])
        bench.note(rows, noop=bench.work_of("noop", rows).result["noop_s"])
        bench.note(rows, rebuild=bench.work_of("rebuild", rows).result["rebuild_s"])
        bench.note(rows, **bench.work_of("parts", rows).result)
    finally:
        for target in copied:
            target.unlink()


def many_files(bench: Bench, count: int) -> None:
    """Bronze from many small files in one partition, twice: the first time warms up."""
    folder = bench.work / f"data/{count}"
    if not folder.exists():
        small_files(folder / "reading", count)
    for _ in range(2):
        bench.work_of("reset", count)
        result = bench.work_of("files", count).result
    bench.note(count, **result)


def engine_start(bench: Bench, rounds: int) -> dict[str, float]:
    """Seconds from the start of a client to its answered query: with the engine (and its AOT cache), and as a classic session with Delta."""
    from lakehouse.engine.jars import ensure_jars

    jars = ",".join(str(p) for p in ensure_jars())
    empty = bench.work / "data/empty/dt=2026-01-01"
    empty.mkdir(parents=True, exist_ok=True)
    (empty / "part-0.json").write_text(
        '{"reading_id": "a", "device_id": "d1", "metric": "pressure", "value": 1, "event_time": "2026-01-01T00:00:00Z", "line": 1}\n'
    )
    engine, classic = [], []
    for _ in range(rounds + 1):
        bench.command("engine", "stop")
        engine.append(bench.work_of("start", 0).result["start_s"])
        command = [PYTHON, "benchmarks/opponent.py", "--input", str(empty.parent), "--db", "classic", "--jars", jars]
        folder = Path(tempfile.mkdtemp(dir=bench.work))
        classic.append(run(command, {"SPARK_SUBMIT_OPTS": f"-Dderby.system.home={folder} -Dspark.sql.warehouse.dir={folder}/wh"}, folder).result["start_s"])
    return {"engine": statistics.median(engine[1:]), "classic": statistics.median(classic[1:])}


def main() -> None:
    """Measure and write the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--rows", type=int, action="append")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--heap", default="6g")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "lakehouse-bench")
    options = parser.parse_args()
    bench = Bench(options.work, options.heap)
    os.environ.update(bench.env)
    rows = options.rows or [2_000_000, 10_000_000]
    start = engine_start(bench, options.rounds)
    size(bench, 200_000, 1)  # warms the engine; not reported
    for n in rows:
        size(bench, n, options.rounds)
    many_files(bench, SMALL_FILES)
    bench.command("engine", "stop")
    report = _tables(bench, rows, start)
    (bench.work / "results.md").write_text(report)
    print(report)


def _tables(bench: Bench, rows: list[int], start: dict[str, float]) -> str:
    memory = psutil.virtual_memory().total / 2**30
    lines = [
        f"{psutil.cpu_count()} cores, {memory:.0f} GiB; medians.",
        "",
        "| what | rows | platform | hand-written | ratio | target |",
        "|---|---|---|---|---|---|",
    ]
    lines.append(f"| engine start | | {start['engine']:.1f} s | {start['classic']:.1f} s | {start['engine'] / start['classic']:.2f} | 0.40 |")
    for n in rows:
        for name, mine, theirs, target in (
            ("Bronze + Silver + checks", "platform", "opponent", "1.15" if n < 10_000_000 else "1.05"),
            ("increment of 1 %", "platform_increment", "opponent_increment", "1.50"),
        ):
            a, b = bench.median(n, mine), bench.median(n, theirs)
            lines.append(f"| {name} | {n:,} | {a:.1f} s | {b:.1f} s | {a / b:.2f} | {target} |")
        rebuild, increment = bench.median(n, "rebuild"), bench.median(n, "platform_increment")
        target = "0.05" if n >= 10_000_000 else ""
        lines.append(f"| increment against a rebuild of Silver | {n:,} | {increment:.1f} s | {rebuild:.1f} s | {increment / rebuild:.2f} | {target} |")
        lines.append(f"| nothing new | {n:,} | {bench.median(n, 'noop'):.2f} s | | | 2 s |")
    if len(rows) > 1:
        small, large = (bench.median(n, "platform_increment") for n in (rows[0], rows[-1]))
        lines.append(f"| increment, larger against smaller table | | {large:.1f} s | {small:.1f} s | {large / small:.2f} | 1.30 |")
    lines += ["", "| rows | Bronze | Silver | rows/s | client peak | engine peak |", "|---|---|---|---|---|---|"]
    for n in rows:
        m = {k: bench.median(n, k) for k in ("bronze", "silver", "platform", "platform_client", "platform_engine")}
        peaks = f"{m['platform_client'] / 2**20:.0f} MiB | {m['platform_engine'] / 2**30:.1f} GiB"
        lines.append(f"| {n:,} | {m['bronze']:.1f} s | {m['silver']:.1f} s | {n / m['platform']:,.0f} | {peaks} |")
    lines += ["", "| rows | parse | with rules | keys | audit |", "|---|---|---|---|---|"]
    for n in rows:
        p = {k: bench.median(n, f"{k}_s") for k in ("parse", "judge", "keys", "audit")}
        lines.append(f"| {n:,} | {p['parse']:.1f} s | {p['judge']:.1f} s | {p['keys']:.1f} s | {p['audit']:.1f} s |")
    listing, ingest = (bench.median(SMALL_FILES, k) for k in ("listing_s", "ingest_s"))
    lines += ["", f"{SMALL_FILES:,} files of 10 records in one partition: listed in {listing:.1f} s, then taken in at {SMALL_FILES / ingest:,.0f} files/s."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
