"""Refused records as the commands of `lakehouse quarantine` show them: counted with their trend, one by one, or written to a file.

Not here: the commands and their options (`quarantine`).
"""

from __future__ import annotations

import csv
import json
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

from rich.markup import escape

from lakehouse.cli.output import grid, out, show
from lakehouse.contracts.model import Contract
from lakehouse.engine import metadata, rows
from lakehouse.engine.metadata import Day

TREND = 14  # days that the trend shows
WEEK = 7
_UNTIL = "_held_until"
_WAITS = f"count(*) FILTER (WHERE map_extract(_waits_for, rule)[1] IS NOT NULL AND {_UNTIL} >= current_date())"
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


def columns(contract: Contract) -> list[str]:
    """Of the table, as it is now."""
    delta = metadata.open_table(contract.quarantine)
    return [f.name for f in delta.schema().fields] if delta is not None else []


def counts(contract: Contract) -> list[Count]:
    """By rule and day, the most first; a record that breaks two rules counts for both."""
    broken = "(SELECT *, unnest(_reasons) AS rule FROM t)"
    waiting = _WAITS if _UNTIL in columns(contract) else 0
    sql = f"SELECT rule, _source_date AS day, count(*) AS records, {waiting} AS waiting FROM {broken} GROUP BY rule, _source_date ORDER BY 3 DESC, 1, 2"
    return [Count(contract.name, **row) for row in rows.select(contract.quarantine, sql)]


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


def choose(contract: Contract, rule: str | None, days: frozenset[Day] | None) -> Iterator[dict[str, Any]]:
    """The records that broke this rule, of these Bronze days; the newest first. Asked for day by day: what a day holds has to fit into memory."""
    delta = metadata.open_table(contract.quarantine)
    if delta is None:
        return
    held = metadata.rows_by_partition(delta, "_source_date")
    for day in sorted((d for d in held if days is None or d in days), key=lambda d: d or date.min, reverse=True):
        where = f"{_broke(rule)} AND _source_date {'IS NULL' if day is None else f'= DATE {rows.text(day.isoformat())}'}"
        sql = f"SELECT * FROM t WHERE {where} ORDER BY _source, _source_position, _payload"
        yield from rows.select(contract.quarantine, sql, delta)


def number(contract: Contract, rule: str | None, days: frozenset[Day] | None) -> int:
    """How many they are."""
    per_day = rows.select(contract.quarantine, f"SELECT _source_date AS day, count(*) AS records FROM t WHERE {_broke(rule)} GROUP BY _source_date")
    return sum(row["records"] for row in per_day if days is None or row["day"] in days)


def _broke(rule: str | None) -> str:
    return "true" if rule is None else f"array_has(_reasons, {rows.text(rule)})"


def plain(record: dict[str, Any]) -> dict[str, Any]:
    """A record for JSON, without the columns that say nothing of it."""
    shown = (*SHOWN, *(name for name in WAITING if record.get(name) is not None))
    return {name: _plain(record[name]) for name in shown}


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever a record holds
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC).replace(tzinfo=None).isoformat()}Z"
    return value.isoformat() if isinstance(value, date) else value


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


def export(records: Iterable[dict[str, Any]], header: Sequence[str], file: Path) -> int:
    """Write the records to a file as they come, as CSV or JSON lines by its name; returns how many. The file is whole, or not there."""
    with _whole(file) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        if file.suffix == ".csv":
            writer.writerow(header)
        count = 0
        for record in records:
            values = {name: _plain(value) for name, value in record.items()}
            if file.suffix == ".csv":
                writer.writerow(_json(v) if isinstance(v := values[name], list | dict) else v for name in header)
            else:
                stream.write(_json(values) + "\n")
            count += 1
    return count


def _json(value: Any) -> str:  # noqa: ANN401
    return json.dumps(value, ensure_ascii=False)


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
