"""What runs have done, table by table: from what the steps reported, and from the tables' own logs before and after.

Not here: running (`runner`), the state of the lake as such (`status`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from lakehouse.cli.lake import Lake
from lakehouse.cli.output import err, grid, plural, show, size
from lakehouse.engine import metadata
from lakehouse.engine.metadata import TableState
from lakehouse.errors import LakehouseError
from lakehouse.gold.project import Model
from lakehouse.tables import Table

if TYPE_CHECKING:
    from lakehouse.cli.runner import CheckFailed, Outcome

_NUMBERS = ("files", "size", "records in", "applied", "superseded", "refused", "rows now")


@dataclass(frozen=True)
class Before:
    """The versions of the marts before a run."""

    versions: dict[str, int]

    @staticmethod
    def of(lake: Lake) -> Before:
        """As they are now; from the logs, without Spark."""
        states = {m.name: _state(m.table) for m in lake.marts if m.materialized != "view"}
        return Before({name: state.version for name, state in states.items() if state is not None})


def _state(table: Table) -> TableState | None:
    """None also of a table that can't be read: that the look has told, and the others are summed up all the same."""
    with suppress(LakehouseError, OSError):
        return metadata.state(table)
    return None


def show_summary(lake: Lake, before: Before, runs: Sequence[Outcome]) -> None:
    """What the runs did: per table its records, per mart its dates."""
    reported: dict[str, dict[str, Any]] = {}
    for run in runs:
        for asset, said in run.reported.items():
            reported[asset] = _added(reported.get(asset, {}), said)
    _show_tables(lake, reported)
    _show_marts(lake, before)


_COUNTED = ("files", "bytes", "records_in", "applied", "superseded", "refused")


def _added(so_far: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    """Counts of several passes add up; of anything else the last is told."""
    return {**so_far, **said, **{name: int(so_far.get(name, 0)) + int(said[name]) for name in _COUNTED if name in said}}


def _show_tables(lake: Lake, reported: dict[str, dict[str, Any]]) -> None:
    table = grid("table", *_NUMBERS, right=_NUMBERS)
    for name in lake.contracts:
        bronze, silver = reported.get(f"bronze/{name}", {}), reported.get(f"silver/{name}", {})
        if not bronze and not silver:
            continue
        counts = [_count(silver, key) for key in ("records_in", "applied", "superseded", "refused", "dagster/row_count")]
        table.add_row(name, _count(bronze, "files"), size(int(bronze["bytes"])) if "bytes" in bronze else "-", *counts)
    if table.row_count:
        show(table)


def _count(said: dict[str, Any], key: str) -> str:
    return f"{int(said[key]):,}" if key in said else "-"


def _show_marts(lake: Lake, before: Before) -> None:
    table = grid("mart", "dates", "rows now", right=("dates", "rows now"))
    for mart in (m for m in lake.marts if m.materialized != "view"):
        state = _state(mart.table)
        if state is not None and state.version != before.versions.get(mart.name):
            table.add_row(mart.name, _dates(mart, before.versions.get(mart.name, -1), state.version), f"{rows(mart.table, mart.partition):,}")
    if table.row_count:
        show(table)


def _dates(mart: Model, after: int, until: int) -> str:
    """The dates that were written, from the mart's own log."""
    if not mart.by_day:
        return "whole"
    touched = metadata.changes(mart.table, after, until, mart.partition)
    return f"{len(touched.days):,}" if touched is not None else "?"


def rows(table: Table, partition: str | None) -> int:
    """The rows of a table, from file statistics."""
    delta = metadata.open_table(table)
    return sum(metadata.rows_by_partition(delta, partition).values()) if delta is not None else 0


def show_checks(checks: Iterable[CheckFailed]) -> None:
    """Checks that did not pass: errors first, in red; warnings in yellow."""
    ordered = sorted(checks, key=lambda c: (not c.error, c.asset, c.name))
    if not ordered:
        return
    errors = sum(c.error for c in ordered)
    err.print(f"{plural(errors, 'check')} failed, {plural(len(ordered) - errors, 'warning')}:")
    for check in ordered:
        style = "red" if check.error else "yellow"
        err.print(f"  [{style}]{escape(check.asset)} {escape(check.name)}[/{style}]  {escape(check.text)}")
