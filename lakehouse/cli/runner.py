"""One Dagster run in this process, followed step by step: what `sync`, `materialize` and `demo` have in common.

Not here: which assets and days (the commands), what a step does (the assets).
"""

from __future__ import annotations

import contextlib
import signal
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lakehouse.cli.instance import open_instance
from lakehouse.cli.output import Clock, open_log, others_to
from lakehouse.cli.steps import Steps
from lakehouse.engine.launcher import Endpoints, ensure_engine
from lakehouse.settings import settings

if TYPE_CHECKING:
    import dagster as dg

    from lakehouse.cli.failures import Failure


@dataclass(frozen=True)
class CheckFailed:
    """A check that did not pass."""

    asset: str
    name: str
    error: bool  # False: it only warns
    text: str


@dataclass
class Outcome:
    """What a run said: which steps failed, which checks did, and what each asset reported (its last metadata)."""

    run_id: str
    success: bool = False
    failures: list[Failure] = field(default_factory=list)
    checks: list[CheckFailed] = field(default_factory=list)
    reported: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Whether all steps succeeded and no check failed with severity ERROR."""
        return self.success and not any(c.error for c in self.checks)


@dataclass
class Session:
    """Definitions loaded, the instance open, the engine running (or about to): ready for runs."""

    definitions: dg.Definitions
    instance: dg.DagsterInstance
    engine: Future[Endpoints]
    clock: Clock

    def run(self, keys: Sequence[Sequence[str]], tags: Mapping[str, str]) -> Outcome:
        """Execute these assets in one run, and follow it on the terminal. Ctrl-C ends the run; raises `KeyboardInterrupt` then."""
        import dagster as dg

        from lakehouse.cli.failures import failure_of
        from lakehouse.failures import interrupted
        from lakehouse.orphans import this_process

        selection = [dg.AssetKey(list(k)) for k in keys]
        outcome = Outcome(str(uuid.uuid4()))
        job = self.definitions.resolve_implicit_global_asset_job_def()
        graph = self.definitions.resolve_asset_graph()
        steps = Steps(dict.fromkeys(name for k in graph.toposorted_asset_keys if k in set(selection) for name in [graph.get(k).assets_def.node_def.name]))
        every = {**tags, **this_process(), "dagster/max_retries": "0"}  # who started it by hand sees it fail, and decides
        with self.clock.part("waiting for the engine"), steps.waiting("Starting the engine"):
            self.engine.result()

        def hear(entry: dg.EventLogEntry) -> None:
            _note(entry, outcome, steps)

        self.instance.add_event_listener(outcome.run_id, hear)
        with self.clock.part("run"), steps, _sigterm_kept():
            done = job.execute_in_process(instance=self.instance, asset_selection=selection, run_id=outcome.run_id, tags=every, raise_on_error=False)
        if any(e.is_step_failure and interrupted(e) for e in done.all_events):
            raise KeyboardInterrupt
        outcome.success = done.success
        outcome.failures = [failure_of(e) for e in done.all_events if e.is_step_failure]
        return outcome


@contextlib.contextmanager
def _sigterm_kept() -> Iterator[None]:
    """Dagster leaves SIGTERM doing what SIGINT does, which is nothing in a process that a script has put into the background."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def session(log_name: str, clock: Clock | None = None) -> Iterator[Session]:
    """Load Dagster and the definitions while the engine starts; whatever these print goes to `<home>/logs/<log_name>`."""
    clock = clock or Clock()
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="engine")
    engine = pool.submit(ensure_engine)
    try:
        with open_log(settings().home, log_name) as log, others_to(log):
            with clock.part("loading Dagster and the definitions"), Steps.waiting("Loading the definitions"):
                instance = open_instance()
                from lakehouse.definitions import defs

                definitions = defs()
            with instance:
                yield Session(definitions, instance, engine, clock)
    finally:
        pool.shutdown(wait=True)


_ENDS = {"STEP_SUCCESS": "done", "STEP_FAILURE": "failed", "STEP_SKIPPED": "skipped"}
_INFO = 20  # what a step says it does; anything less is Dagster's own


def _note(entry: dg.EventLogEntry, outcome: Outcome, steps: Steps) -> None:
    """Take from an event what the terminal and the summary need."""
    event = entry.dagster_event
    if event is None:
        if entry.step_key and int(entry.level) >= _INFO:
            steps.says(entry.step_key, entry.user_message)
        return
    kind, step = event.event_type_value, str(event.step_key)
    if kind == "STEP_START":
        steps.start(step)
    elif kind in _ENDS:
        steps.end(step, _ENDS[kind])
    elif kind == "ASSET_MATERIALIZATION":
        materialization = event.step_materialization_data.materialization
        name = materialization.asset_key.to_user_string()
        outcome.reported.setdefault(name, {}).update({k: v.value for k, v in materialization.metadata.items()})
        steps.says(step, name)
    elif kind == "ASSET_CHECK_EVALUATION":
        found = event.asset_check_evaluation_data
        if not found.passed:
            outcome.checks.append(CheckFailed(found.asset_key.to_user_string(), found.check_name, found.severity.value == "ERROR", found.description or ""))
