"""`lakehouse query`: read-only SQL on the engine. Not here: what is read-only (`readonly`), how values are written (`values`)."""

from __future__ import annotations

import contextlib
import csv
import os
import re
import time
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.markup import escape

from lakehouse.cli.output import PIPE_WIDTH, Clock, err, grid, out, plural, seconds, show
from lakehouse.cli.readonly import Statement, read_only
from lakehouse.cli.steps import Steps
from lakehouse.errors import EngineError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructField

app = typer.Typer(add_completion=False)
TABLE_LIMIT = 1000


@app.command(
    epilog='Example: lakehouse query "select date_day, sum(margin) from gold.fct_sales_daily group by date_day order by date_day"\n\n'
    'Example: lakehouse query "select * from silver.product" --format csv > products.csv'
)
def query(
    sql: Annotated[str, typer.Argument(help="One SELECT (also WITH … SELECT, VALUES), SHOW, DESCRIBE or EXPLAIN, in Spark SQL.")],
    form: Annotated[Literal["table", "json", "csv"], typer.Option("--format", "-f", help="How to print the rows.")] = "table",
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="At most so many rows. Default: 1000 for table, all for json and csv.")] = None,
) -> None:
    """Ask the lake in SQL, read-only.

    Anything that would write, run code or read files is refused before it reaches the engine.

    Times are UTC. JSON: an array of objects; decimals are exact numbers, NaN and infinities are strings, binary is base64. Rows are streamed.
    """
    clock = Clock()
    statement = read_only(sql)
    use_utc()
    most = limit or (TABLE_LIMIT if form == "table" else None)
    with spark_session() as spark, _spoken(statement):
        with Steps.waiting("Asking the engine"):
            frame = spark.sql(statement.sql)
            fields = frame.schema.fields
            rows = _fetch(spark, frame, most)
        count, more = {"table": as_table, "json": _as_json, "csv": _as_csv}[form](rows, fields, most)
    if form == "table" or more:
        cut = f"; there are more: --limit {10 * (most or 1)}, or --format csv for all" if more else ""
        err.print(f"{plural(count, 'row')} ({seconds(clock())}){cut}")


def use_utc() -> None:
    """PySpark gives times in the process's own zone: make that UTC. Only for a process that does nothing else."""
    os.environ["TZ"] = "UTC"
    time.tzset()


@contextlib.contextmanager
def spark_session() -> Iterator[SparkSession]:
    """A session on the engine, which is started where it does not run."""
    from lakehouse.engine.session import connect

    with Steps.waiting("Connecting to the engine"):
        spark = connect()
    try:
        yield spark
    finally:
        with contextlib.suppress(Exception):  # the engine may be gone; whatever went wrong has been raised already
            spark.stop()


def _fetch(spark: SparkSession, frame: DataFrame, most: int | None) -> Iterator[Any]:
    """The rows, as they come; with a limit one more, to know whether there are more. Ctrl-C stops the engine's work too."""
    limited = frame if most is None else frame.limit(most + 1)
    try:
        iterator = iter(limited.toLocalIterator())
        first = list(islice(iterator, 1))
        return _chained(spark, first, iterator)
    except KeyboardInterrupt:
        spark.interruptAll()
        raise


def _chained(spark: SparkSession, first: list[Any], rest: Iterator[Any]) -> Iterator[Any]:
    try:
        yield from first
        yield from rest
    except KeyboardInterrupt:
        spark.interruptAll()
        raise


@contextlib.contextmanager
def _spoken(statement: Statement) -> Iterator[None]:
    """The engine's error in a sentence, its line that of the user's text."""
    from pyspark.errors import PySparkException

    from lakehouse.engine.session import brief

    try:
        yield
    except PySparkException as error:
        text = re.sub(r"(line )(\d+)", lambda m: f"{m[1]}{max(int(m[2]) - statement.lines_before, 1)}", brief(error, 1))
        raise EngineError(
            f"The engine does not take it: {text}", next_step="Tables: lakehouse status. Columns: lakehouse query 'describe silver.<table>'"
        ) from error


def as_table(rows: Iterator[Any], fields: list[StructField], most: int | None) -> tuple[int, bool]:
    """Print a table; returns how many rows it has, and whether there are more."""
    from lakehouse.cli.values import is_number, to_text

    table = grid()
    for field in fields:
        table.add_column(escape(field.name), justify="right" if is_number(field.dataType) else "left", overflow="fold")
    told = [[to_text(v, f.dataType) for v, f in zip(row, fields, strict=True)] for row in islice(rows, most)]
    for line in told:
        table.add_row(*map(escape, line))
    if out.is_terminal and out.measure(table, options=out.options.update(width=PIPE_WIDTH)).maximum > out.width:
        _as_cards(told, fields)
    else:
        show(table)
    return len(told), next(rows, None) is not None


def _as_cards(told: list[list[str]], fields: list[StructField]) -> None:
    """A row after the other, a line for each column: for a terminal that is too narrow for the table."""
    width = max(len(f.name) for f in fields)
    for number, line in enumerate(told, start=1):
        out.print(f"[dim]row {number}[/dim]")
        for field, text in zip(fields, line, strict=True):
            out.print(f"  [bold]{escape(field.name):<{width}}[/bold]  {escape(text)}")


def _as_json(rows: Iterator[Any], fields: list[StructField], most: int | None) -> tuple[int, bool]:
    from lakehouse.cli.values import object_of

    count = 0
    out.file.write("[")
    for row in islice(rows, most):
        out.file.write(("," if count else "") + "\n  " + object_of(row, fields))
        count += 1
    out.file.write("\n]\n" if count else "]\n")
    return count, next(rows, None) is not None


def _as_csv(rows: Iterator[Any], fields: list[StructField], most: int | None) -> tuple[int, bool]:
    from lakehouse.cli.values import to_text

    writer = csv.writer(out.file, lineterminator="\n")
    writer.writerow([f.name for f in fields])
    count = 0
    for row in islice(rows, most):
        writer.writerow([to_text(v, f.dataType) for v, f in zip(row, fields, strict=True)])
        count += 1
    return count, next(rows, None) is not None
