"""Runs whose process was killed: nobody ends them, so they would hold their tables' pools, and the sensor would wait for them, for ever.

A run says which process it is, and where: by tags that it gives itself, or until then by the event that its worker logs first.
Not here: what a run does; the data needs no mending, since an unfinished commit is none.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

import dagster as dg
import psutil

from lakehouse.engine.state import birth

PROCESS = "lakehouse/process"  # run tag: id and birth of the process that executes it
PLACE = "lakehouse/place"  # run tag: where that id means something; another container's processes can't be seen from here
_LATER = 2.0  # seconds that a clock may differ by
_UNFINISHED = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


def this_process() -> dict[str, str]:
    """The tags of a run in this process."""
    own = psutil.Process()
    return {PROCESS: f"{own.pid}/{birth(own)}", PLACE: _here()}


def _here() -> str:
    """This machine or container, and its space of process ids, where the system tells."""
    space = Path("/proc/self/ns/pid")
    return f"{socket.gethostname()}/{space.readlink() if space.is_symlink() else ''}"


def end_orphans(instance: dg.DagsterInstance) -> list[str]:
    """Mark the runs as failed whose process is gone, and free what they hold; returns their ids."""
    ended = []
    for run in instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED)):
        if _gone(instance, run):
            instance.report_run_failed(run, "The process that executed this run is gone: it was killed, or the machine was restarted.")
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
            ended.append(run.run_id)
    return ended


def _gone(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether the run's process is known and has ended. A run whose process is not known (yet), or is of elsewhere, is left alone."""
    if run.tags.get(PLACE, _here()) != _here():
        return False
    tag = run.tags.get(PROCESS)
    if tag:
        pid, _, born = tag.partition("/")
        return not _alive(int(pid), lambda process: birth(process) == born)
    for record in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        event = record.get_dagster_event() if record.is_dagster_event else None
        found = event.engine_event_data.metadata.get("pid") if event and event.event_specific_data else None
        if found is not None and str(found.value).isdigit():
            # The worker logs it soon after its start: a process that began later has only inherited the number.
            return not _alive(int(str(found.value)), partial(_began_before, record.timestamp + _LATER))
    return False


def _began_before(time: float, process: psutil.Process) -> bool:
    return process.create_time() <= time


def _alive(pid: int, is_it: Callable[[psutil.Process], bool]) -> bool:
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and is_it(process)
    except psutil.NoSuchProcess:
        return False
