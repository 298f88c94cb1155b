"""How many of the increments' runs Dagster remembers. A follower of streams makes thousands a day, each with half a megabyte of events.

What Dagster shows of tables, partitions and checks stays as it is: a run that has the last word on a partition is kept, however old.
Not here: data, whose progress is in the tables themselves.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import dagster as dg

from lakehouse.runs import INCREMENTAL, MODE

KEPT = 500  # increments that succeeded, and as many that did not
_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


def forget_runs(instance: dg.DagsterInstance, kept: int = KEPT) -> int:
    """Delete the runs of increments beyond the newest `kept`, all of whose partitions were materialized by later ones; returns how many."""
    later: set[tuple[dg.AssetKey, str | None]] = set()
    found: Counter[bool] = Counter()
    forgotten = 0
    for run in instance.get_runs(dg.RunsFilter(tags={MODE: INCREMENTAL}, statuses=_FINISHED)):  # the newest first
        made = _materialized(instance, run.run_id)
        found[run.is_success] += 1
        if found[run.is_success] > kept and made <= later:
            _forget(instance, run.run_id)
            forgotten += 1
        later |= made
    return forgotten


def _materialized(instance: dg.DagsterInstance, run_id: str) -> set[tuple[dg.AssetKey, str | None]]:
    events = [entry.get_dagster_event() for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)]
    return {(e.asset_key, e.partition) for e in events if e.asset_key is not None}


def _forget(instance: dg.DagsterInstance, run_id: str) -> None:
    """The run, its events, and the files that were its own, which Dagster leaves behind."""
    instance.delete_run(run_id)
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    for file in Path(instance.root_directory, "history", "runs").glob(f"{run_id}.db*"):
        file.unlink(missing_ok=True)
