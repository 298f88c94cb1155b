"""How many of the increments' runs Dagster remembers. A follower of streams makes thousands a day, each with half a megabyte of events.

What Dagster shows of tables, partitions and checks stays as it is: a run that has the last word on a partition is kept, however old.
Not here: data, whose progress is in the tables themselves.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import dagster as dg
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage

from lakehouse.runs import INCREMENTAL, MODE

KEPT = 500  # increments that succeeded, and as many that did not
_TELLS = {dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_CHECK_EVALUATION}
_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


def forget_runs(instance: dg.DagsterInstance, kept: int = KEPT) -> int:
    """Delete the runs of increments beyond the newest `kept`, of all whose partitions and checks later ones have told again; returns how many."""
    later: set[tuple[dg.AssetKey, str | None, str | None]] = set()
    found: Counter[bool] = Counter()
    forgotten = 0
    for run in instance.get_runs(dg.RunsFilter(tags={MODE: INCREMENTAL}, statuses=_FINISHED)):  # the newest first
        told = _told(instance, run.run_id)
        found[run.is_success] += 1
        if found[run.is_success] > kept and told <= later:
            _forget(instance, run.run_id)
            forgotten += 1
        later |= told
    return forgotten


def _told(instance: dg.DagsterInstance, run_id: str) -> set[tuple[dg.AssetKey, str | None, str | None]]:
    """What a run said something of: assets' partitions, and (with their names) assets' checks."""
    told: set[tuple[dg.AssetKey, str | None, str | None]] = set()
    for entry in instance.all_logs(run_id, of_type=_TELLS):
        event = entry.get_dagster_event()
        if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            told.add((check.asset_key, check.check_name, check.partition))
        elif event.asset_key is not None:
            told.add((event.asset_key, None, event.partition))
    return told


def _forget(instance: dg.DagsterInstance, run_id: str) -> None:
    """The run, its events, and what Dagster leaves behind of it: results of checks, and the files that were its own."""
    instance.delete_run(run_id)
    events = instance.event_log_storage
    if isinstance(events, SqlEventLogStorage):  # every store that a lake is given
        with events.index_connection() as connection:
            connection.execute(AssetCheckExecutionsTable.delete().where(AssetCheckExecutionsTable.c.run_id == run_id))
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    for file in Path(instance.root_directory, "history", "runs").glob(f"{run_id}.db*"):
        file.unlink(missing_ok=True)
