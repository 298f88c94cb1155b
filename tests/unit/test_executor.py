"""Steps side by side in the run's process: what waits for what, what a failure stops, what an interrupt does."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

import dagster as dg
import pytest

from lakehouse.executor import THREADS, execute, side_by_side
from lakehouse.failures import interrupted

A, B, C = (dg.AssetKey([name]) for name in "abc")


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp() as made:
        yield made


def made_of(work: Callable[[str], None]) -> dg.JobDefinition:
    """`c` waits for `a` and `b`; each does its `work`."""

    def asset(name: str, deps: list[dg.AssetKey]) -> dg.AssetsDefinition:
        @dg.asset(name=name, deps=deps)
        def build() -> dg.MaterializeResult:  # type: ignore[type-arg]
            work(name)
            return dg.MaterializeResult()

        return build

    assets = [asset("a", []), asset("b", []), asset("c", [A, B])]
    return dg.Definitions(assets=assets, executor=side_by_side).resolve_implicit_global_asset_job_def()


def test_steps_that_do_not_wait_for_each_other_run_at_the_same_time(instance: dg.DagsterInstance) -> None:
    meeting, done, processes = threading.Barrier(2, timeout=20), list[str](), set[int]()

    def work(name: str) -> None:
        processes.add(os.getpid())
        if name != "c":
            meeting.wait()
        done.append(name)

    outcome = execute(made_of(work), instance, [A, B, C], {}, None, raise_on_error=True)
    assert outcome.success
    assert done[-1] == "c"
    assert processes == {os.getpid()}
    assert {e.asset_key for e in outcome.get_asset_materialization_events()} == {A, B, C}


def test_only_what_was_chosen_runs(instance: dg.DagsterInstance) -> None:
    done: list[str] = []
    assert execute(made_of(done.append), instance, [B], {}, None, raise_on_error=True).success
    assert done == ["b"]


def test_a_failure_stops_what_waits_for_it_and_nothing_else(instance: dg.DagsterInstance) -> None:
    done: list[str] = []

    def work(name: str) -> None:
        if name == "a":
            raise ValueError("a is broken")
        done.append(name)

    outcome = execute(made_of(work), instance, [A, B, C], {}, "0" * 32, raise_on_error=False)
    assert not outcome.success
    assert done == ["b"]
    assert [e.step_key for e in outcome.all_events if e.is_step_failure] == ["a"]
    run = instance.get_run_by_id("0" * 32)
    assert run is not None
    assert run.status is dg.DagsterRunStatus.FAILURE


def test_a_failure_is_raised_where_that_is_asked_for(instance: dg.DagsterInstance) -> None:
    def work(name: str) -> None:
        if name == "a":
            raise ValueError("a is broken")

    with pytest.raises(ValueError, match="a is broken"):
        execute(made_of(work), instance, [A, B, C], {}, None, raise_on_error=True)


def test_an_interrupt_reaches_every_step_that_runs(instance: dg.DagsterInstance) -> None:
    meeting, ended = threading.Barrier(2, timeout=20), list[str]()

    def work(name: str) -> None:
        meeting.wait()
        if name == "a":
            os.kill(os.getpid(), signal.SIGINT)
        try:
            for _ in range(200):
                time.sleep(0.1)
        finally:
            ended.append(name)

    began = time.monotonic()
    outcome = execute(made_of(work), instance, [A, B, C], {}, None, raise_on_error=False)
    assert time.monotonic() - began < 15
    assert sorted(ended) == ["a", "b"]
    assert sorted(str(e.step_key) for e in outcome.all_events if e.is_step_failure and interrupted(e)) == ["a", "b"]


def test_no_more_steps_run_at_once_than_threads(instance: dg.DagsterInstance) -> None:
    running, most, guard = 0, 0, threading.Lock()

    def work() -> None:
        nonlocal running, most
        with guard:
            running += 1
            most = max(most, running)
        time.sleep(0.2)
        with guard:
            running -= 1

    def asset(number: int) -> dg.AssetsDefinition:
        @dg.asset(name=f"n{number}")
        def build() -> dg.MaterializeResult:  # type: ignore[type-arg]
            work()
            return dg.MaterializeResult()

        return build

    assets = [asset(n) for n in range(2 * THREADS)]
    job = dg.Definitions(assets=assets, executor=side_by_side).resolve_implicit_global_asset_job_def()
    assert execute(job, instance, [a.key for a in assets], {}, None, raise_on_error=True).success
    assert most == THREADS
