"""`lakehouse backfill`: hand a rebuild of many days to the running daemon and follow it. Not here: a rebuild in this process (`materialize`)."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.cli.background import find
from lakehouse.cli.failures import failure_of
from lakehouse.cli.instance import open_instance
from lakehouse.cli.output import Clock, err, open_log, others_to, out, plural, seconds
from lakehouse.cli.selection import EVERYTHING, SELECTION_HELP, choose, days_asked, partition_range
from lakehouse.cli.services import CODE, DAEMON
from lakehouse.cli.steps import Steps
from lakehouse.errors import LakehouseError
from lakehouse.settings import settings

if TYPE_CHECKING:
    import dagster as dg
    from dagster._core.execution.backfill import PartitionBackfill

app = typer.Typer(add_completion=False)
_POLL = 1.0
_SHOWN = 3  # failed runs that are told about; the web UI has the rest


_WORDS = {"COMPLETED_SUCCESS": "complete", "COMPLETED_FAILED": "ended with failures", "REQUESTED": "going", "CANCELING": "being cancelled"}


@dataclass(frozen=True)
class Progress:
    """How far a backfill has got, in partitions of assets."""

    status: str
    done: int
    failed: int
    total: int
    runs: int

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self.status in ("COMPLETED", "COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED")

    @property
    def good(self) -> bool:
        """Whether all of it was built."""
        return self.status in ("COMPLETED", "COMPLETED_SUCCESS") and not self.failed

    @property
    def text(self) -> str:
        """One line."""
        words = f"{self.done:,} of {self.total:,} partitions built, {plural(self.runs, 'run')}"
        return f"{_WORDS.get(self.status, self.status.lower())}: {words}" + (f", {self.failed:,} failed" if self.failed else "")


@app.command(epilog="Example: lakehouse backfill silver/sensor_reading+ --from 2026-11-01 --to 2026-11-20\n\nExample: lakehouse backfill --cancel jlqzxhvm")
def backfill(  # noqa: PLR0913 - each is an option of the command
    selection: Annotated[str, typer.Argument(help=SELECTION_HELP, show_default=False)] = EVERYTHING,
    first: Annotated[str | None, typer.Option("--from", metavar="DAY", help="The first day (UTC) to rebuild, YYYY-MM-DD.")] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DAY", help="The last day to rebuild. Default: the newest there is.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace Bronze days even if the source has lost files that Bronze still holds.")] = False,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", help="Show the progress until it is done; or return at once.")] = True,
    cancel: Annotated[str | None, typer.Option("--cancel", metavar="ID", help="Cancel this backfill and its runs, instead of starting one.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON, for scripts.")] = False,
) -> None:
    """Rebuild many days under the running daemon, beside the sensors.

    Needs `lakehouse up`. Ctrl-C stops following, not the backfill.
    """
    home = settings().home
    if cancel is None and first is None:
        raise typer.BadParameter("Say which days: --from DAY, and --to DAY where it is not the newest.")
    days = days_asked(None, first, last)
    _need_daemon()
    clock = Clock()
    with open_log(home, "backfill.log") as log, others_to(log), open_instance() as instance:
        if cancel is not None:
            _cancel(instance, cancel)
            return
        assert days is not None
        with Steps.waiting("Loading the definitions"):
            from lakehouse.definitions import defs

            graph = defs().resolve_asset_graph()
        chosen = choose(graph, selection)
        if not chosen.by_day:
            raise typer.BadParameter(f"{', '.join(chosen.names())}: kept whole, not by day. Rebuild it with: lakehouse materialize {selection}")
        span = partition_range(graph, chosen, days)
        identity = uuid.uuid4().hex[:8]
        instance.add_backfill(_request(instance, graph, identity, (chosen.by_day, chosen.whole), span, force))
        err.print(f"Backfill {identity}: {plural(len(chosen.keys), 'asset')}, {span[0]} to {span[1]}, handed to the daemon, which looks every half minute.")
        found = _follow(instance, graph, identity) if follow else _look(instance, graph, identity)
        _conclude(instance, identity, found, clock, as_json)
    if follow and not found.good:
        raise typer.Exit(1)


def _need_daemon() -> None:
    home = settings().home
    missing = [name for name in (DAEMON, CODE) if find(home, name) is None]
    if missing:
        raise LakehouseError(
            f"A backfill is the daemon's work, and {' and '.join(missing)} {'does' if len(missing) == 1 else 'do'} not run.",
            state="Nothing was requested.",
            next_step="Start it with: lakehouse up. Or rebuild in this process: lakehouse materialize … --from … --to …",
        )


def _request(  # noqa: PLR0913 - all of what a request says
    instance: dg.DagsterInstance,
    graph: dg.AssetGraph,
    identity: str,
    chosen: tuple[tuple[dg.AssetKey, ...], tuple[dg.AssetKey, ...]],
    span: tuple[str, str],
    force: bool,
) -> PartitionBackfill:
    """The same record that the web UI writes."""
    import dagster as dg
    from dagster._core.definitions.assets.graph.asset_graph_subset import AssetGraphSubset
    from dagster._core.execution.backfill import PartitionBackfill

    from lakehouse.runs import FORCE

    by_day, whole = chosen
    subsets = {}
    for key in by_day:
        definition = graph.get(key).partitions_def
        assert definition is not None
        subsets[key] = definition.subset_with_partition_keys(definition.get_partition_keys_in_range(dg.PartitionKeyRange(*span)))
    request: PartitionBackfill = PartitionBackfill.from_asset_graph_subset(
        backfill_id=identity,
        backfill_timestamp=time.time(),
        tags={"lakehouse/started_by": "lakehouse backfill", **({FORCE: "true"} if force else {})},
        dynamic_partitions_store=instance,
        asset_graph_subset=AssetGraphSubset(subsets, set(whole)),  # type: ignore[call-arg]  # its fields have defaults that mypy can not see
        title=f"{span[0]} to {span[1]}",
        description=None,
        run_config=None,
    )
    return request


def _look(instance: dg.DagsterInstance, graph: dg.AssetGraph, identity: str) -> Progress:
    """How far it has got."""
    import dagster as dg

    found = instance.get_backfill(identity)
    if found is None:
        raise LakehouseError(f"There is no backfill {identity!r}.", next_step="See them all in the web UI: lakehouse up")
    data = found.get_asset_backfill_data(graph)
    counts = [subset.num_partitions_and_non_partitioned_assets for subset in (data.materialized_subset, data.failed_and_downstream_subset, data.target_subset)]
    runs = instance.get_runs_count(dg.RunsFilter(tags={"dagster/backfill": identity}))
    return Progress(found.status.value, counts[0], counts[1], counts[2], runs)


def _follow(instance: dg.DagsterInstance, graph: dg.AssetGraph, identity: str) -> Progress:
    """Until it is over; Ctrl-C leaves it to itself."""
    try:
        return _watch(lambda: _look(instance, graph, identity))
    except KeyboardInterrupt:
        err.print(f"Backfill {identity} goes on without this window. Cancel it with: lakehouse backfill --cancel {identity}")
        raise typer.Exit(130) from None


def _watch(look: Callable[[], Progress]) -> Progress:
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
            if find(settings().home, DAEMON) is None:
                raise LakehouseError("The daemon has ended.", state=f"The backfill waits: {last.text}.", next_step="It goes on after: lakehouse up")
            last = look()


def _cancel(instance: dg.DagsterInstance, identity: str) -> None:
    from dagster._core.execution.backfill import BULK_ACTION_TERMINAL_STATUSES, BulkActionStatus

    found = instance.get_backfill(identity)
    if found is None or found.status in BULK_ACTION_TERMINAL_STATUSES:
        raise LakehouseError(
            f"There is no backfill {identity!r} that is going.", state="Nothing was changed.", next_step="See them all in the web UI: lakehouse up"
        )
    instance.update_backfill(found.with_status(BulkActionStatus.CANCELING))  # type: ignore[no-untyped-call]
    out.print(f"Backfill {identity} is being cancelled by the daemon, with its runs. What they committed stays.")


def _conclude(instance: dg.DagsterInstance, identity: str, found: Progress, clock: Clock, as_json: bool) -> None:
    import dagster as dg

    if as_json:
        out.print_json(json.dumps({"id": identity, "status": found.status, "built": found.done, "failed": found.failed, "total": found.total}))
        return
    out.print(f"Backfill {identity}: {found.text}, {seconds(clock())}.")
    filters = dg.RunsFilter(tags={"dagster/backfill": identity}, statuses=[dg.DagsterRunStatus.FAILURE])
    for run in instance.get_runs(filters, limit=_SHOWN):
        for record in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE):
            failure = failure_of(record.get_dagster_event())
            if failure:
                failure.show(f"run {run.run_id} in the web UI")
