"""`lakehouse sync`: one incremental pass over what is new, through to Gold. Not here: what is new (`lakehouse.pending`), how runs are followed (`runner`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.cli.lake import Lake, read_lake
from lakehouse.cli.output import Clock, err, out, plural, seconds
from lakehouse.cli.summary import Before, show_checks, show_summary
from lakehouse.contracts.loader import load_contracts
from lakehouse.pending import Due, Trouble, due
from lakehouse.settings import settings

if TYPE_CHECKING:
    from lakehouse.cli.runner import CheckFailed, Outcome, Session

app = typer.Typer(add_completion=False)
PASSES = 3  # an increment is bounded; what a pass leaves over, the next takes


@dataclass
class Passed:
    """What the passes of a sync did together."""

    runs: list[Outcome] = field(default_factory=list)
    problems: tuple[Trouble, ...] = ()

    @property
    def good(self) -> bool:
        """Whether nothing failed and every source could be read."""
        return not self.problems and all(run.good for run in self.runs)

    @property
    def checks(self) -> list[CheckFailed]:
        """The checks that did not pass: of each the last result."""
        last = {(c.asset, c.name): c for run in self.runs for c in run.checks}
        return list(last.values())


@app.command(epilog="Example: lakehouse sync\n\nExample: lakehouse sync sensor_reading --full\n\nExample: lakehouse sync --follow 60")
def sync(
    tables: Annotated[list[str] | None, typer.Argument(help="Only these tables, and the marts made from them. Default: all.", show_default=False)] = None,
    full: Annotated[bool, typer.Option("--full", help="List the sources whole, beyond the days that are usually looked at: finds old files too.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Go on where a stream lost what was never read, or a snapshot lacks rows. Name the tables.")] = False,
    follow_: Annotated[float | None, typer.Option("--follow", min=1, help="Go on until nothing has come for so many seconds.", show_default=False)] = None,
) -> None:
    """Take in whatever is new in the sources, and bring Silver and Gold up to date.

    With nothing new this takes a second and starts no Spark job. Exit code 1 when a step or a blocking check failed, or a source could not be read.
    """
    clock = Clock()
    every = read_lake()
    for name, why in every.refused.items():
        err.print(f"{name} is left out. {why} What to do about it: lakehouse doctor", style="yellow", markup=False)
    lake = every.only(tables or [])
    if force and not tables:
        raise typer.BadParameter("--force is for single tables: name those that may go on without what was lost.")
    if follow_ is not None:
        from lakehouse.cli.following import keep_up

        keep_up(lake, follow_)
        return
    work = due(lake.contracts.values(), lake.marts, full=full, force=force)
    if work.nothing:
        _nothing(lake, work, clock)
        return
    from lakehouse.cli.runner import session
    from lakehouse.runs import FORCE, FULL

    before = Before.of(lake)
    with session("sync.log", clock) as ready:
        passed = follow(ready, lake, work, [tag for tag, given in ((FULL, full), (FORCE, force)) if given])
    show_summary(lake, before, passed.runs)
    raise typer.Exit(conclude(passed, clock))


def follow(ready: Session, lake: Lake, work: Due, tags: Sequence[str] = ()) -> Passed:
    """Run what is due, the first time with these tags too, and look again, until nothing is left, or a pass could not change what is left."""
    passed, problems = Passed(), work.problems
    for number in range(PASSES):
        work = judged(ready, lake, work)
        passed.problems = (*problems, *work.held)
        if work.nothing:
            break
        err.print(_announce(work, number))
        passed.runs.append(run_pass(ready, lake, work, () if number else tags))
        if not passed.runs[-1].success:
            break
        left = due(lake.contracts.values(), lake.marts)
        if left.nothing or left.fingerprint == work.fingerprint:
            break
        work = left
    return passed


def judged(ready: Session, lake: Lake, work: Due) -> Due:
    """What is due, without marts over Silver tables that failed their blocking checks."""
    from lakehouse import automation

    return automation.judged(work, load_contracts(settings().contracts), lake.marts, ready.instance)


def run_pass(ready: Session, lake: Lake, work: Due, tags: Sequence[str] = ()) -> Outcome:
    """One incremental run of what is due."""
    from lakehouse.automation import run_tags, selection

    every = {**run_tags(work, lake.contracts), **dict.fromkeys(tags, "true")}
    return ready.run([key.path for key in selection(work, lake.contracts, lake.marts)], every)


def _announce(work: Due, number: int) -> str:
    parts = [f"new for {plural(len(work.tables), 'table')}"] * bool(work.tables) + [f"{plural(len(work.models), 'mart')} to follow"] * bool(work.models)
    return f"{'There is something' if number == 0 else 'There is more'}: {', '.join(parts)}."


def _nothing(lake: Lake, work: Due, clock: Clock) -> None:
    show_problems(work.problems)
    if work.problems:
        err.print("Everything else holds all that its source has.")
        raise typer.Exit(1)
    marts = sum(m.materialized != "view" for m in lake.marts)
    out.print(f"Nothing is new: {plural(len(lake.contracts), 'table')} and {plural(marts, 'mart')} are current ({seconds(clock())}).")


def show_problems(problems: Iterable[Trouble]) -> None:
    """Sources and tables that could not be looked at or failed their checks, and what mends them."""
    for problem in problems:
        err.print(str(problem), style="red", markup=False)
        err.print(f"  {problem.next_step}", markup=False)


def conclude(passed: Passed, clock: Clock) -> int:
    """Say how it ended; returns the exit code."""
    log = str(settings().home / "logs" / "sync.log")
    show_problems(passed.problems)
    for run in passed.runs:
        for failure in run.failures:
            failure.show(log)
    show_checks(passed.checks)
    if passed.good:
        out.print(f"Done in {seconds(clock())}.")
        return 0
    out.print(f"Done in {seconds(clock())}, with the problems above. What was committed stays; the next `lakehouse sync` takes up the rest.")
    return 1
