"""`lakehouse demo`: the example business, from nothing to answers. Not here: its generator (the package `demo`, which the platform does not import)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from lakehouse.cli.lake import Lake, read_lake
from lakehouse.cli.output import Clock, err, log_defect, out, plural, seconds
from lakehouse.cli.steps import Steps
from lakehouse.cli.summary import Before, rows, show_summary
from lakehouse.errors import LakehouseError, SetupError
from lakehouse.settings import PROJECT, settings
from lakehouse.storage import mirror

if TYPE_CHECKING:
    from lakehouse.cli.runner import Session
    from lakehouse.cli.sync import Passed

app = typer.Typer(add_completion=False)
DAYS, SEED = 7, 7


@dataclass(frozen=True)
class Question:
    """What the company asks, and the SQL that answers it from Gold."""

    asks: str
    sql: str


QUESTIONS = (
    Question(
        "Which products earned most?",
        "select p.product_name as product, sum(s.units_sold) as units, sum(s.net_revenue) as revenue, sum(s.margin) as margin "
        "from gold.fct_sales_daily s join gold.dim_product p using (product_id) group by all order by margin desc limit 5",
    ),
    Question(
        "Which machines left their limits?",
        "select machine_id as machine, metric, count(*) as hours, min(hour_start) as first_hour, round(max(mean_value), 1) as highest_mean "
        "from gold.fct_machine_health_hourly where is_anomaly group by all order by hours desc, machine limit 5",
    ),
    Question(
        "How many web sessions end in a purchase?",
        "select date_day as day, sessions, converted_sessions as converted, conversion_rate from gold.fct_web_sessions_daily order by date_day desc limit 3",
    ),
    Question(
        "How many orders ship late?",
        "select date_day as day, orders, late_orders as late, late_order_rate from gold.fct_late_orders_daily order by late_orders desc, date_day limit 3",
    ),
)


@app.command(epilog="Example: lakehouse demo\n\nExample: lakehouse demo --days 14 --scale 2\n\nExample: lakehouse demo --live --rate 50")
def demo(
    days: Annotated[int, typer.Option(min=1, help="Days to generate, the last being today (UTC). Files that are there stay, and grow up to today.")] = DAYS,
    scale: Annotated[float, typer.Option(min=0.001, help="Factor for readings, orders, clicks and customers; 1 is 7,000 readings a day.")] = 1.0,
    seed: Annotated[int, typer.Option(help="The dice: another seed gives another business, in another lake.")] = SEED,
    live_: Annotated[
        bool, typer.Option("--live", help="Another lake, fed by Kafka and PostgreSQL while you look: servers, Dagster with sensors, events of now.")
    ] = False,
    rate: Annotated[float, typer.Option(min=0.1, help="With --live: events a second.")] = 20.0,
    minutes: Annotated[float | None, typer.Option(help="With --live: for how long. Default: until Ctrl-C.", show_default=False)] = None,
) -> None:
    """Generate the files of Mega Awesome Toys, build everything from them, and show what there is.

    Bronze, Silver, quarantine and Gold, through Dagster. Safe to repeat: files and tables that are there stay; tomorrow it adds a day.
    """
    clock = Clock()
    _check_generator()
    if live_:
        from lakehouse.cli.live import live

        live(rate, minutes, seed)
        return
    lake = read_lake()
    before = Before.of(lake)
    from lakehouse.cli.runner import session

    with ThreadPoolExecutor(max_workers=1) as pool:
        files = pool.submit(_generate, days, scale, seed)  # while Dagster is loaded and the engine starts
        with session("demo.log", clock) as ready:
            with clock.part("waiting for the files"), Steps.waiting("Generating the files"):
                said = files.result()
            out.print(f"Mega Awesome Toys, {plural(days, 'day')} of files in {settings().landing}:")
            out.print(said, markup=False)
            passed = _build(ready, lake)
            if passed is not None:
                show_summary(lake, before, passed.runs)
            with clock.part("asking Gold"):
                _answers(ready)
    _conclude(lake, passed, clock)


def _check_generator() -> None:
    if find_spec("demo") is None:
        raise SetupError(
            "The package `demo`, which generates the example's files, is not installed here.", next_step="Run this in a clone of the project: make demo"
        )


def _generate(days: int, scale: float, seed: int) -> str:
    """Run the generator; returns what it said. Raises `LakehouseError` with its words."""
    landing = settings().landing
    folder = settings().home / "demo" if "://" in landing else Path(landing)  # files for an object store are made here, and copied
    command = [sys.executable, "-m", "demo", "--target", str(folder), "--days", str(days), "--scale", str(scale), "--seed", str(seed)]
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        words = (done.stderr or done.stdout).strip()
        raise LakehouseError(
            f"The example's files were not generated: {words.splitlines()[-1] if words else f'exit code {done.returncode}'}",
            state="No table was changed.",
            next_step="With other days, scale or seed, set LAKEHOUSE_HOME to a new folder; the same as before extends what is there.",
        )
    if "://" in landing:
        mirror(folder, landing)
    return done.stdout.strip()


def _build(ready: Session, lake: Lake) -> Passed | None:
    """What `lakehouse sync` does; None when everything was built already."""
    from lakehouse.cli.sync import follow
    from lakehouse.pending import due

    with ready.clock.part("looking for what is new"):
        work = due(lake.contracts.values(), lake.marts)
    if work.nothing:
        err.print("Nothing is new: all of it was built before.")
        return None
    return follow(ready, lake, work)


def _answers(ready: Session) -> None:
    """Ask Gold what the company asks. A question without an answer does not spoil the others."""
    from pyspark.errors import PySparkException

    from lakehouse.cli.query import as_table, use_utc
    from lakehouse.engine.session import brief, connect

    use_utc()
    ready.engine.result()
    spark = connect()
    try:
        for question in QUESTIONS:
            out.print(f"\n[bold]{escape(question.asks)}[/bold]")
            try:
                frame = spark.sql(question.sql)
                as_table(iter(frame.collect()), frame.schema.fields, None)
            except PySparkException as error:
                log_defect(settings().home, error)
                err.print(f"No answer: {brief(error, 1)}", style="red", markup=False)
    finally:
        spark.stop()


def _conclude(lake: Lake, passed: Passed | None, clock: Clock) -> None:
    from lakehouse.cli.sync import conclude

    total = sum(rows(c.silver, c.event_date) for c in lake.contracts.values())
    refused = sum(rows(c.quarantine, "_source_date") for c in lake.contracts.values())
    out.print(f"\n[bold]There is now[/bold] a lake in {escape(str(settings().home))}: {total:,} rows in Silver, {refused:,} records in quarantine.")
    warnings = len(passed.checks) if passed is not None else 0
    if warnings:
        out.print(f"{plural(warnings, 'check')} {'warns' if warnings == 1 else 'warn'}, as they should: the example's files are untidy on purpose.")
    out.print("Time: " + ", ".join(f"{name} {seconds(took)}" for name, took in clock.parts.items()) + f"; {seconds(clock())} in all.")
    out.print("\n[bold]Try next[/bold]")
    for command, does in _next():
        out.print(f"  {escape(command):<88} [dim]{escape(does)}[/dim]")
    if passed is not None and not passed.good:
        out.print("")
        raise typer.Exit(conclude(passed, clock))


def _next() -> Iterator[tuple[str, str]]:
    yield "lakehouse status", "every table: rows, lag, freshness"
    yield 'lakehouse query "select * from gold.fct_sales_daily limit 5"', "SQL, read-only"
    yield "lakehouse quarantine list", "what was refused, and why"
    yield "lakehouse up", "Dagster's web UI: lineage, partitions, checks; sensors on"
    yield "lakehouse demo", "again tomorrow: a day more, and only what is new is built"
    yield "lakehouse materialize silver/sensor_reading+ --partition $(date -u +%F)", "rebuild a day"
