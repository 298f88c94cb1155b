"""What starts runs by itself: the sensors that notice new files, the condition by which Gold follows Silver, and the jobs.

Sensors look, without Spark, and ask; only runs write. Not here: what a run does (`bronze`, `silver`, `gold`), by hand (`cli`).
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import dagster as dg

from lakehouse.contracts.model import Contract
from lakehouse.engine import metadata
from lakehouse.gold.project import Model
from lakehouse.orphans import end_orphans
from lakehouse.pending import Due, due
from lakehouse.runs import INCREMENTAL, MODE

TABLES = "lakehouse/tables"  # run tag: the tables an incremental run is for
RETRY_MINUTES = 10  # a run key holds this long: what a failed run left undone is asked for again after it
SENSOR_SECONDS = 10


def selection(work: Due, contracts: Mapping[str, Contract], marts: Iterable[Model]) -> list[dg.AssetKey]:
    """The assets that an incremental pass has to run: tables through all layers, marts with the views below them."""
    keys = [t.key for name in work.tables for t in (contracts[name].bronze, contracts[name].silver, contracts[name].quarantine)]
    chosen = [m for m in marts if m.name in work.models]
    sources = frozenset().union(*(m.sources for m in chosen))
    # A view of an entity is in another dbt run than the marts by day: worth it only when that run is due anyway, or the view may not be there yet.
    entities = frozenset().union(*(m.sources for m in chosen if not m.by_day or metadata.state(m.table) is None))
    by_day = {name for name, contract in contracts.items() if contract.event_date}
    views = [m for m in marts if m.materialized == "view" and m.sources & (sources if m.sources <= by_day else entities)]
    return [dg.AssetKey(k) for k in keys] + [dg.AssetKey([m.schema, m.name]) for m in (*views, *chosen)]


def run_tags(work: Due, contracts: Mapping[str, Contract]) -> dict[str, str]:
    """The tags of an incremental run. Dagster wants a range of partitions for partitioned assets: the days of the new files.

    The run decides by itself what it touches, and reports every partition beyond this range with an event of its own.
    """
    today = datetime.now(UTC).date()
    first = max((contracts[name].start for name in work.tables), default=min(c.start for c in contracts.values()))
    days = [d for d in work.days if first <= d <= today] or [max(first, today)]
    return {
        MODE: INCREMENTAL,
        TABLES: ",".join(work.tables)[:200],
        "dagster/asset_partition_range_start": min(days).isoformat(),
        "dagster/asset_partition_range_end": max(days).isoformat(),
    }


def file_sensor(contracts: Mapping[str, Contract], marts: tuple[Model, ...]) -> dg.SensorDefinition:
    """One incremental run for all tables that have something new, through all layers; none while one is going."""

    @dg.sensor(
        name="new_files",
        target=dg.AssetSelection.all(),
        minimum_interval_seconds=SENSOR_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Looks at the sources' folders and starts one incremental run for whatever is new, through Bronze, Silver and Gold.",
    )
    def new_files(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        going = context.instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED, tags={MODE: INCREMENTAL}), limit=1)
        if going and going[0].run_id not in end_orphans(context.instance):
            return dg.SkipReason(f"Run {going[0].run_id[:8]} is still going; what is new meanwhile is taken by the next.")
        work = due(contracts.values(), marts)
        if work.nothing:
            return dg.SkipReason("; ".join(work.problems) or "Every table holds all that its source has.")
        now = datetime.now(UTC)
        period = int(now.timestamp()) // (60 * RETRY_MINUTES)
        request = dg.RunRequest(
            run_key=f"{work.fingerprint}/{period}",
            asset_selection=selection(work, contracts, marts),
            tags=run_tags(work, contracts),
        )
        return dg.SensorResult(run_requests=[request], cursor=work.fingerprint)

    return new_files


_UNFINISHED = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]


def follow_silver(ignoring: Iterable[dg.AssetKey] = ()) -> dg.AutomationCondition[dg.AssetKey]:
    """Gold follows Silver on every partition, late ones too, once Silver's blocking checks have passed; updates of `ignoring` start nothing.

    Dagster's `eager` looks at the newest partition only and waits for every upstream partition to exist: neither fits late data.
    Entities, which have no days, are ignored by marts that have: which days they concern is for the incremental run to find.
    """
    condition = dg.AutomationCondition.eager()
    condition = condition.without(dg.AutomationCondition.in_latest_time_window())
    condition = condition.without(~dg.AutomationCondition.any_deps_missing())
    condition = condition & dg.AutomationCondition.all_deps_blocking_checks_passed()
    return condition.ignore(dg.AssetSelection.assets(*ignoring)).with_label("follow_silver")


def automation_sensor() -> dg.AutomationConditionSensorDefinition:
    """Evaluates the conditions; on by default."""
    return dg.AutomationConditionSensorDefinition(
        "gold_follows_silver", target=dg.AssetSelection.all(), default_status=dg.DefaultSensorStatus.RUNNING, minimum_interval_seconds=30
    )
