"""`lakehouse maintain`: compact small files and remove those that nobody needs, now rather than at night. Not here: doing it (`lakehouse.maintenance`)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lakehouse.cli.lake import Lake, listing, read_lake
from lakehouse.cli.output import Clock, err, grid, out, plural, seconds, show, size
from lakehouse.contracts.mistakes import nearest
from lakehouse.errors import ContractError
from lakehouse.maintenance.plan import Kept, Plan, kept_tables, plan
from lakehouse.settings import settings

if TYPE_CHECKING:
    from lakehouse.cli.failures import Failure
    from lakehouse.cli.runner import Session

app = typer.Typer(add_completion=False)
_LOG = "maintain.log"


@app.command(epilog="Example: lakehouse maintain --dry-run\n\nExample: lakehouse maintain sensor_reading gold.fct_sales_daily")
def maintain(
    tables: Annotated[
        list[str] | None, typer.Argument(help="Tables: silver.sensor_reading, or sensor_reading for all its layers. Default: all.", show_default=False)
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what is worth doing, and do nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan, or what was gained, as JSON, for scripts.")] = False,
) -> None:
    """Make many small files few, and remove files that nobody needs any more: what the schedule does at night. No row changes.

    What is worth doing is decided without Spark; nothing is started where everything is in order.
    """
    clock = Clock()
    chosen = _chosen(tables or [], read_lake())
    plans = [p for p in (plan(k, datetime.now(UTC)) for k in chosen) if p is not None]
    due = [p for p in plans if not p.nothing]
    if dry_run or not due:
        _tell(plans, due, as_json=as_json)
        return
    from lakehouse.cli.runner import session

    with session(_LOG, clock) as ready:
        gained, failures = _run(ready, [str(p.kept.table) for p in due])
    if as_json:
        out.print_json(json.dumps(gained))
    else:
        _show(gained, clock)
    for failure in failures:
        failure.show(str(settings().home / "logs" / _LOG))
    if failures:
        raise typer.Exit(1)


def _chosen(names: Sequence[str], lake: Lake) -> list[Kept]:
    """The tables that are named. Raises `ContractError` for a name that is none."""
    kept = kept_tables(lake.contracts, [(m.table, m.sources) for m in lake.marts if m.materialized != "view"])
    known = {name for k in kept for name in (str(k.table), k.table.name)}
    wanted = [name.replace("/", ".") for name in names]
    for name in wanted:
        if name not in known:
            meant = nearest(name, known)
            there = listing(str(k.table) for k in kept)
            raise ContractError(f"There is no table {name!r}.{f' Did you mean {meant!r}?' if meant else ''}", next_step=f"There are: {there}.")
    return [k for k in kept if not wanted or {str(k.table), k.table.name} & set(wanted)]


def _run(ready: Session, tables: list[str]) -> tuple[list[dict[str, Any]], list[Failure]]:
    """The job in this process; returns what its observations say, and what failed."""
    from lakehouse.cli.failures import failure_of
    from lakehouse.cli.steps import Steps
    from lakehouse.maintenance.job import NAME
    from lakehouse.orphans import this_process

    with Steps.waiting("Keeping tables in order"):
        ready.engine.result()
        done = ready.definitions.resolve_job_def(NAME).execute_in_process(
            instance=ready.instance,
            run_config={"ops": {"maintain": {"config": {"tables": tables}}}},
            tags={**this_process(), "dagster/max_retries": "0"},
            raise_on_error=False,
        )
    seen = [e.asset_observation_data.asset_observation for e in done.all_events if e.event_type_value == "ASSET_OBSERVATION"]
    gained = [{"table": ".".join(o.asset_key.path), **{k: v.value for k, v in o.metadata.items()}} for o in seen]
    return gained, [failure_of(e) for e in done.all_events if e.is_step_failure]


def _tell(plans: list[Plan], due: list[Plan], *, as_json: bool) -> None:
    if as_json:
        out.print_json(json.dumps([_plain(p) for p in plans if not p.nothing or p.left]))
        return
    if due:
        lines = grid(
            "table", "partitions", "files to compact", "", "to remove", " ", "properties", right=("partitions", "files to compact", "", "to remove", " ")
        )
        for p in due:
            amounts = (f"{p.files.count:,}", size(p.files.bytes), f"{p.garbage.count:,}", size(p.garbage.bytes))
            lines.add_row(str(p.kept.table), f"{len(p.partitions):,}", *amounts, ", ".join(p.properties))
        show(lines)
    else:
        out.print(f"{plural(len(plans), 'table')} looked at: all in order.")
    for p in plans:
        if p.left:
            err.print(f"{p.kept.table}: {p.left}.", markup=False)


def _plain(p: Plan) -> dict[str, Any]:
    return {
        "table": str(p.kept.table),
        "partitions": [str(v) for v in p.partitions] if p.column else [],
        "files": p.files.count,
        "bytes": p.files.bytes,
        "removable_files": p.garbage.count,
        "removable_bytes": p.garbage.bytes,
        "properties": dict(p.properties),
        "left": p.left,
    }


def _show(gained: list[dict[str, Any]], clock: Clock) -> None:
    lines = grid("table", "files", "made into", "removed", " ", right=("files", "made into", "removed", " "))
    for g in gained:
        lines.add_row(g["table"], f"{g['files_before']:,}", f"{g['files_after']:,}", f"{g['files_removed']:,}", size(g["bytes_removed"]))
    show(lines)
    for g in gained:
        if g.get("left"):
            err.print(f"{g['table']}: {g['left']}.", markup=False)
    out.print(f"Done in {seconds(clock())}.")
