"""Rows of other tables that a table's records name, and wait for: whether they are there, and what a move of these tables means for this one.

A record is accepted when the row that it names is in its Silver table, so a table is a function of its Bronze and of the keys of these parents. Silver and
quarantine each note the version of every parent that they have followed: quarantine, that no record waits for a row that is there; Silver, that no row of
its own names one that is gone. Not here: letting records in, taking rows back (`silver.build`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts.model import Contract, Parent
from lakehouse.contracts.rules import known
from lakehouse.engine import metadata
from lakehouse.engine.metadata import Day, TableState
from lakehouse.quality.rules import unknown

Parents = Mapping[str, TableState]  # by name; a parent that does not exist yet is missing


def parents_of(contract: Contract) -> Parents:
    """The tables whose rows this one waits for, as they are now."""
    states = {parent.table: metadata.state(parent.silver) for _, parent in contract.waiting_columns}
    return {name: state for name, state in states.items() if state is not None}


def marked(spark: SparkSession, rows: DataFrame, contract: Contract, parents: Parents) -> DataFrame:
    """Parsed rows, with whether the row that each column names is not there (`quality.rules.unknown`)."""
    for column, parent in contract.waiting_columns:
        rows = rows.join(_keys(spark, parent, parents).withColumnRenamed("_key", "_found"), F.col(column.name) == F.col("_found"), "left")
        missing = F.col(column.name).isNotNull() & F.col("_found").isNull()
        missing = missing & ~F.col("is_deleted") if contract.feed else missing
        rows = rows.withColumn(unknown(column), missing).drop("_found")
    return rows


def _keys(spark: SparkSession, parent: Parent, parents: Parents) -> DataFrame:
    """The keys of a parent (`_key`), at the version that was looked at."""
    state = parents.get(parent.table)
    if state is None:
        return spark.sql("SELECT cast(NULL AS string) AS _key LIMIT 0")
    return spark.sql(f"SELECT DISTINCT `{parent.column}` AS _key FROM {parent.silver.sql} VERSION AS OF {state.version}")


def arrived(spark: SparkSession, refused: DataFrame, contract: Contract, parents: Parents) -> DataFrame:
    """Rows of the quarantine table, with whether a row that they wait for is there by now (`_again`)."""
    found = F.lit(False)
    for number, (column, parent) in enumerate(contract.waiting_columns):
        there = f"_there_{number}"
        keys = _keys(spark, parent, parents).select(F.col("_key").cast("string").alias(there))
        refused = refused.join(keys, F.try_element_at("_waits_for", F.lit(known(column))) == F.col(there), "left")
        found = found | F.col(there).isNotNull()
    return refused.withColumn("_again", found).drop(*[f"_there_{n}" for n in range(len(contract.waiting_columns))])


def orphaned(spark: SparkSession, contract: Contract, silver: TableState, parents: Parents, parsed: Callable[[], DataFrame]) -> frozenset[Day] | None:
    """The Bronze days with records that name a row which a parent has lost since Silver followed it; None when nobody can tell any more.

    `parsed` gives all of Bronze: a record that was superseded is in no other table, and it waits now, too.
    """
    days: set[Day] = set()
    for column, parent in contract.waiting_columns:
        state = parents.get(parent.table)
        if state is None or not _followed(silver, state) or silver.consumed(state) == state.version:
            continue
        after = silver.consumed(state)
        if after is None:
            return None
        then, now = (f"SELECT `{parent.column}` AS _gone FROM {parent.silver.sql} VERSION AS OF {version}" for version in (after, state.version))
        gone = spark.sql(f"{then} EXCEPT {now}")
        try:
            if gone.isEmpty():
                continue
        except PySparkException:  # the old version has been vacuumed
            return None
        naming = parsed().join(gone, F.col(column.name) == F.col("_gone"), "left_semi")
        days |= {row[0] for row in naming.select("_source_date").distinct().collect()}
    return frozenset(days)


def to_release(contract: Contract, quarantine: TableState, parents: Parents) -> bool:
    """Whether records wait, and a parent has moved since they were looked at; from the logs, without Spark."""
    return not all(quarantine.holds(p) for p in parents.values()) and metadata.filled(contract.quarantine, "_held_until") > 0


def to_retract(silver: TableState, parents: Parents) -> bool:
    """Whether a parent may have lost rows since; from the logs, without Spark. A parent that was never followed has nothing to take back:
    rows from before the contract named it are stale like those of any other change of the contract.
    """
    return any(_followed(silver, p) and _may_have_lost(p, silver.consumed(p)) for p in parents.values())


def _followed(silver: TableState, parent: TableState) -> bool:
    return silver.note is not None and str(parent.table) in silver.note.consumed


def _may_have_lost(parent: TableState, after: int | None) -> bool:
    return after is None or metadata.may_lose(parent.table, after, parent.version)


def settled(contract: Contract, target: TableState, parents: Parents) -> bool:
    """Whether a commit of this table that judges by these parents may say that it has followed them."""
    return not (to_retract(target, parents) if target.table == contract.silver else to_release(contract, target, parents))


def due(contract: Contract, silver: TableState, quarantine: TableState) -> bool:
    """Whether a parent's move concerns these tables."""
    parents = parents_of(contract)
    return to_retract(silver, parents) or to_release(contract, quarantine, parents)
