"""What is wrong with the lake now: failed runs, failed checks, data that is too old, sources that fail or are paused; each with owners and next step.

Read from Dagster's instance, the tables' logs and the sources, without Spark. Not here: what of it is news (`news`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain

import dagster as dg

from lakehouse.alerts.news import Grade, Problem
from lakehouse.bronze.ingest import pending
from lakehouse.contracts.model import Contract
from lakehouse.engine import metadata
from lakehouse.errors import LakehouseError
from lakehouse.failures import reasons
from lakehouse.pauses import Pauses
from lakehouse.quality.freshness import newest_data

_AT_ONCE = 8
_RUNS = 100  # failed runs looked at in one go; the rest comes with the next
_NO_STEP = "a run"  # what failed, when it did before its first step
_OF_ASSETS = "__ASSET_JOB"  # Dagster's name for the job that all runs of assets belong to
_WILL_RETRY = "dagster/will_retry"
FRESHNESS = "freshness"  # its check speaks of the last run; here it is asked by the clock


@dataclass(frozen=True)
class Failed:
    """A step that failed, and has not succeeded since."""

    run: str
    at: float
    text: str
    next_step: str


@dataclass(frozen=True)
class Lake:
    """Where problems are looked for."""

    instance: dg.DagsterInstance
    graph: dg.AssetGraph
    contracts: Mapping[str, Contract]
    pauses: Pauses = field(default_factory=Pauses)

    def problem(self, key: dg.AssetKey | None, name: str, grade: Grade, title: str, text: str, next_step: str) -> Problem:  # noqa: PLR0913
        """A problem of an asset, told to those whose it is: its contract's people, or those of its domain."""
        node = self.graph.get(key) if key is not None and self.graph.has(key) else None
        contract = self.contracts.get(key.path[-1]) if key is not None else None
        concerned = [contract] if contract else [c for c in self.contracts.values() if node and c.domain == node.group_name]
        owners = contract.owners if contract else tuple(sorted(node.owners)) if node else ()
        support = tuple(dict.fromkeys(channel for c in concerned for channel in c.support))
        return Problem(name, grade, title, text, next_step, owners, support)

    def present(self, failed: Mapping[str, Failed], now: datetime) -> Iterator[Problem]:
        """Everything that is wrong, given the failures that are open."""
        for step, failure in failed.items():
            key = next(iter(self._assets(step)), None)
            yield self.problem(key, f"run {step}", "error", f"{step} failed", failure.text, failure.next_step)
        yield from self._checks()
        with ThreadPoolExecutor(_AT_ONCE) as pool:  # several that don't answer must not take longer than Dagster waits for a sensor
            yield from chain.from_iterable(pool.map(lambda c: self._source(c, now), self.contracts.values()))
        for contract in self.contracts.values():
            yield from self._guarded_freshness(contract, now)

    def _checks(self) -> Iterator[Problem]:
        keys = [k for k in self.graph.asset_check_keys if k.name != FRESHNESS]
        for key, summary in self.instance.event_log_storage.get_asset_check_summary_records(keys).items():
            last = summary.last_completed_check_execution_record
            if last is None or last.event is None or last.event.dagster_event is None:
                continue
            found = last.event.dagster_event.asset_check_evaluation_data
            if found.passed:
                continue
            asset = key.asset_key.to_user_string()
            grade: Grade = "error" if found.severity is dg.AssetCheckSeverity.ERROR else "warning"
            text = found.description or "It did not pass."
            next_step = "" if "lakehouse " in text else f"See: lakehouse status {key.asset_key.path[-1]}; the check in the web UI: lakehouse up"
            yield self.problem(key.asset_key, f"check {asset} {key.name}", grade, f"{asset}: check {key.name} {_FAILS[grade]}", text, next_step)

    def _source(self, contract: Contract, now: datetime) -> list[Problem]:
        """That it can't be read; of a source that a sensor leaves alone, that and until when, without another look."""
        paused = self.pauses.broken.get(contract.name)
        if paused and paused.paused(now.timestamp()):
            text = f"{paused.why} It failed {paused.failures} times in a row and is looked at again at {paused.ends}."
            return [self._unread(contract, "is paused", text, paused.next_step)]
        try:
            pending(contract)
        except LakehouseError as error:
            return [self._unread(contract, "can't be read", error.what, error.next_step or f"Then: lakehouse sync {contract.name}")]
        except OSError as error:
            return [self._unread(contract, "can't be read", f"{error.filename or contract.name}: {error.strerror or error}.", "Mend that.")]
        return []

    def _unread(self, contract: Contract, how: str, text: str, next_step: str) -> Problem:
        """Paused or not, it is one trouble; another one when something else mends it."""
        key, title = dg.AssetKey(contract.bronze.key), f"{contract.name}: its source {how}"
        at_once = "" if f"lakehouse sync {contract.name}" in next_step else f" Once mended, at once: lakehouse sync {contract.name}"
        return replace(self.problem(key, f"source {contract.name}", "error", title, text, next_step + at_once), kind=next_step)

    def _guarded_freshness(self, contract: Contract, now: datetime) -> list[Problem]:
        """A table that can't be read is a problem of its own, and hides no other."""
        try:
            return list(self._freshness(contract, now))
        except (LakehouseError, OSError) as error:
            text, advice = (error.what, error.next_step) if isinstance(error, LakehouseError) else (str(error), None)
            title = f"{contract.silver} can't be read"
            return [self.problem(dg.AssetKey(contract.silver.key), f"table {contract.silver}", "error", title, text, advice or "See: lakehouse doctor")]

    def _freshness(self, contract: Contract, now: datetime) -> Iterator[Problem]:
        table = metadata.open_table(contract.silver) if contract.freshness else None
        if table is None or contract.freshness is None:
            return
        newest = newest_data(contract, table)
        if newest is None or now - newest > contract.freshness:
            since = f"The newest {contract.freshness_column} is {newest:%Y-%m-%d %H:%M} UTC" if newest else "The table is empty"
            text = f"{since}; promised is an age of at most {contract.freshness}."
            next_step = f"Is there anything new at the source? lakehouse status {contract.name}"
            yield self.problem(dg.AssetKey(contract.silver.key), f"freshness {contract.silver}", "warning", f"{contract.silver}: data too old", text, next_step)

    def failures(self, known: Mapping[str, Failed], after: float, *, first: bool = False) -> tuple[dict[str, Failed], float]:
        """The steps that have failed and not succeeded since, and the time up to which runs were looked at.

        One that is not known yet is told even if a run has succeeded meanwhile, as a stream's next one does within seconds; but not at the `first` look.
        """
        found = {step: failure for step, failure in known.items() if not self._mended(step, failure)}
        filters = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=datetime.fromtimestamp(after, UTC))
        for record in self.instance.get_run_records(filters, limit=_RUNS, order_by="update_timestamp", ascending=True):
            after = max(after, record.update_timestamp.timestamp())
            if record.dagster_run.tags.get(_WILL_RETRY) != "true":
                failed = self._failed_steps(record.dagster_run.run_id)
                found |= {step: failure for step, failure in failed.items() if not (first and self._mended(step, failure))}
        return found, after

    def _failed_steps(self, run: str) -> dict[str, Failed]:
        where = f"The run: {run} in the web UI (lakehouse up). Then: lakehouse sync"
        steps = {}
        kinds = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}
        for entry in self.instance.all_logs(run, of_type=kinds):
            event = entry.get_dagster_event()
            if event.is_step_failure and event.step_key:
                said = [line for line in reasons(event) if line]
                own_advice = len(said) > 1 and "lakehouse " in said[-1]
                steps[event.step_key] = Failed(run, entry.timestamp, said[0], said[-1] if own_advice else where)
            elif not steps:
                steps[_NO_STEP] = Failed(run, entry.timestamp, self._reason(run, event), where)
        return {k: v for k, v in steps.items() if k != _NO_STEP or len(steps) == 1}

    def _reason(self, run: str, failed: dg.DagsterEvent) -> str:
        """Why a run failed outside of its steps: what the event says, or what could not be loaded, which an earlier one says."""
        events = [failed, *(entry.get_dagster_event() for entry in self.instance.all_logs(run, of_type=dg.DagsterEventType.ENGINE_EVENT))]
        errors = [error for event in events if (error := getattr(event.event_specific_data, "error", None))]
        words = [line for error in errors for line in (error.cause or error).message.splitlines() if line.strip()]
        return next(iter([*words, *(failed.message or "").splitlines()]), "It gave no reason.")

    def _mended(self, step: str, failure: Failed) -> bool:
        """Whether it has succeeded in a later run, or is no step any more."""
        if step == _NO_STEP:
            after = datetime.fromtimestamp(failure.at, UTC)
            return bool(self.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS], updated_after=after), limit=1))
        assets = self._assets(step)
        if not assets:
            return self._job_mended(failure)
        runs = {r.run_id for key in assets for r in self.instance.fetch_materializations(key, limit=1).records} - {failure.run}
        stats = [s for run in runs for s in self.instance.get_run_step_stats(run, [step])]
        return any(s.end_time and s.end_time > failure.at and s.status is not None and s.status.value == "SUCCESS" for s in stats)

    def _job_mended(self, failure: Failed) -> bool:
        """The same of a step that makes no asset: its job has succeeded since, or it was a run of assets, which are gone."""
        run = self.instance.get_run_by_id(failure.run)
        if run is None or run.job_name.startswith(_OF_ASSETS):
            return True
        after = datetime.fromtimestamp(failure.at, UTC)
        return bool(self.instance.get_runs(dg.RunsFilter(job_name=run.job_name, statuses=[dg.DagsterRunStatus.SUCCESS], updated_after=after), limit=1))

    def _assets(self, step: str) -> list[dg.AssetKey]:
        made: dict[str, list[dg.AssetKey]] = defaultdict(list)
        for key in self.graph.toposorted_asset_keys:
            node = self.graph.get(key)
            if node.is_materializable:
                made[node.assets_def.node_def.name].append(key)
        return made[step]


_FAILS: dict[Grade, str] = {"error": "failed", "warning": "warns"}
