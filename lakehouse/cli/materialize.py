"""`lakehouse materialize`: rebuild exactly these assets for these days, in this process. Not here: what a rebuild does (`bronze`, `silver`, `gold`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from lakehouse.cli.lake import Lake, read_lake
from lakehouse.cli.output import Clock, err, out, plural, seconds
from lakehouse.cli.selection import EVERYTHING, SELECTION_HELP, Chosen, Days, choose, days_asked, partition_range
from lakehouse.cli.summary import Before, show_checks, show_summary
from lakehouse.engine import metadata
from lakehouse.errors import LakehouseError
from lakehouse.governance.deployed import deployed, differences, raise_if_unannounced
from lakehouse.settings import settings
from lakehouse.tables import Layer, Table

if TYPE_CHECKING:
    from lakehouse.cli.runner import Outcome, Session

app = typer.Typer(add_completion=False)
RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
_REMADE: tuple[Layer, ...] = ("silver", "quarantine", "gold")  # what can be dropped, since it can be computed again; Bronze is what arrived
_LOG = "materialize.log"


@app.command(
    epilog="Example: lakehouse materialize silver/sensor_reading+ --partition 2026-11-20\n\n"
    "Example: lakehouse materialize --from 2026-11-18 --to 2026-11-20\n\n"
    "Example: lakehouse materialize silver/sensor_reading --recreate"
)
def materialize(  # noqa: PLR0913 - each is an option of the command
    selection: Annotated[str, typer.Argument(help=SELECTION_HELP, show_default=False)] = EVERYTHING,
    partition: Annotated[str | None, typer.Option("--partition", "-p", metavar="DAY", help="The one day (UTC) to rebuild, YYYY-MM-DD.")] = None,
    first: Annotated[str | None, typer.Option("--from", metavar="DAY", help="The first day (UTC) to rebuild, YYYY-MM-DD.")] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DAY", help="The last day to rebuild. Default: the newest there is.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a Bronze day even if the source has lost files that Bronze still holds.")] = False,
    recreate: Annotated[bool, typer.Option("--recreate", help="Drop these Silver or Gold tables and build them anew: for a changed type.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before dropping tables.")] = False,
) -> None:
    """Rebuild exactly the selected assets for exactly these days, in this process; twice gives the same.

    Bronze days are read anew from the source. Assets without partitions (entities and dimensions) are rebuilt whole, and need no days.
    """
    clock = Clock()
    days = days_asked(partition, first, last)
    if recreate and days:
        raise typer.BadParameter("--recreate builds whole tables: leave out --partition, --from and --to.")
    lake = read_lake()
    before = Before.of(lake)
    from lakehouse.cli.runner import session

    with session(_LOG, clock) as ready:
        chosen = choose(ready.definitions.resolve_asset_graph(), selection)
        outcome = _recreate(ready, lake, chosen, selection, yes) if recreate else _rebuild(ready, chosen, days, force)
    show_summary(lake, before, [outcome])
    raise typer.Exit(_conclude(outcome, clock, what_follows(lake, chosen.names(("gold",))) if recreate else ""))


def _rebuild(ready: Session, chosen: Chosen, days: Days | None, force: bool) -> Outcome:
    from lakehouse.runs import FORCE

    tags = {FORCE: "true"} if force else {}
    if chosen.by_day and days is None:
        raise typer.BadParameter(
            f"{chosen.first} is kept by day: say which with --partition DAY, or --from DAY --to DAY. To take in what is new instead: lakehouse sync"
        )
    if days and not chosen.by_day:
        raise typer.BadParameter(f"{', '.join(chosen.names())}: kept whole, not by day; leave out --partition, --from and --to.")
    if days:
        span = partition_range(ready.definitions.resolve_asset_graph(), chosen, days)
        tags |= dict(zip(RANGE, span, strict=True))
        err.print(f"Rebuilding {plural(len(chosen.by_day), 'asset')} for {span[0] if span[0] == span[1] else f'{span[0]} to {span[1]}'}.")
    if chosen.whole:
        err.print(f"Without partitions, so rebuilt whole: {', '.join(k.to_user_string() for k in chosen.whole)}.")
    return ready.run([k.path for k in chosen.keys], tags)


def _recreate(ready: Session, lake: Lake, chosen: Chosen, selection: str, yes: bool) -> Outcome:
    """Drop the tables and let an increment build them from nothing."""
    from lakehouse.automation import run_tags
    from lakehouse.pending import Due

    if selection == EVERYTHING or chosen.names(("bronze",)):
        raise typer.BadParameter(
            "--recreate needs tables of Silver or Gold by name, such as silver/sensor_reading. "
            "Bronze holds what arrived, which the source may not have any more: it is never dropped."
        )
    tables = [Table(layer, k.path[1]) for k in chosen.keys for layer in _REMADE if k.path[0] == layer]
    if not tables:
        raise typer.BadParameter(f"{', '.join(chosen.names())}: views, which every run makes anew.")
    for table in (t for t in tables if t.layer == "silver"):
        contract, state = lake.contracts[table.name], metadata.state(table)
        old = deployed(contract, state)
        if old:
            raise_if_unannounced(old, contract, differences(contract, state))
    _confirm(tables, yes)
    _drop(ready, tables)
    return ready.run([k.path for k in chosen.keys], run_tags(Due((), (), (), ""), lake.contracts))


def _confirm(tables: Sequence[Table], yes: bool) -> None:
    names = ", ".join(map(str, tables))
    if yes:
        err.print(f"Dropping and rebuilding: {names}.")
        return
    err.print(f"These tables will be dropped, with their history, and built anew from the layer before them: [bold]{escape(names)}[/bold].")
    err.print("Go on? \\[y/N] ", end="")
    try:
        answer = input()
    except EOFError:
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        raise LakehouseError("Not confirmed.", state="Nothing was dropped.", next_step="Without the question: --yes")


def _drop(ready: Session, tables: Sequence[Table]) -> None:
    from lakehouse.engine.catalog import drop_table
    from lakehouse.engine.session import connect

    ready.engine.result()
    spark = connect()
    try:
        for table in tables:
            drop_table(spark, table)
    finally:
        spark.stop()


def what_follows(lake: Lake, recreated: Sequence[str]) -> str:
    """What brings up to date what lies downstream of recreated tables. Marts follow Silver: of a mart (`gold/name`) that is another they notice nothing."""
    still: list[str] = []
    for mart in lake.marts:  # upstream first
        name, reads = f"gold/{mart.name}", {f"gold/{p.name}" for p in mart.parents}
        if reads & set(still) or (name not in recreated and reads & set(recreated)):
            still.append(name)
    if not still:
        return "What lies downstream follows with: lakehouse sync"
    anew = f"lakehouse materialize '{' or '.join(still)}' --recreate"
    return f"{', '.join(still)}: made from what was there before. To have them made anew too: {anew}"


def _conclude(outcome: Outcome, clock: Clock, follows: str) -> int:
    for failure in outcome.failures:
        failure.show(str(settings().home / "logs" / _LOG))
    show_checks(outcome.checks)
    if outcome.good:
        out.print(f"Done in {seconds(clock())}. {follows}".rstrip(), markup=False, soft_wrap=True)
        return 0
    out.print(f"Done in {seconds(clock())}, with the problems above. What was committed stays.")
    return 1
