"""Runs whose process is gone are ended; others are left alone."""

from __future__ import annotations

import os
import uuid

import dagster as dg
import psutil
import pytest

from lakehouse.engine.state import birth
from lakehouse.orphans import PLACE, PROCESS, end_orphans, this_process
from lakehouse.resources import SparkEngine


@dg.job
def job() -> None: ...


@pytest.mark.parametrize(
    ("process", "ended"),
    [
        (this_process()[PROCESS], False),
        (f"{os.getpid()}/x/1.00", True),  # the number was used again
        ("999999999/1.00", True),
    ],
    ids=["this one", "another of its number", "none"],
)
def test_a_run_is_over_when_the_process_that_its_tag_names_is_gone(process: str, ended: bool) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags={PROCESS: process})
        assert end_orphans(instance) == ([run.run_id] if ended else [])
        found = instance.get_run_by_id(run.run_id)
        assert found is not None
        assert found.status == (dg.DagsterRunStatus.FAILURE if ended else dg.DagsterRunStatus.STARTED)


@pytest.mark.parametrize(("pid", "ended"), [(os.getpid(), False), (999_999_999, True)], ids=["this one", "none"])
def test_a_worker_of_the_daemon_is_known_by_the_event_it_logs_first(pid: int, ended: bool) -> None:
    from dagster._core.events import EngineEventData

    with dg.DagsterInstance.ephemeral() as instance:
        run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
        instance.report_engine_event("Started process", run, EngineEventData.in_process(pid))
        assert end_orphans(instance) == ([run.run_id] if ended else [])


def test_runs_that_wait_or_whose_process_is_not_known_are_left_alone() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        for status in (dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.SUCCESS):
            instance.create_run_for_job(job, status=status)
        assert end_orphans(instance) == []


def test_the_tag_names_this_process_and_its_start() -> None:
    assert this_process()[PROCESS] == f"{os.getpid()}/{birth(psutil.Process())}"


def test_a_run_of_another_container_is_left_alone_though_no_process_here_has_its_number() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        for place in ("code-0/pid:[4026531836]", this_process()[PLACE]):
            instance.create_run_for_job(job, run_id=str(uuid.uuid4()), status=dg.DagsterRunStatus.STARTED, tags={PROCESS: "999999999/1.00", PLACE: place})
        (ended,) = end_orphans(instance)
        assert instance.get_run_by_id(ended).tags[PLACE] == this_process()[PLACE]  # type: ignore[union-attr]


def test_a_run_that_the_daemon_started_says_which_process_it_is() -> None:
    @dg.op
    def look(spark: SparkEngine) -> None: ...

    @dg.job(resource_defs={"spark": SparkEngine()})
    def looks() -> None:
        look()

    with dg.DagsterInstance.ephemeral() as instance:
        done = looks.execute_in_process(instance=instance)
        found = instance.get_run_by_id(done.run_id)
        assert found is not None and {PROCESS: found.tags[PROCESS], PLACE: found.tags[PLACE]} == this_process()
