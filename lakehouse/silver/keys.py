"""Whether keys are unique in a Silver table, looked at in the touched partitions and those that late data reaches; and whether versions form one line.

Not here: how duplicates are avoided (`silver.scd`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from lakehouse.contracts.model import Contract
from lakehouse.engine import metadata
from lakehouse.engine.delta import rows_of
from lakehouse.engine.metadata import Day

MANY = 8  # a scan that only looks some keys up costs about an eighth of counting all of them


@dataclass(frozen=True)
class KeyCount:
    """Identities that stand more than once, keys that stand on more than one event date, versions that do not end where the next one begins."""

    repeated: int
    on_two_dates: int
    broken: int = 0


def count_keys(spark: SparkSession, contract: Contract, dates: Collection[date], version: int | None) -> KeyCount:
    """Count over the given event dates, widened by the lateness horizon; over everything where a table has no dates.

    `version`: the commit that wrote them (None: unknown). When it wrote a small part of what they hold, only the keys in its files are looked at.
    """
    table = spark.table(contract.silver.sql)
    if contract.event_date is None:
        if version is not None:
            table = _written(spark, contract, table, version, None, None)
        return _count_versions(table, contract) if contract.scd == 2 else KeyCount(table.groupBy(*contract.key).count().where("count > 1").count(), 0)
    if not dates or version is None:
        return KeyCount(0, 0)
    reach = timedelta(days=contract.lateness_days)
    first, last = min(dates) - reach, max(dates) + reach
    near = F.col(contract.event_date).between(F.lit(first), F.lit(last))
    looked_up = _written(spark, contract, table.where(near), version, first, last)
    # 64 bits a key: a collision can only raise a false alarm, which the exact count settles
    several = looked_up.select(F.xxhash64(*contract.key).alias("_key")).groupBy("_key").count().where("count > 1")
    return KeyCount(0, 0) if several.isEmpty() else _exact(spark, contract, near)


def _written(spark: SparkSession, contract: Contract, rows: DataFrame, version: int, first: Day, last: Day) -> DataFrame:  # noqa: PLR0913
    """Of these rows those whose keys the commit wrote, where that is a small part of them; else all: looking at all is as cheap then."""
    files = _small_part(contract, version, first, last)
    if files is None:
        return rows
    key = F.xxhash64(*contract.key)
    return rows.join(F.broadcast(rows_of(spark, contract.silver, files).select(key.alias("_written"))), key == F.col("_written"), "left_semi")


def _count_versions(table: DataFrame, contract: Contract) -> KeyCount:
    """A key's versions follow each other without overlap and without gap exactly if each ends where the next begins; only the last one is current."""
    line = Window.partitionBy(*contract.key).orderBy("change_seq")
    following = [F.lead(c).over(line).alias(f"next_{c}") for c in ("valid_from", "change_seq")]
    followed = table.select("valid_from", "valid_to", "is_current", "change_seq", *following)
    right = "valid_to <=> next_valid_from and valid_from <= coalesce(valid_to, valid_from) and is_current = (next_change_seq is null)"
    row = followed.agg(F.expr("count_if(change_seq = next_change_seq)"), F.expr(f"count_if(not coalesce({right}, false))")).first()
    repeated, broken = (int(x or 0) for x in (row or (0, 0)))
    return KeyCount(repeated, 0, broken)


def _small_part(contract: Contract, version: int, first: Day, last: Day) -> tuple[str, ...] | None:
    """The files that a commit wrote, if they hold few of the rows of these dates (None: of all rows); else None."""
    written = metadata.changes(contract.silver, version - 1, version, contract.event_date)
    table = metadata.open_table(contract.silver)
    if written is None or table is None:
        return None
    rows = metadata.rows_by_partition(table, contract.event_date)
    near = sum(rows.values()) if first is None or last is None else sum(n for day, n in rows.items() if day is not None and first <= day <= last)
    return written.files if MANY * written.rows < near else None


def _exact(spark: SparkSession, contract: Contract, near: object) -> KeyCount:
    table = spark.table(contract.silver.sql).where(near)  # type: ignore[arg-type]
    per_identity = table.groupBy(*contract.identity).count()
    per_key = per_identity.groupBy(*contract.key).agg(F.sum("count").alias("rows"), F.count("*").alias("dates"))
    row = per_key.agg(F.sum("rows") - F.sum("dates"), F.count_if(F.expr("dates > 1"))).first()
    repeated, apart = (int(x or 0) for x in (row or (0, 0)))
    return KeyCount(repeated, apart)
