"""How runs are executed: in one process, and steps that do not wait for each other side by side in threads.

Spark computes in the engine, for which a step mostly waits; a process for each step would only cost seconds. What the steps of a run share (the Spark session,
the other resources) is made for threads. Not here: order, pools and retries, which are Dagster's.
"""

from __future__ import annotations

import contextvars
import ctypes
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from queue import Empty, SimpleQueue

import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.errors import DagsterExecutionInterruptedError, raise_execution_interrupts
from dagster._core.execution.api import ExecuteRunWithPlanIterable
from dagster._core.execution.compute_logs import create_compute_log_file_key
from dagster._core.execution.context.system import PlanExecutionContext, PlanOrchestrationContext, StepExecutionContext
from dagster._core.execution.context_creation_job import PlanExecutionContextManager
from dagster._core.execution.execute_in_process import core_execute_in_process
from dagster._core.execution.plan.active import ActiveExecution
from dagster._core.execution.plan.execute_plan import dagster_event_sequence_for_step
from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.retries import RetryMode

THREADS = 3  # a step leaves the engine's processors idle for about a third of its time
_PATIENCE = 1.0  # seconds between looks: for pools that other runs have left, for threads that ended without a word

Events = SimpleQueue[tuple[str, dg.DagsterEvent | None]]


def execute(  # noqa: PLR0913 - a run is told all of this
    job: dg.JobDefinition, instance: dg.DagsterInstance, keys: Collection[dg.AssetKey], tags: Mapping[str, str], run_id: str | None, *, raise_on_error: bool
) -> dg.ExecuteInProcessResult:
    """Execute these assets of a job in this process, with the job's own executor: `execute_in_process` has one of its own."""
    chosen = frozenset(keys)
    return core_execute_in_process(
        run_config={},
        job=InMemoryJob(job_def=job.get_subset(asset_selection=chosen)),
        instance=instance,
        output_capturing_enabled=False,
        raise_on_error=raise_on_error,
        run_tags=tags,
        run_id=run_id,
        asset_selection=chosen,
    )


@dg.executor(name="side_by_side")
def side_by_side(_: dg.InitExecutorContext) -> dg.Executor:
    """Steps in threads of the run's process."""
    return _SideBySide()


class _SideBySide(dg.Executor):
    @property
    def retries(self) -> RetryMode:
        """As the steps ask for them."""
        return RetryMode.ENABLED

    def execute(self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan) -> Iterator[dg.DagsterEvent]:
        """Make the run's resources, and execute its steps."""
        context = PlanExecutionContextManager(
            job=plan_context.job,
            retry_mode=plan_context.retry_mode,
            execution_plan=execution_plan,
            run_config=plan_context.run_config,
            dagster_run=plan_context.dagster_run,
            instance=plan_context.instance,
            raise_on_error=plan_context.raise_on_error,
            output_capture=plan_context.output_capture,
            step_dependency_config=self.step_dependency_config,
        )
        yield from ExecuteRunWithPlanIterable(execution_plan, _executed, context)


def _executed(job_context: PlanExecutionContext, execution_plan: ExecutionPlan) -> Iterator[dg.DagsterEvent]:
    instance, run = job_context.instance, job_context.dagster_run
    logs = instance.compute_log_manager
    log_key = logs.build_log_key_for_run(run.run_id, create_compute_log_file_key())  # type: ignore[no-untyped-call]
    with (
        InstanceConcurrencyContext(instance, run) as pools,
        ActiveExecution(
            execution_plan,
            job_context.retry_mode,
            max_concurrent=THREADS,
            instance_concurrency_context=pools,
            step_dependency_config=job_context.step_dependency_config,
        ) as active,
        logs.capture_logs(log_key) as captured,
    ):
        yield dg.DagsterEvent.capture_logs(job_context, [step.key for step in execution_plan.get_steps_to_execute_in_topo_order()], log_key, captured)
        yield from _steps(job_context, active)


def _steps(run: PlanExecutionContext, active: ActiveExecution) -> Iterator[dg.DagsterEvent]:
    events: Events = SimpleQueue()
    threads: dict[str, _Step] = {}
    with _none_left(threads):
        while threads or not active.is_complete:
            for step in active.get_steps_to_execute():
                threads[step.key] = _Step(run.for_step(step, active.get_known_state()), events)
                threads[step.key].start()
            yield from active.concurrency_event_iterator(run)
            yield from active.plan_events_iterator(run)
            if not threads:
                active.sleep_til_ready()
                continue
            try:
                key, event = _next(events, threads)
            except (DagsterExecutionInterruptedError, KeyboardInterrupt):
                active.mark_interrupted()
                yield from _interrupted(events, threads)
                raise
            if event is not None:
                yield event
                active.handle_event(event)
            elif key:
                error = threads.pop(key).error
                active.verify_complete(run, key)
                if error is not None and run.raise_on_error:
                    raise error


class _Step(threading.Thread):
    """A step, whose events go into a queue; after its last one there is None."""

    def __init__(self, context: StepExecutionContext, events: Events) -> None:
        super().__init__(name=context.step.key, daemon=True)
        self._step, self._events, self._variables = context, events, contextvars.copy_context()
        self.error: BaseException | None = None

    def run(self) -> None:
        """The step, from beginning to end."""
        try:
            self._variables.run(self._tell)
        except BaseException as error:  # noqa: BLE001 - its failure event has it; who runs the steps decides whether to raise it
            self.error = error
        finally:
            self._events.put((self.name, None))

    def _tell(self) -> None:
        for event in dagster_event_sequence_for_step(self._step):
            self._events.put((self.name, event))

    def interrupt(self) -> None:
        """Raise in the thread what a signal raises in the main one; it comes through when the call that the thread waits for looks up."""
        if self.ident is not None and self.is_alive():
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.ident), ctypes.py_object(DagsterExecutionInterruptedError))


def _next(events: Events, threads: Mapping[str, _Step]) -> tuple[str, dg.DagsterEvent | None]:
    """The next event; none of a step that has ended, and of no step when it is time to look what else could begin. Interrupts are raised here."""
    try:
        with raise_execution_interrupts():
            return events.get(timeout=_PATIENCE)
    except Empty:
        return next((key for key, thread in threads.items() if not thread.is_alive()), ""), None


def _interrupted(events: Events, threads: dict[str, _Step]) -> Iterator[dg.DagsterEvent]:
    """Interrupt all steps, and pass on what they still say."""
    for thread in threads.values():
        thread.interrupt()
    while threads:
        key, event = _next(events, threads)
        if event is not None:
            yield event
        elif key:
            del threads[key]


@contextmanager
def _none_left(threads: Mapping[str, _Step]) -> Iterator[None]:
    """Whatever happens, no step goes on beyond its run."""
    try:
        yield
    finally:
        for thread in threads.values():
            thread.interrupt()
        for thread in threads.values():
            thread.join()
