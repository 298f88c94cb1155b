"""`lakehouse backfill`: hand a rebuild of many days to the running daemon and follow it; list, cancel and resume.

Not here: a rebuild in this process (`materialize`), Dagster's records of it (`backfill_group`).
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lakehouse.cli import backfill_group
from lakehouse.cli.backfill_group import GROUP, Group, Progress
from lakehouse.cli.failures import failure_of
from lakehouse.cli.instance import daemon_reports, open_instance
from lakehouse.cli.lake import read_lake
from lakehouse.cli.output import Clock, age, err, grid, open_log, others_to, out, plural, seconds, show
from lakehouse.cli.selection import EVERYTHING, SELECTION_HELP, Days, choose, days_asked, partition_range
from lakehouse.cli.services import CODE, DAEMON
from lakehouse.cli.steps import Steps
from lakehouse.cli.undone import Lookout, Only, Todo
from lakehouse.errors import LakehouseError
from lakehouse.services.background import find, recorded
from lakehouse.settings import settings

if TYPE_CHECKING:
    import dagster as dg
    from pyspark.sql import SparkSession

app = typer.Typer(add_completion=False)
_POLL = 1.0
_SHOWN = 3  # failed runs that are told about; the web UI has the rest
_LISTED = 20


@app.command(
    epilog="Example: lakehouse backfill silver/sensor_reading+ --from 2026-11-01 --to 2026-11-20\n\n"
    "Example: lakehouse backfill --from 2026-01-01 --only missing --max-partitions-per-run 30\n\n"
    "Example: lakehouse backfill --list\n\n"
    "Example: lakehouse backfill --cancel jlqzxhvm\n\n"
    "Example: lakehouse backfill --resume jlqzxhvm"
)
def backfill(  # noqa: PLR0913 - each is an option of the command
    selection: Annotated[str, typer.Argument(help=SELECTION_HELP, show_default=False)] = EVERYTHING,
    first: Annotated[str | None, typer.Option("--from", metavar="DAY", help="The first day (UTC) to rebuild, YYYY-MM-DD.")] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DAY", help="The last day to rebuild. Default: the newest there is.")] = None,
    only: Annotated[
        Only | None,
        typer.Option(
            metavar="missing|failed|stale",
            help="Of these days only those that were never built or whose rows are gone; whose last attempt failed; "
            "or that an older contract or model made, or a mart has not followed.",
            show_default=False,
        ),
    ] = None,
    most: Annotated[
        int | None, typer.Option("--max-partitions-per-run", min=1, help="Runs of at most so many days, one after the other. Default: one run.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace Bronze days even if the source has lost files that Bronze still holds.")] = False,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", help="Show the progress until it is done; or return at once.")] = True,
    listing: Annotated[bool, typer.Option("--list", help="List the backfills there were, the newest first, instead of starting one.")] = False,
    cancel: Annotated[str | None, typer.Option("--cancel", metavar="ID", help="Cancel this backfill and its runs, instead of starting one.")] = None,
    resume: Annotated[str | None, typer.Option("--resume", metavar="ID", help="Build what this cancelled or failed backfill left.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON, for scripts.")] = False,
) -> None:
    """Rebuild many days under the running daemon, beside the sensors.

    Needs `lakehouse up`. Ctrl-C stops following, not the backfill. Its runs go one by one and after those of the sensors.
    """
    if sum((listing, cancel is not None, resume is not None, first is not None)) != 1:
        raise typer.BadParameter("Say which days: --from DAY, and --to DAY where it is not the newest. Or one of --list, --cancel ID, --resume ID.")
    days = days_asked(None, first, last)
    with open_log(settings().home, "backfill.log") as log, others_to(log), open_instance() as instance:
        if not listing:
            _need_daemon(instance)
        if cancel is not None:
            backfill_group.find(instance, cancel).cancel(instance)
            out.print(f"Backfill {cancel} is being cancelled by the daemon, with its runs. What they committed stays.")
            return
        with Steps.waiting("Loading the definitions"):
            from lakehouse.definitions import defs

            graph = defs().resolve_asset_graph()
        if listing:
            _list(instance, graph, as_json)
            return
        tags, todo = _left(instance, graph, resume) if resume is not None else (_tags(force), _todo(instance, graph, selection, days, only))
        if not todo.by_day and not todo.whole:
            out.print("There is nothing to build." + (f" No chosen day is {only.value}." if only else ""))
            return
        good = _start(instance, graph, todo.portions(most), tags, (follow, as_json))
    if follow and not good:
        raise typer.Exit(1)


def _need_daemon(instance: dg.DagsterInstance) -> None:
    missing = _missing(instance)
    if missing:
        raise LakehouseError(
            f"A backfill is the daemon's work, and {' and '.join(missing)} {'does' if len(missing) == 1 else 'do'} not run.",
            state="Nothing was requested.",
            next_step="Start it with: lakehouse up. Or rebuild in this process: lakehouse materialize … --from … --to …",
        )


def _missing(instance: dg.DagsterInstance) -> list[str]:
    """Which of the processes do not run. A daemon that was not started by `lakehouse up`, as in containers, is known by its sign of life."""
    home = settings().home
    if recorded(home, DAEMON) is None and daemon_reports(instance):
        return []
    return [name for name in (DAEMON, CODE) if find(home, name) is None]


def _tags(force: bool) -> dict[str, str]:
    from lakehouse.runs import FORCE

    return {"lakehouse/started_by": "lakehouse backfill", **({FORCE: "true"} if force else {})}


def _todo(instance: dg.DagsterInstance, graph: dg.AssetGraph, selection: str, days: Days | None, only: Only | None) -> Todo:
    """What the options ask for."""
    import dagster as dg

    assert days is not None
    chosen = choose(graph, selection)
    if not chosen.by_day:
        raise typer.BadParameter(f"{', '.join(chosen.names())}: kept whole, not by day. Rebuild it with: lakehouse materialize {selection}")
    span = partition_range(graph, chosen, days)
    keys = {key: graph.get(key).partitions_def for key in chosen.by_day}
    wanted = {key: frozenset(d.get_partition_keys_in_range(dg.PartitionKeyRange(*span))) for key, d in keys.items() if d is not None}
    if only is None:
        return Todo(wanted, chosen.whole)
    with Steps.waiting(f"Looking for what is {only.value}"):
        return Lookout(instance, graph, read_lake(), _session).undone(chosen, frozenset().union(*wanted.values()), only)


def _session() -> SparkSession:
    from lakehouse.engine.session import connect

    return connect()


def _left(instance: dg.DagsterInstance, graph: dg.AssetGraph, name: str) -> tuple[Mapping[str, str], Todo]:
    """What a backfill that is over has left, and the tags it was started with."""
    group = backfill_group.find(instance, name)
    if not group.progress(instance, graph).over:
        raise LakehouseError(
            f"Backfill {name} is still going: {group.progress(instance, graph).text}.",
            state="Nothing was requested.",
            next_step=f"Wait for it, or: lakehouse backfill --cancel {name}",
        )
    kept = {k: v for k, v in (group.parts[0].tags or {}).items() if k.startswith("lakehouse/") and k != GROUP}
    return {**kept, "lakehouse/resumes": name}, group.left(graph)


def _start(instance: dg.DagsterInstance, graph: dg.AssetGraph, portions: list[Todo], tags: Mapping[str, str], told: tuple[bool, bool]) -> bool:
    """Request it, follow it where that is wanted, and say how it stands; returns whether all of it was built."""
    follow, as_json = told
    clock, name = Clock(), uuid.uuid4().hex[:8]
    backfill_group.request(instance, graph, name, portions, tags)
    days, assets = [d for p in portions for d in p.days], {k for p in portions for k in (*p.by_day, *p.whole)}
    err.print(
        f"Backfill {name}: {plural(len(assets), 'asset')}, {plural(len(days), 'day')}"
        + (f" from {days[0]} to {days[-1]}" if days else "")
        + (f" in {len(portions)} parts" if len(portions) > 1 else "")
        + ", handed to the daemon, which looks every half minute."
    )

    def look() -> Progress:
        return backfill_group.find(instance, name).progress(instance, graph)

    found = _follow(instance, name, look) if follow else look()
    _conclude(instance, backfill_group.find(instance, name), found, clock, as_json)
    return found.good


def _follow(instance: dg.DagsterInstance, name: str, look: Callable[[], Progress]) -> Progress:
    """Until it is over; Ctrl-C leaves it to itself."""
    try:
        return _watch(instance, look)
    except KeyboardInterrupt:
        err.print(f"Backfill {name} goes on without this window. Cancel it with: lakehouse backfill --cancel {name}")
        raise typer.Exit(130) from None


def _watch(instance: dg.DagsterInstance, look: Callable[[], Progress]) -> Progress:
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    last = look()
    with Bar(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=err, disable=not err.is_terminal, transient=True) as bar:
        task = bar.add_task(last.text, total=last.total or 1)
        told = ""
        while True:
            bar.update(task, completed=last.done + last.failed, description=last.text)
            if last.text != told and not err.is_terminal:
                err.print(last.text)
                told = last.text
            if last.over:
                return last
            time.sleep(_POLL)
            if DAEMON in _missing(instance):
                raise LakehouseError("The daemon has ended.", state=f"The backfill waits: {last.text}.", next_step="It goes on after: lakehouse up")
            last = look()


def _facts(group: Group, found: Progress) -> dict[str, Any]:
    """A backfill for scripts."""
    progress = {"status": found.status, "built": found.done, "failed": found.failed, "total": found.total, "runs": found.runs}
    return {"id": group.name, **progress, "requested": group.requested.isoformat(timespec="seconds"), "days": group.title}


def _list(instance: dg.DagsterInstance, graph: dg.AssetGraph, as_json: bool) -> None:
    found = [(g, g.progress(instance, graph)) for g in backfill_group.groups(instance)[:_LISTED]]
    if as_json:
        out.print_json(json.dumps({"backfills": [_facts(g, p) for g, p in found]}))
        return
    table = grid("id", "requested", "days", "state")
    for group, progress in found:
        table.add_row(group.name, age(group.requested), group.title, progress.text)
    show(table)


def _conclude(instance: dg.DagsterInstance, group: Group, found: Progress, clock: Clock, as_json: bool) -> None:
    import dagster as dg

    if as_json:
        out.print_json(json.dumps(_facts(group, found)))
        return
    out.print(f"Backfill {group.name}: {found.text}, {seconds(clock())}.")
    filters = dg.RunsFilter(tags=group.filters, statuses=[dg.DagsterRunStatus.FAILURE])
    for run in instance.get_runs(filters, limit=_SHOWN):
        for record in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE):
            failure_of(record.get_dagster_event()).show(f"run {run.run_id} in the web UI")
    if found.over and not found.good:
        out.print(f"What it left is built by: lakehouse backfill --resume {group.name}")
