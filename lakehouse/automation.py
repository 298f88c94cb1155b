"""What starts runs by itself: the sensors that notice what is new at the sources, the condition by which Gold follows Silver, and the jobs.

Sensors look, without Spark, and ask; only runs write. Not here: what a run does (`bronze`, `silver`, `gold`), by hand (`cli`).
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import dagster as dg

from lakehouse.contracts.model import Contract, FileSource, KafkaSource, PostgresSource, Source
from lakehouse.engine import metadata
from lakehouse.gold.project import Model
from lakehouse.orphans import end_orphans
from lakehouse.pauses import Pauses
from lakehouse.pending import Due, Trouble, due, look_again
from lakehouse.quality.checks import silver_specs
from lakehouse.runs import FULL, INCREMENTAL, MODE
from lakehouse.services import FOLLOWER, background
from lakehouse.settings import settings

TABLES = "lakehouse/tables"  # run tag: the tables an incremental run is for
RETRY_MINUTES = 3  # a run key holds this long: what a failed run left undone is asked for again after it
SENSOR_SECONDS = 10
STREAM_SECONDS = 3
FOLLOWED = "new_records"  # the sensor that rests while a process follows the streams


def selection(work: Due, contracts: Mapping[str, Contract], marts: Iterable[Model]) -> list[dg.AssetKey]:
    """The assets that an incremental pass has to run: tables through all layers, marts with the views below them."""
    keys = [t.key for name in work.tables for t in (contracts[name].bronze, contracts[name].silver, contracts[name].quarantine)]
    chosen = [m for m in marts if m.name in work.models]
    sources = frozenset().union(*(m.sources for m in chosen))
    # A view of an entity is in another dbt run than the marts by day: worth it only when that run is due anyway, or the view may not be there yet.
    due = [m for m in chosen if not m.by_day or metadata.state(m.table) is None]
    entities = frozenset().union(*(m.sources for m in due))
    by_day = {name for name, contract in contracts.items() if contract.event_date}
    views = [m for m in marts if m.materialized == "view" and (m.sources & (sources if m.sources <= by_day else entities) if m.sources else due)]
    return [dg.AssetKey(k) for k in keys] + [dg.AssetKey([m.schema, m.name]) for m in (*views, *chosen)]


def judged(work: Due, contracts: Mapping[str, Contract], marts: Iterable[Model], instance: dg.DagsterInstance) -> Due:
    """The same work without marts over Silver tables whose blocking checks failed: a check that stops a run's next step must stop the next run, too."""
    if not work.models:
        return work
    marts = list(marts)
    below = frozenset().union(*(m.sources for m in marts if m.name in work.models)) & contracts.keys()
    return work.without(condemned(instance, [contracts[name] for name in sorted(below)]), marts)


def condemned(instance: dg.DagsterInstance, contracts: Iterable[Contract]) -> dict[str, Trouble]:
    """The tables whose Silver failed a blocking check, with severity ERROR, when that was last evaluated."""
    checks = {dg.AssetCheckKey(spec.asset_key, spec.name): c for c in contracts for spec in silver_specs(c) if spec.blocking}
    found: dict[str, Trouble] = {}
    for key, summary in instance.event_log_storage.get_asset_check_summary_records(list(checks)).items():
        last = summary.last_completed_check_execution_record
        event = last.event.dagster_event if last is not None and last.event is not None else None
        result = event.asset_check_evaluation_data if event is not None else None
        if result is None or result.passed or result.severity is not dg.AssetCheckSeverity.ERROR:
            continue
        contract, silver = checks[key], key.asset_key.to_user_string()
        again = f"lakehouse materialize {silver}{' --partition DAY' if contract.event_date else ''}"
        why = f"its check {key.name} failed. {(result.description or '').split(chr(10))[0].rstrip('. ')}."
        found.setdefault(contract.name, Trouble(str(contract.silver), why, f"See: lakehouse quarantine list {contract.name}. When it is mended: {again}"))
    return found


def run_tags(work: Due, contracts: Mapping[str, Contract]) -> dict[str, str]:
    """The tags of an incremental run. Dagster wants a range of partitions for partitioned assets: the days of the new files.

    The run decides by itself what it touches, and reports every partition beyond this range with an event of its own. Dagster counts each day of the
    range as made: where most of them are days between, of which there is nothing new, the range is the newest day alone.
    """
    today = datetime.now(UTC).date()
    first = max((contracts[name].start for name in work.tables), default=min(c.start for c in contracts.values()))
    days = {d for d in work.days if first <= d <= today} or {max(first, today)}
    newest = max(days)
    oldest = min(days) if (newest - min(days)).days < 2 * len(days) else newest
    return {
        MODE: INCREMENTAL,
        TABLES: ",".join(work.tables)[:200],
        "dagster/asset_partition_range_start": oldest.isoformat(),
        "dagster/asset_partition_range_end": newest.isoformat(),
    }


