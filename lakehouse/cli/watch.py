"""`lakehouse status --watch`: the same facts, redrawn as they move, with rows a second. Not here: the facts (`status`)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.live import Live
from rich.markup import escape
from rich.table import Table as Grid

from lakehouse.cli.output import grid, out, span

if TYPE_CHECKING:
    from lakehouse.cli.status import Found

SECONDS = 2.0


@dataclass(frozen=True)
class Seen:
    """The tables at a moment (seconds of a clock that only goes forward)."""

    at: float
    tables: Sequence[Found]


def watch(look: Callable[[], Sequence[Found]]) -> None:
    """Redraw until Ctrl-C, which ends it without a word."""
    first = Seen(time.monotonic(), look())
    try:
        with Live(drawn(first, first), console=out, auto_refresh=False, screen=out.is_terminal) as live:
            before = first
            while True:
                time.sleep(SECONDS)
                now = Seen(time.monotonic(), look())
                live.update(drawn(now, before), refresh=True)
                before = now
    except KeyboardInterrupt:
        return


def drawn(now: Seen, before: Seen) -> Grid:
    """One line a table: rows, how fast they grow, what it lacks of its source, and the age of its newest data when it was committed."""
    table = grid("table", "rows", "rows/s", "lag", "latency", "refused", right=("rows", "rows/s", "latency", "refused"))
    rows = {(f.layer, f.table): f.rows for f in before.tables}
    layer = ""
    # What is refused stands beside Silver: quarantine's own line says more only when something is amiss, and a terminal has few lines.
    for f in (f for f in now.tables if f.layer != "quarantine" or f.lag or f.problem):
        if layer and f.layer != layer:
            table.add_section()
        layer = f.layer
        grown = (f.rows or 0) - (rows.get((f.layer, f.table)) or 0)
        pace = f"{grown / (now.at - before.at):,.0f}" if grown and now.at > before.at else ""
        lag = f"[red]{escape(f.problem)}[/red]" if f.problem else f"[yellow]{escape(f.lag)}[/yellow]" if f.lag else ""
        latency = span(f.latency_seconds) if f.latency_seconds is not None else ""
        table.add_row(f"{f.layer}.{f.table}", "-" if f.rows is None else f"{f.rows:,}", pace, lag, latency, f"{f.quarantined:,}" if f.quarantined else "")
    return table
