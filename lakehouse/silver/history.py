"""Slowly changing dimensions of type 2: the versions of a key, recomputed from its changes wherever an increment touches them.

Silver keeps every accepted change of a key: as a version, or, when it changed nothing, in the `_repeats` of the version that it repeated; for a late
change between two equal ones makes the later one a version of its own. So the versions of a key are a function of the set of its changes, whatever
their order of arrival, and an increment reads nothing but Silver.

The table is partitioned by `is_current`. A change after the start of its key's current version concerns that version and what follows: older ones are
not read. Pure, but for `touched`, which reads the table. Not here: writing (`silver.build`), which of several changes at one place wins (`silver.scd`).
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from lakehouse.contracts.model import Contract
from lakehouse.contracts.spark_schema import repeat_columns, silver_fields
from lakehouse.engine.metadata import TableState
from lakehouse.silver.scd import order_columns

_STATE = ("valid_to", "is_current", "_repeats", "_source", "_source_position", "_record_hash")


def versions(changes: DataFrame, contract: Contract) -> DataFrame:
    """All versions of these keys, as Silver holds them. `changes`: all of them, one for each place in a key's order."""
    return _told(changes.withColumn("_was", _nothing(contract)), contract).where("_starts").select(*_names(contract))


def difference(stored: DataFrame, batch: DataFrame, contract: Contract) -> DataFrame:
    """What has to change in Silver: rows to insert or to update, and (`_gone`) versions that a late change made repetitions.

    `stored`: the versions that the batch can concern; `batch`: changes, one for each place in a key's order.
    """
    known = changes_of(stored, contract)
    new = batch.select(*_change_columns(contract)).withColumn("_was", _nothing(contract)).withColumn("_number", F.lit(0))
    told = _told(_greatest(known.unionByName(new), contract), contract)
    same = F.col("_was").eqNullSafe(F.struct(*_STATE))
    return told.where("_starts or _was is not null").where(~F.col("_starts") | ~same).select(*_names(contract), (~F.col("_starts")).alias("_gone"))


def changes_of(stored: DataFrame, contract: Contract) -> DataFrame:
    """The changes that versions were made of: `_number` 0 is the version's own, with what the table says of it in `_was`."""
    again = repeat_columns(contract)
    own = F.array(F.struct(*again))
    entries = F.posexplode(F.coalesce(F.concat(own, F.col("_repeats")), own)).alias("_number", "_entry")
    rest = [*contract.key, *contract.compared, "is_deleted"]
    rows = stored.select(*rest, F.struct(*_STATE).alias("_state"), entries)
    return rows.select(*rest, *[F.col("_entry")[c].alias(c) for c in again], F.when(F.col("_number") == 0, F.col("_state")).alias("_was"), "_number")


def touched(spark: SparkSession, contract: Contract, planned: TableState, batch: DataFrame) -> tuple[DataFrame, bool]:
    """The stored versions that the batch can concern, and whether all of them are current."""
    table = spark.sql(f"SELECT * FROM {planned.table.sql} VERSION AS OF {planned.version}")
    keys = list(contract.key)
    first = batch.groupBy(*keys).agg(F.min(F.struct(*contract.sequence)).alias("_first"))
    current = table.where("is_current")
    late = current.select(*keys, "change_seq").join(first, keys).where("_first <= change_seq").select(*keys)
    stored = current.join(first.select(*keys), keys, "left_semi")
    if late.isEmpty():
        return stored, True
    return stored.unionByName(table.where("not is_current").join(late, keys, "left_semi")), False


def _told(changes: DataFrame, contract: Contract) -> DataFrame:
    """Each change with whether it starts a version, and those that do with the version's columns."""
    keys, sequence = list(contract.key), list(contract.sequence)
    ordered = Window.partitionBy(*keys).orderBy(*sequence)
    what = F.struct("is_deleted", *contract.compared)
    started = changes.withColumn("_starts", ~F.lag(what).over(ordered).eqNullSafe(what))
    numbered = started.withColumn("_version", F.count_if("_starts").over(ordered.rowsBetween(Window.unboundedPreceding, 0)))
    whole = Window.partitionBy(*keys, "_version").orderBy(*sequence).rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    repeats = F.collect_list(F.when(~F.col("_starts"), F.struct(*repeat_columns(contract)))).over(whole)
    kept = numbered.withColumn("_repeats", F.when(F.size(repeats) > 0, repeats)).where("_starts or _was is not null")
    kept = kept.withColumn("valid_from", F.col(sequence[0]).cast("timestamp"))
    following = F.lead("valid_from").over(Window.partitionBy(*keys, "_starts").orderBy(*sequence))
    placed = kept.withColumn("valid_to", F.when(F.col("_starts"), following))
    return placed.withColumn("is_current", F.col("_starts") & F.col("valid_to").isNull()).withColumn("change_seq", F.struct(*sequence))


def _greatest(changes: DataFrame, contract: Contract) -> DataFrame:
    """Of changes at one place in a key's order the greatest, in the name of the one that the table holds."""
    place = Window.partitionBy(*contract.identity)
    rank = F.row_number().over(place.orderBy(*[F.col(c).desc_nulls_last() for c in order_columns(contract)]))
    held = F.first("_was", ignorenulls=True).over(place)
    # Shuffled by key alone, once: every window after this one is by the key, too.
    return changes.repartition(*contract.key).withColumn("_was", held).withColumn("_rank", rank).where("_rank = 1").drop("_rank")


def _change_columns(contract: Contract) -> list[str]:
    return [*contract.key, *contract.compared, "is_deleted", *repeat_columns(contract)]


def _names(contract: Contract) -> list[str]:
    return [f.name for f in silver_fields(contract)]


def _nothing(contract: Contract) -> Column:
    types = {f.name: f.type for f in silver_fields(contract)}
    return F.lit(None).cast("struct<" + ",".join(f"{c}:{types[c]}" for c in _STATE) + ">")