def source_sensors(contracts: Mapping[str, Contract], marts: tuple[Model, ...]) -> list[dg.SensorDefinition]:
    """One sensor for each kind of source that the contracts have."""
    kinds = {kind: {name: c for name, c in contracts.items() if isinstance(c.source, kind)} for kind in _SENSORS}
    return [_source_sensor(*_SENSORS[kind], own, contracts, marts) for kind, own in kinds.items() if own or kind is FileSource]


def _source_sensor(  # noqa: PLR0913 - of one kind of source all that differs
    name: str, seconds: int, looks_at: str, contracts: Mapping[str, Contract], every: Mapping[str, Contract], marts: tuple[Model, ...]
) -> dg.SensorDefinition:
    """One incremental run for all tables that have something new, through all layers; none while one is going. `every`: contracts of any kind of source."""
    concerned = tuple(m for m in marts if m.sources & set(contracts) or not m.sources)

    @dg.sensor(
        name=name,
        target=dg.AssetSelection.all(),
        minimum_interval_seconds=seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Looks at {looks_at} and starts one incremental run for whatever is new, through Bronze, Silver and Gold.",
    )
    def look(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        if name == FOLLOWED and background.find(settings().home, FOLLOWER):
            return dg.SkipReason("`lakehouse up` follows the topics in one warm process; this sensor takes over when that ends.")
        going = _going(context, name, set(contracts))
        if going:
            return dg.SkipReason(f"Run {going[:8]} is still going; what is new meanwhile is taken by the next.")
        now = datetime.now(UTC).timestamp()
        work, pauses = look_again(contracts.values(), concerned, Pauses.parse(context.cursor), now)
        work = judged(work, every, concerned, context.instance)
        told = "; ".join(str(trouble) for trouble in work.held)
        if pauses.broken:
            context.log.warning(str(pauses))
        if told:
            context.log.warning(told)
        if work.nothing:
            return dg.SensorResult(
                skip_reason="; ".join(filter(None, (str(pauses), told))) or "Every table holds all that its source has.", cursor=pauses.to_json()
            )
        request = dg.RunRequest(
            run_key=f"{work.fingerprint}/{int(now) // (60 * RETRY_MINUTES)}",
            asset_selection=selection(work, contracts, concerned),
            tags=run_tags(work, contracts),
        )
        return dg.SensorResult(run_requests=[request], cursor=pauses.to_json())

    return look


_SENSORS: dict[type[Source], tuple[str, int, str]] = {
    FileSource: ("new_files", SENSOR_SECONDS, "the sources' folders"),
    KafkaSource: (FOLLOWED, STREAM_SECONDS, "the topics' offsets"),
    PostgresSource: ("new_rows", STREAM_SECONDS, "the databases' tables"),
}


def full_look(contracts: Mapping[str, Contract], marts: tuple[Model, ...]) -> dg.ScheduleDefinition:
    """Every night one incremental run for files of days before the look-back, which the sensor does not list. What can't be looked at, the sensor tells."""
    by_files = {name: c for name, c in contracts.items() if isinstance(c.source, FileSource)}
    concerned = tuple(m for m in marts if m.sources & set(by_files))

    @dg.schedule(
        name="files_of_long_past_days",
        cron_schedule=f"30 {settings().maintenance_hour} * * *",
        execution_timezone="UTC",
        target=dg.AssetSelection.all(),
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Every night: looks into all folders of the sources, also those of days before the look-back, and takes in what came there.",
    )
    def look(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        work = judged(due(by_files.values(), concerned, full=True), contracts, concerned, context.instance)
        if work.nothing:
            return dg.SkipReason("; ".join(map(str, work.held)) or "Every table holds all files that its source has.")
        return dg.RunRequest(asset_selection=selection(work, contracts, concerned), tags={**run_tags(work, contracts), FULL: "true"})

    return look


def _going(context: dg.SensorEvaluationContext, sensor: str, tables: set[str]) -> str | None:
    """An incremental run that has not ended and was started by this sensor, or concerns its tables: its id."""
    runs = context.instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED, tags={MODE: INCREMENTAL}), limit=20)
    going = [run for run in runs if run.tags.get("dagster/sensor_name") == sensor or tables & set(run.tags.get(TABLES, "").split(","))]
    ended = end_orphans(context.instance) if going else []
    return next((run.run_id for run in going if run.run_id not in ended), None)


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
        "gold_follows_silver",
        target=dg.AssetSelection.all(),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=30,
        description="Starts the marts whose Silver tables were updated on days that they have not followed yet, late days too.",
    )
