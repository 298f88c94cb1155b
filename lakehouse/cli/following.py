"""`lakehouse sync --follow`: pass after pass in one warm process, for as long as something comes. Each pass is a Dagster run like any other.

What a run by itself pays each time (a process, imports, definitions, dbt's first parsing) is paid once. Not here: what a pass does (`sync`).
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

import typer

from lakehouse.cli.lake import Lake
from lakehouse.cli.output import Clock, err, out, plural, seconds
from lakehouse.cli.sync import judged, run_pass, show_problems
from lakehouse.pauses import Pauses
from lakehouse.pending import Trouble, look_again

_POLL = 1.0  # seconds between looks while nothing comes; a look costs milliseconds
_TIDY = 300  # passes, about an hour of a stream, after which Dagster is made to forget old ones: some seconds
_PAUSE = 30.0  # seconds that a source which stays broken is left alone: one that does not answer holds up the others for ten each time it is asked
_LONGEST = 5  # what a pass could not change is tried again after 2, 4, … 2^5 seconds; meanwhile whatever else comes is taken in


def keep_up(lake: Lake, idle: float) -> None:
    """Take in what comes until nothing has come for `idle` seconds, or Ctrl-C. Exit code 1 when the last pass failed or a source can't be read."""
    from lakehouse.cli.runner import session
    from lakehouse.run_history import forget_runs

    pauses = Pauses()
    quiet_since, again, passes, tries, last, failed, problems = time.monotonic(), 0.0, 0, 0, "", False, tuple[Trouble, ...]()
    with session("sync.log", Clock()) as ready:
        while time.monotonic() - quiet_since < idle:
            began = Clock()
            work, pauses = look_again(lake.contracts.values(), lake.marts, pauses, datetime.now(UTC).timestamp(), _PAUSE)
            work = judged(ready, lake, work)
            broken = (Trouble(name, entry.why, entry.next_step) for name, entry in sorted(pauses.broken.items()))
            before, problems = problems, (*broken, *work.held)
            if problems != before:
                show_problems(problems)
            if work.nothing or (work.fingerprint == last and time.monotonic() < again):
                time.sleep(_POLL)
                continue
            outcome = run_pass(ready, lake, work)
            passes, tries, failed = passes + 1, tries + 1 if work.fingerprint == last else 1, not outcome.success
            last, again = work.fingerprint, time.monotonic() + 2 ** min(tries, _LONGEST)
            records = sum(int(of.get("records_in", 0)) for of in outcome.reported.values())
            err.print(f"{datetime.now(UTC):%H:%M:%S}  {records:,} records through Silver, {plural(len(work.models), 'mart')}, {seconds(began())}", markup=False)
            if passes % _TIDY == 0:
                forget_runs(ready.instance)
            if tries == 1:  # else the same as before has been tried again: nothing has come
                quiet_since = time.monotonic()
    out.print(f"Nothing has come for {idle:g} s. {plural(passes, 'pass', 'passes')} made.")
    if failed or problems:
        raise typer.Exit(1)
