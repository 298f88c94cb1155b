"""Refused records as the commands of `lakehouse quarantine` show them: counted with their trend, one by one, or written to a file.

Not here: the commands and their options (`quarantine`), how a value is written (`values`).
"""

from __future__ import annotations

import csv
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from rich.markup import escape

from lakehouse.cli.output import grid, out, show
from lakehouse.contracts.model import Contract
from lakehouse.engine import metadata
from lakehouse.engine.metadata import Day

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

TREND = 14  # days that the trend shows
WEEK = 7
_UNTIL = "_held_until"
_WAITS = f"count_if(try_element_at(_waits_for, rule) is not null and {_UNTIL} >= current_date())"
_BARS = "▁▂▃▄▅▆▇█"
_FACTS = ("_source", "_source_position", "_source_date", "_event_date", "_ingested_at", "_quarantined_at", "_contract_version")
SHOWN = ("_reasons", "_disposition", "_payload", *_FACTS)
WAITING = ("_waits_for", _UNTIL)


@dataclass(frozen=True)
class Count:
    """How many records of a table and a Bronze day broke a rule, and how many of them wait for a row of another table."""

    table: str
    rule: str
    day: Day
    records: int
    waiting: int = 0


def held(contract: Contract) -> int:
    """Refused records of a table; from file statistics."""
    delta = metadata.open_table(contract.quarantine)
    return sum(metadata.rows_by_partition(delta, None).values()) if delta is not None else 0


def waits(contract: Contract) -> bool:
    """Whether its refused records may be waiting for rows of other tables."""
    delta = metadata.open_table(contract.quarantine)
    return delta is not None and _UNTIL in {f.name for f in delta.schema().fields}


def counts(spark: SparkSession, contracts: Sequence[Contract]) -> list[Count]:
    """By table, rule and day; a record that breaks two rules counts for both."""
    parts = (
        f"(SELECT '{c.name}' AS table, rule, _source_date AS day, count(*) AS records, {_WAITS if waits(c) else 0} AS waiting "
        f"FROM {c.quarantine.sql} LATERAL VIEW explode(_reasons) AS rule GROUP BY ALL)"
        for c in contracts
    )
    return [Count(*row) for row in spark.sql(" UNION ALL ".join(parts) + " ORDER BY 1, 4 DESC, 2, 3").collect()] if contracts else []


def show_trends(found: Sequence[Count], newest: Callable[[str], date | None]) -> None:
    """A line for each table and rule. `newest`: the last Bronze day of a table, with which its last days end."""
    numbers = ("records", *(["waiting"] if any(c.waiting for c in found) else []), "last 7 days", "7 before")
    lines = grid("table", "rule", *numbers, f"last {TREND} days", right=numbers)
    groups: dict[tuple[str, str], dict[Day, int]] = defaultdict(dict)
    waiting: Counter[tuple[str, str]] = Counter()
    for c in found:
        groups[c.table, c.rule][c.day] = c.records
        waiting[c.table, c.rule] += c.waiting
    for (table, rule), per_day in sorted(groups.items(), key=lambda g: (g[0][0], -sum(g[1].values()), g[0][1])):
        recent = last_days(per_day, newest(table), TREND)
        before, week = (sum(part) for part in (recent[:-WEEK], recent[-WEEK:]))
        told = [sum(per_day.values()), *([waiting[table, rule]] if "waiting" in numbers else []), week, before]
        lines.add_row(table, rule, *(f"{n:,}" for n in told), bars(recent))
    show(lines)


def show_days(found: Sequence[Count]) -> None:
    """A line for each rule and day, the newest first."""
    lines = grid("rule", "day", "records", right=("records",))
    for c in sorted(found, key=lambda c: (c.day is None, -(c.day or date.max).toordinal(), -c.records, c.rule)):
        lines.add_row(c.rule, str(c.day) if c.day else "(no date)", f"{c.records:,}")
    show(lines)


def last_days(per_day: dict[Day, int], newest: date | None, days: int) -> list[int]:
    """The numbers of the last days, the newest last."""
    end = max([d for d in (*per_day, newest) if d is not None], default=date.min + timedelta(days=days))
    return [per_day.get(end - timedelta(days=n), 0) for n in reversed(range(days))]


def bars(numbers: Sequence[int]) -> str:
    """A bar for each number; a dot for none."""
    most = max(numbers, default=0)
    return "".join(_BARS[(n * len(_BARS) - 1) // most] if n else "·" for n in numbers)


def choose(refused: DataFrame, rule: str | None, days: frozenset[Day] | None) -> DataFrame:
    """The records that broke this rule, of these Bronze days; the newest first."""
    from pyspark.sql import functions as F

    if rule is not None:
        refused = refused.where(F.array_contains("_reasons", rule))
    if days is not None:
        known = [F.lit(d) for d in days if d is not None]
        refused = refused.where((F.col("_source_date").isin(*known) if known else F.lit(False)) | (F.col("_source_date").isNull() & F.lit(None in days)))
    return refused.orderBy(F.col("_source_date").desc_nulls_last(), "_source", "_source_position", "_payload")


def plain(row: Any) -> dict[str, Any]:  # noqa: ANN401 - a row of Spark's
    """A record for JSON, without the columns that say nothing of it."""
    return {name: _plain(value) for name, value in row.asDict().items() if value is not None or name not in WAITING}


def _plain(value: Any) -> Any:  # noqa: ANN401
    if value is None or isinstance(value, str | int | list | dict):
        return value
    text = value.isoformat()
    return f"{text}Z" if "T" in text else text


def show_record(contract: Contract, record: dict[str, Any]) -> None:
    """Where it came from, every rule that it breaks, and the record itself."""
    rules = {r.name: r.description for r in contract.rules}
    at = f", row {record['_source_position']}" if record["_source_position"] is not None else ""
    told = f"{record['_disposition']}, Bronze day {record['_source_date'] or 'none'}, by version {record['_contract_version']} of the contract"
    out.print(f"[bold]{escape(str(record['_source']))}[/bold]{at}  [dim]({told})[/dim]")
    for reason in record["_reasons"]:
        why = rules.get(reason)
        awaited = record.get("_waits_for", {}).get(reason)
        why = f"waits for {awaited} until {record[_UNTIL]}" if awaited is not None else why
        out.print(f"  [yellow]{escape(reason)}[/yellow]{f'  {escape(why)}' if why else ''}")
    out.print(f"  {escape(record['_payload'])}" if record["_payload"] is not None else "  [dim](the content of a dropped record is not kept)[/dim]")


def export(found: DataFrame, file: Path) -> int:
    """Write the records to a file as they come, as CSV or JSON lines by its name; returns how many. The file is whole, or not there."""
    from lakehouse.cli.values import object_of, to_text

    fields = found.schema.fields
    with _whole(file) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        if file.suffix == ".csv":
            writer.writerow([f.name for f in fields])
        count = 0
        for row in found.toLocalIterator():
            if file.suffix == ".csv":
                writer.writerow([to_text(v, f.dataType) for v, f in zip(row, fields, strict=True)])
            else:
                stream.write(object_of(row, fields) + "\n")
            count += 1
    return count


@contextmanager
def _whole(file: Path) -> Iterator[TextIO]:
    """A file that appears under its name when it is complete."""
    scratch = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with scratch.open("w", encoding="utf-8", newline="") as stream:
            yield stream
        scratch.replace(file)
    finally:
        scratch.unlink(missing_ok=True)
