"""The Bronze assets, one for each contract. Here: what Dagster shows and asks. Not here: what is done (`bronze.ingest`)."""

from dataclasses import asdict
from datetime import UTC, datetime

import dagster as dg

from lakehouse.bronze.ingest import Ingested, ingest, pending, rebuild
from lakehouse.contracts.model import Contract
from lakehouse.engine.metadata import open_table, rows_by_partition
from lakehouse.errors import SourceError
from lakehouse.maintenance.work import tidy
from lakehouse.quality.checks import Verdict, bronze_specs
from lakehouse.resources import SparkEngine
from lakehouse.runs import FORCE, FULL, asset_spec, daily, report_partitions, requested_days


def bronze_asset(contract: Contract) -> dg.AssetsDefinition:
    """The asset of a Bronze table. With partition keys: these days are read anew from the source; without: whatever is new is taken in."""
    spec = asset_spec(
        contract, contract.bronze, f"What arrived for {contract.name}, as it arrived, with where it came from.", kinds={"spark", "delta", "bronze"}
    )

    @dg.multi_asset(
        name=f"bronze_{contract.name}",
        specs=[spec.replace_attributes(partitions_def=daily(contract))],
        check_specs=bronze_specs(contract),
        pool=f"bronze_{contract.name}",
        backfill_policy=dg.BackfillPolicy.single_run(),
        op_tags={"lakehouse/table": str(contract.bronze)},
    )
    def build(context: dg.AssetExecutionContext, spark: SparkEngine) -> dg.MaterializeResult:  # type: ignore[type-arg]
        days = requested_days(context)
        if days is None:
            full, force = context.has_tag(FULL), context.has_tag(FORCE)
            done = ingest(spark.spark_session, contract, context.run_id, full=full, force=force, progress=context.log.info)
        else:
            done = rebuild(spark.spark_session, contract, days, context.run_id, force=context.has_tag(FORCE))
        tidy(spark.spark_session, contract.bronze, contract.maintenance.bronze, done.days, context.log.info)
        return _result(context, contract, done)

    return build


def _result(context: dg.AssetExecutionContext, contract: Contract, done: Ingested) -> dg.MaterializeResult:  # type: ignore[type-arg]
    table = open_table(contract.bronze)
    rows = rows_by_partition(table, "_source_date") if table is not None else {}
    metadata = {
        "dagster/row_count": sum(rows.values()),
        **asdict(done.amount),
        "files_changed": len(done.changed),
        "files_vanished": len(done.vanished),
        "rows_without_date": rows.get(None, 0),
        "delta_version": table.version() if table is not None else -1,
        **_lag(contract),
    }
    report_partitions(context, contract.start, contract.bronze, done.days, rows)
    return dg.MaterializeResult(asset_key=contract.bronze.key, metadata=metadata, check_results=[_readable(contract, done).result(contract.bronze.key)])


def _lag(contract: Contract) -> dict[str, float]:
    """What the source has by now that is not in. A source that does not answer any more is the sensor's to tell: this run is done."""
    try:
        look = pending(contract)
        waited = look.waited(datetime.now(UTC))
    except SourceError:
        return {}
    return {**{f"lag_{unit}": n for unit, n in asdict(look.amount).items()}, **({"lag_seconds": waited} if waited is not None else {})}


def _readable(contract: Contract, done: Ingested) -> Verdict:
    problems = [str(u) for u in done.unreadable]
    problems += list(done.passed_over)
    problems += [f"{path} is passed over, since Spark never reads a name that begins with '_' or '.': rename it" for path in done.hidden]
    more = f" (and {len(problems) - 5:,} more)" if len(problems) > 5 else ""
    text = "; ".join(problems[:5]) + more
    if problems:
        text += f". Everything else is in {contract.bronze}. Mend or remove these, then run: lakehouse sync {contract.name}"
    if done.vanished:
        text += f" {len(done.vanished):,} files are gone from the source, such as {done.vanished[0]}; their records stay."
    return Verdict("source_readable", not problems, text.strip() or "Everything that is there was read.")
