"""Refused records judged again: which they are, and where they are in Bronze. Not here: judging and writing (`silver.build`)."""

from __future__ import annotations

from dataclasses import replace

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts.model import Contract
from lakehouse.engine.metadata import Day, TableState
from lakehouse.errors import DataError
from lakehouse.silver.dates import among
from lakehouse.silver.parents import Parents, arrived
from lakehouse.silver.parse import record_hash
from lakehouse.silver.plan import Again, Chosen, Plan
from lakehouse.silver.report import Counts


def plan_of(spark: SparkSession, contract: Contract, again: Again, quarantine: TableState, base: Plan) -> Plan | None:
    """The replay of these records, as they stand in quarantine now; None when there are none. `base` tells the versions of Bronze and of the parents."""
    chosen = marked(spark, contract, Chosen(again, quarantine.version, 0), base.parents or {}).where("_again")
    per_day: dict[Day, int] = {r[0]: r[1] for r in chosen.groupBy("_source_date").count().collect()}
    if not per_day:
        return None
    records = Chosen(again, quarantine.version, sum(per_day.values()))
    return replace(base, step="replay", days=frozenset(per_day), why=str(again), chosen=records)


def marked(spark: SparkSession, contract: Contract, of: Chosen, parents: Parents) -> DataFrame:
    """The quarantine table at a version, each record with whether it is to be judged again (`_again`)."""
    again, refused = of.again, spark.sql(f"SELECT * FROM {contract.quarantine.sql} VERSION AS OF {of.version}")
    if again.arrived:
        return arrived(spark, refused, contract, parents)
    chosen = F.array_contains("_reasons", again.rule) if again.rule is not None else F.lit(True)
    if again.days is not None:
        chosen = chosen & F.expr(among("_source_date", again.days))
    return refused.withColumn("_again", F.coalesce(chosen, F.lit(False)))


def records_of(bronze: DataFrame, refused: DataFrame, contract: Contract) -> DataFrame:
    """The Bronze rows that these quarantine rows are of: by their origin and, since lines of a file have no position, their content."""
    rows = bronze.withColumn("_record_hash", record_hash(bronze, contract))
    wanted = refused.select("_source", F.col("_source_position").alias("_at"), "_record_hash").distinct()
    same = (rows._source == wanted._source) & rows._source_position.eqNullSafe(wanted._at) & (rows._record_hash == wanted._record_hash)
    return rows.join(wanted, same, "left_semi").drop("_record_hash")


def check_found(contract: Contract, chosen: Chosen, counts: Counts) -> None:
    """Raise `DataError` when the refused records are not in Bronze, one for one."""
    found = sum(group.rows for group in counts.groups)
    if found == chosen.records:
        return
    raise DataError(
        f"Of {chosen.records:,} refused records of {contract.name} {found:,} were found in {contract.bronze}: they were refused by an earlier version, "
        "or one of the tables was changed by hand.",
        state=f"{contract.silver} and {contract.quarantine} are unchanged.",
        next_step=f"To judge every record anew: lakehouse materialize {contract.silver.layer}/{contract.name}{contract.from_the_start}",
    )
