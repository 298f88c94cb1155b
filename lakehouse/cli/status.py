"""`lakehouse status`: every table of the lake, from the tables' own logs and a look at the sources; starts nothing.

Not here: what is due (`lakehouse.pending`), the engine's own status (`engine`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.markup import escape

from lakehouse.bronze.ingest import pending
from lakehouse.cli import supervisor
from lakehouse.cli.lake import Lake, read_lake
from lakehouse.cli.output import age, err, grid, out, plural, show, size, span
from lakehouse.cli.services import CODE, DAEMON, WEB
from lakehouse.cli.watch import watch
from lakehouse.contracts.model import Contract
from lakehouse.engine import launcher, metadata
from lakehouse.engine.lag import Lag, lag
from lakehouse.errors import LakehouseError
from lakehouse.gold.progress import behind, missing_sources, waiting
from lakehouse.gold.project import Model
from lakehouse.governance.deployed import differences
from lakehouse.quality.freshness import newest_data
from lakehouse.services.background import find, recorded
from lakehouse.settings import settings
from lakehouse.sources.protocol import Amount
from lakehouse.storage import check
from lakehouse.tables import Table

app = typer.Typer(add_completion=False)


@dataclass
class Found:
    """What is known of one table. `lag` is the distance to its source in words, None when it is current; `problem` keeps it from being known.

    `lag_seconds`: how long the oldest record that is not in has waited. `latency_seconds`: the age of the newest data when it was committed.
    """

    layer: str
    table: str
    rows: int | None = None
    version: int | None = None
    last_commit: str | None = None
    lag: str | None = None
    pending_files: int | None = None
    pending_bytes: int | None = None
    pending_records: int | None = None
    versions_behind: int | None = None
    lag_records: int | None = None
    lag_seconds: float | None = None
    latency_seconds: float | None = None
    stale: bool | None = None
    newest_data: str | None = None
    promised_age_seconds: int | None = None
    fresh: bool | None = None
    quarantined: int | None = None
    problem: str | None = None


@app.command(epilog="Example: lakehouse status\n\nExample: lakehouse status --json | jq '.tables[] | select(.lag != null)'")
def status(
    tables: Annotated[list[str] | None, typer.Argument(help="Only these tables, and the marts made from them. Default: all.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")] = False,
    watching: Annotated[bool, typer.Option("--watch", "-w", help="Redraw it every two seconds, with rows a second and latency, until Ctrl-C.")] = False,
) -> None:
    """Show every table: rows, version, lag behind its source, freshness against its promise, refused records.

    Read from the tables' logs and the sources: starts neither the engine nor Dagster, and changes nothing.
    """
    lake = read_lake().only(tables or [])
    check(settings().warehouse)  # said once, with its mend, and not of each table
    if watching:
        watch(lambda: look(lake))
        return
    now = datetime.now(UTC)
    found = look(lake)
    if as_json:
        out.print_json(json.dumps({"home": str(settings().home), "services": _services(), "tables": [asdict(f) for f in found]}))
        return
    _show(found, now)
    for name, state in _services().items():
        err.print(f"{name}: {state}")


def look(lake: Lake) -> list[Found]:
    """What is known of every table, layer by layer."""
    now = datetime.now(UTC)
    found = [*(f for c in lake.contracts.values() for f in _tables(c, now)), *_marts(lake)]
    return sorted(found, key=lambda f: (("bronze", "silver", "quarantine", "gold").index(f.layer), f.table))


def _tables(contract: Contract, now: datetime) -> Iterator[Found]:
    """The three tables of a contract."""
    yield _guarded(contract.bronze, lambda f: _bronze(contract, f))
    yield _guarded(contract.silver, lambda f: _silver(contract, f, now))
    yield _guarded(contract.quarantine, lambda f: _behind(contract.quarantine, contract.bronze, f))


def _guarded(table: Table, more: Any) -> Found:  # noqa: ANN401
    """The facts of a table; one that can't be read says why and does not hide the others."""
    found = Found(table.layer, table.name)
    try:
        delta = metadata.open_table(table)
        if delta is not None:
            newest = delta.history(1)[0]
            found.version = delta.version()
            found.last_commit = datetime.fromtimestamp(newest["timestamp"] / 1000, UTC).isoformat(timespec="seconds") if newest.get("timestamp") else None
            found.rows = sum(metadata.rows_by_partition(delta, None).values())
        more(found)
    except LakehouseError as error:
        found.problem = error.what
    except OSError as error:
        found.problem = str(error)
    return found


def _bronze(contract: Contract, found: Found) -> None:
    look = pending(contract)
    found.pending_files, found.pending_bytes, found.pending_records = look.amount.files, look.amount.bytes, look.amount.records
    found.lag_records, found.lag_seconds = look.amount.records or (0 if not look.portions else None), look.waited(datetime.now(UTC))
    if look.portions:
        waited = f", {span(found.lag_seconds)}" if found.lag_seconds is not None else ""
        found.lag = _amount(look.amount) + waited
    if look.hidden:
        found.problem = f"{plural(len(look.hidden), 'file')} passed over, such as {look.hidden[0]}: Spark reads no name that begins with '_' or '.'"


