"""The nightly job that keeps tables in order, and what Dagster remembers of runs; its schedule, on by default. Not here: what it does (`plan`, `work`)."""

from collections.abc import Sequence
from datetime import UTC, datetime

import dagster as dg
from pyspark.errors import PySparkException

from lakehouse.errors import DataError, LakehouseError
from lakehouse.maintenance.plan import Kept, plan
from lakehouse.maintenance.work import carry_out
from lakehouse.resources import SparkEngine
from lakehouse.run_history import forget_runs
from lakehouse.settings import settings

NAME = "maintenance"


class Tables(dg.Config):
    """Which tables; none named: all."""

    tables: list[str] = []


def maintenance_job(kept: Sequence[Kept]) -> dg.JobDefinition:
    """One step for all tables, one after the other; what it gained is an observation of each table's asset."""

    @dg.op(name="maintain", description="Compacts small files, removes those that nobody needs, sets the properties that contracts ask for.")
    def maintain(context: dg.OpExecutionContext, config: Tables, spark: SparkEngine) -> None:
        failed = []
        for one in kept:
            if config.tables and str(one.table) not in config.tables:
                continue
            try:
                _keep(context, one, spark)
            except (PySparkException, LakehouseError) as error:
                failed.append(f"{one.table}: {str(error).splitlines()[0]}")
                context.log.error(str(error))
        if not config.tables and (forgotten := forget_runs(context.instance)):
            context.log.info(f"Of the increments' runs {forgotten} old ones were forgotten, whose partitions later ones have materialized again.")
        if failed:
            raise DataError(
                f"{len(failed)} tables were not kept in order: {'; '.join(failed)}.",
                state="Their rows are unchanged; all others are done.",
                next_step="Once the reason is mended: lakehouse maintain",
            )

    @dg.job(name=NAME, description="Keeps tables in order, at a quiet hour. No row changes.")
    def job() -> None:
        maintain()

    return job


def _keep(context: dg.OpExecutionContext, kept: Kept, spark: SparkEngine) -> None:
    found = plan(kept, datetime.now(UTC))
    if found is None or (found.nothing and not found.left):
        return
    if found.nothing:
        context.log.info(f"{kept.table}: {found.left}")
        return
    gained = carry_out(spark.spark_session, found)
    context.log.info(f"{kept.table}: {gained.text}")
    context.log_event(dg.AssetObservation(asset_key=kept.table.key, metadata=gained.metadata))


def maintenance_schedule(job: dg.JobDefinition) -> dg.ScheduleDefinition:
    """Every night."""
    cron = f"0 {settings().maintenance_hour} * * *"
    return dg.ScheduleDefinition(
        job=job,
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Every night: few files in the place of many small ones, none that nobody needs.",
    )
