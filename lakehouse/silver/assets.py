"""The Silver assets, one for each contract, each with its quarantine. Here: what Dagster shows and asks. Not here: what is done (`silver.build`)."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from lakehouse.contracts.model import Contract
from lakehouse.engine.lag import Lag, lag
from lakehouse.engine.metadata import rows_by_partition, state
from lakehouse.maintenance.work import tidy
from lakehouse.quality.checks import (
    Verdict,
    check_fields,
    check_freshness,
    check_refused,
    check_schema,
    check_volume,
    check_waiting,
    silver_specs,
)
from lakehouse.resources import SparkEngine, TableMetadata
from lakehouse.runs import REPLAY, asset_spec, column_lineage, daily, freshness, rebuilds_everything, report_partitions, requested_days
from lakehouse.silver.build import increment, put_through, rebuild
from lakehouse.silver.columns import silver_lineage
from lakehouse.silver.keys import KeyCount, count_keys
from lakehouse.silver.plan import Again
from lakehouse.silver.report import Built


def silver_asset(contract: Contract) -> dg.AssetsDefinition:
    """The assets of a Silver table and its quarantine. With partition keys: these dates are rebuilt; as an increment: what Bronze gained is applied,
    and, where the run says so, refused records are put through again."""
    awaited = tuple(dict.fromkeys(parent.silver for _, parent in contract.waiting_columns))
    silver = asset_spec(contract, contract.silver, contract.description, {"spark", "delta", "silver"}, (contract.bronze,), awaited)
    refused = f"Records of {contract.name} that were refused, with every reason, the raw record and where it came from."
    quarantine = asset_spec(contract, contract.quarantine, refused, {"spark", "delta"}, (contract.bronze,))
    partitions = daily(contract)
    specs = [
        silver.replace_attributes(partitions_def=partitions if contract.event_date else None, freshness_policy=freshness(contract.freshness)).merge_attributes(
            metadata={"dagster/column_schema": column_schema(contract)}
        ),
        quarantine.replace_attributes(partitions_def=partitions if contract.event_date else None),
    ]

    @dg.multi_asset(
        name=f"silver_{contract.name}",
        specs=specs,
        check_specs=silver_specs(contract),
        pool=f"silver_{contract.name}",
        backfill_policy=dg.BackfillPolicy.single_run(),
        op_tags={"lakehouse/table": str(contract.silver)},
    )
    def build(context: dg.AssetExecutionContext, spark: SparkEngine, tables: TableMetadata) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
        days = requested_days(context) if contract.event_date else None
        session = spark.spark_session
        if days is not None or (contract.event_date is None and rebuilds_everything(context)):
            built = rebuild(session, contract, days, context.run_id)
        elif REPLAY in context.run.tags:
            built = put_through(session, contract, Again.parse(context.run.tags[REPLAY]), context.run_id)
        else:
            built = increment(session, contract, context.run_id)
        for step in built.steps:
            context.log.info(f"{contract.silver}: {step}")
        if built.changed:
            tidy(session, contract.silver, contract.maintenance.silver, built.dates if contract.event_date else None, context.log.info)
            tidy(session, contract.quarantine, contract.maintenance.quarantine, built.days, context.log.info)
        keys = built.keys or (count_keys(session, contract, built.dates, built.silver_version) if built.changed else KeyCount(0, 0))
        yield from _results(context, contract, built, keys, tables)

    return build


def _results(context: dg.AssetExecutionContext, contract: Contract, built: Built, keys: KeyCount, tables: TableMetadata) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
    table = tables.load(contract.silver)
    rows = rows_by_partition(table, contract.event_date)
    refused_rows = rows_by_partition(tables.load(contract.quarantine), "_source_date")
    columns = column_lineage(silver_lineage(contract), str(contract.silver))
    if contract.event_date:
        report_partitions(context, contract.start, contract.silver, built.dates, rows, columns)
        report_partitions(context, contract.start, contract.quarantine, built.days, refused_rows)
    verdicts = [check_schema(contract, table), *_key_verdicts(contract, keys), _conserved(built), _fields(contract, built), _refused(contract, built)]
    verdicts += [check_waiting(contract, datetime.now(UTC).date())] if contract.waiting_columns else []
    verdicts += [check_volume(contract, table, built.dates)] if contract.volume else []
    verdicts += [check_freshness(contract, table)] if contract.freshness else []
    total: dict[str, Any] = {
        "dagster/row_count": sum(rows.values()),
        "records_in": sum(b.rows_in for b in built.balances),
        "applied": sum(b.applied for b in built.balances),
        "superseded": sum(b.superseded for b in built.balances),
        "refused": sum(b.refused for b in built.balances),
        "judged_again": sum(b.rows_in for b in built.balances if b.again),
        "still_refused": sum(b.refused for b in built.balances if b.again),
        **({"waiting": sum(b.held for b in built.balances)} if contract.waiting_columns else {}),
        "conservation": dg.MetadataValue.json([{"bronze_day": str(b.day or "without"), **{k: getattr(b, k) for k in _COUNTS}} for b in built.balances]),
        "dates_touched": len(built.dates),
        "delta_version": table.version(),
        **_lag(contract),
        **columns,
    }
    yield dg.MaterializeResult(asset_key=contract.silver.key, metadata=total, check_results=[v.result(contract.silver.key) for v in verdicts])
    yield dg.MaterializeResult(
        asset_key=contract.quarantine.key, metadata={"dagster/row_count": sum(refused_rows.values()), "by_rule": dg.MetadataValue.json(built.by_rule)}
    )


def _lag(contract: Contract) -> dict[str, float]:
    """What of Bronze is not in, after the run: usually nothing, unless more came while it ran."""
    bronze, silver = state(contract.bronze), state(contract.silver)
    missing = lag(silver, bronze) if bronze else Lag()
    return {"lag_seconds": missing.seconds(datetime.now(UTC)), **({"lag_records": missing.records} if missing.records is not None else {})}


_COUNTS = ("rows_in", "applied", "superseded", "refused", "lost")


def _key_verdicts(contract: Contract, keys: KeyCount) -> list[Verdict]:
    verdicts = [Verdict("keys", keys.repeated == 0, f"{keys.repeated:,} identities stand more than once." if keys.repeated else "Each identity stands once.")]
    if contract.event_date:
        text = f"{keys.on_two_dates:,} keys stand on more than one {contract.event_date}." if keys.on_two_dates else "Each key stands on one date."
        verdicts.append(Verdict("key_dates", keys.on_two_dates == 0, text, dg.AssetCheckSeverity.WARN))
    if contract.scd == 2:
        text = f"{keys.broken:,} versions do not end where the next one begins, or are wrongly current." if keys.broken else "Versions follow each other."
        verdicts.append(Verdict("history", keys.broken == 0, text))
    return verdicts


def _conserved(built: Built) -> Verdict:
    wrong = built.unbalanced
    text = "; ".join(
        f"Bronze day {b.day}: {b.rows_in:,} in, {b.applied:,} applied, {b.superseded:,} superseded, {b.refused:,} refused, {b.lost:,} lost" for b in wrong[:5]
    )
    numbers = {name: sum(getattr(b, name) for b in built.balances) for name in _COUNTS}
    return Verdict("conservation", not wrong, text or f"{numbers['rows_in']:,} records are accounted for.", numbers=numbers)


def _fields(contract: Contract, built: Built) -> Verdict:
    return check_fields(contract, built.drift.unknown, built.drift.gone, built.drift.records, built.drift.patch)


def _refused(contract: Contract, built: Built) -> Verdict:
    first = [b for b in built.balances if not b.again]
    still = sum(b.refused - b.held for b in built.balances if b.again)
    return check_refused(sum(b.refused - b.held for b in first), sum(b.rows_in for b in first), built.by_rule, contract.name, still)


def column_schema(contract: Contract) -> dg.TableSchema:
    """The contract's columns as Dagster shows them."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(c.name, c.type, c.description or None, dg.TableColumnConstraints(nullable=not c.required, unique=contract.key == (c.name,)))
            for c in contract.columns
        ]
    )