def _amount(amount: Amount) -> str:
    files = [plural(amount.files, "file"), size(amount.bytes)] if amount.files else []
    return ", ".join([*files, *([plural(amount.records, "record")] if amount.records else [])]) or "something"


def _silver(contract: Contract, found: Found, now: datetime) -> None:
    _behind(contract.silver, contract.bronze, found)
    refused = metadata.open_table(contract.quarantine)
    found.quarantined = sum(metadata.rows_by_partition(refused, None).values()) if refused is not None else None
    if any(c.stops_runs for c in differences(contract, metadata.state(contract.silver))):
        found.problem = f"its contract's version {contract.version} breaks the one it was made by: lakehouse contract plan {contract.name}"
    delta = metadata.open_table(contract.silver)
    if contract.freshness is None or delta is None:
        return
    newest = newest_data(contract, delta)
    found.promised_age_seconds = int(contract.freshness.total_seconds())
    found.newest_data = newest.isoformat(timespec="seconds") if newest else None
    found.fresh = newest is not None and now - newest <= contract.freshness
    if newest is not None and found.last_commit is not None and contract.column(contract.freshness_column or "").type == "timestamp":
        found.latency_seconds = max((datetime.fromisoformat(found.last_commit) - newest).total_seconds(), 0.0)


def _behind(table: Table, source: Table, found: Found) -> None:
    """What of its source a table has not consumed."""
    of, own = metadata.state(source), metadata.state(table)
    if of is None:
        return
    consumed = own.consumed(of) if own else None
    found.versions_behind = max(of.data - (consumed if consumed is not None else -1), 0)
    missing = lag(own, of)
    found.lag_records, found.lag_seconds = missing.records, round(missing.seconds(datetime.now(UTC)), 1)
    if found.versions_behind:
        found.lag = "not built" if own is None else "to be rebuilt" if consumed is None else _waiting(missing)


def _waiting(missing: Lag) -> str:
    records = plural(missing.records, "record") if missing.records else "changes" if missing.records is None else "nothing to add"
    return f"{records}, {span(missing.seconds(datetime.now(UTC)))}" if missing.since else records


def _marts(lake: Lake) -> Iterator[Found]:
    for mart in (m for m in lake.marts if m.materialized != "view"):

        def more(found: Found, mart: Model = mart) -> None:
            missing = missing_sources(mart)
            found.stale = bool(missing) or behind(mart)
            if not found.stale:
                found.lag_seconds = 0.0
                return
            waits = [w for w in waiting(mart) if w.since]
            found.lag_seconds = round(max((w.seconds(datetime.now(UTC)) for w in waits), default=0.0), 1)
            since = f"stale, {span(found.lag_seconds)}" if waits else "stale"
            found.lag = f"waits for {', '.join(missing)}" if missing else "not built" if found.version is None else since

        yield _guarded(mart.table, more)


def _services() -> dict[str, str]:
    """The engine and Dagster, as they are now."""
    home = settings().home
    web, daemon, code = find(home, WEB), find(home, DAEMON), find(home, CODE)
    if settings().engine == "remote" and recorded(home, DAEMON) is None:
        elsewhere = "not started from here"
        return {"engine": launcher.engine_status().state, "web UI": elsewhere, "daemon": f"{elsewhere}; its signs of life: lakehouse doctor"}
    back = "gone, and about to be brought back" if find(home, supervisor.NAME) else ""
    sensors = "running, sensors on" if code else f"running, without its code server, which is {back or 'stopped (lakehouse up)'}"
    return {
        "engine": launcher.engine_status().state,
        "web UI": web.url if web else back or "stopped (lakehouse up)",
        "daemon": sensors if daemon else back or "stopped (lakehouse up); new files wait for: lakehouse sync",
    }


def _show(found: list[Found], now: datetime) -> None:
    table = grid("table", "rows", "version", "last commit", "behind", "data (promised)", "refused", right=("rows", "version", "refused"))
    layer = ""
    for f in found:
        if layer and f.layer != layer:
            table.add_section()
        layer = f.layer
        commit = age(datetime.fromisoformat(f.last_commit), now) if f.last_commit else "-"
        lag = f"[yellow]{escape(f.lag)}[/yellow]" if f.lag else "" if f.version is not None else "-"
        table.add_row(f"{f.layer}.{f.table}", _number(f.rows), _number(f.version), commit, lag, _freshness(f, now), _number(f.quarantined, ""))
    show(table)
    for f in (f for f in found if f.problem):
        err.print(f"{f.layer}.{f.table}: {f.problem}", style="red", markup=False)


def _number(value: int | None, none: str = "-") -> str:
    return none if value is None else f"{value:,}"


def _freshness(found: Found, now: datetime) -> str:
    if found.fresh is None or found.promised_age_seconds is None:
        return ""
    hours = found.promised_age_seconds / 3600
    promise = f"{hours:.0f} h" if hours < 72 else f"{hours / 24:.0f} d"
    newest = datetime.fromisoformat(found.newest_data) if found.newest_data else None
    told = "none" if newest is None else "now" if newest > now else age(newest, now)  # clocks differ, and a date counts until its end
    return f"{told} ({promise})" if found.fresh else f"[yellow]{told} ({promise})[/yellow]"
