"""Change feeds in Silver's reading: Debezium's envelope opened, deletes told from rows, and what a tombstone keeps. Pure.

Not here: rules (`quality.rules`), which change wins (`scd`), versions (`history`).

Debezium's envelope: https://debezium.io/documentation/reference/stable/connectors/postgresql.html#postgresql-change-events-value
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.contracts.model import Contract

DELETED = ("is_deleted",)
PLACES = ("_source_time", "_source_date", "_source_position")  # of a record's origin, what can tell its place in the order
_MAP = "map<string,string>"
_UNAVAILABLE = "__debezium_unavailable_value"


def is_debezium(contract: Contract) -> bool:
    """Whether the source's records are Debezium's envelopes."""
    return contract.feed is not None and contract.feed.form == "debezium"


def opened(fields: DataFrame) -> DataFrame:
    """Replace `_fields` (of an envelope, as a map of texts) by those of the row that it carries; add `_op`, `_envelope` and `_place` (its `source`).

    With the schema inside (`schemas.enable`), the envelope is under `payload`.
    """
    within = F.when(F.col("_fields")["op"].isNull() & F.col("_fields")["payload"].isNotNull(), F.from_json(F.col("_fields")["payload"], _MAP))
    envelope = fields.withColumn("_envelope", F.coalesce(within, "_fields"))
    image = F.when(F.col("_op") == "d", F.col("_envelope")["before"]).when(F.col("_op").isin("c", "r", "u"), F.col("_envelope")["after"])
    told = envelope.withColumn("_op", F.col("_envelope")["op"]).withColumn("_place", F.from_json(F.col("_envelope")["source"], _MAP))
    # The row's own fields of a message that tells no row are empty, so that only `unknown_operation` speaks of it.
    readable = F.coalesce(F.from_json(image, _MAP), F.from_json(F.lit("{}"), _MAP))
    return told.withColumn("_fields", F.when(F.col("_fields").isNotNull(), readable)).withColumn("_row", image.isNotNull())


def field(name: str, contract: Contract) -> Column:
    """The raw text of a source's field. Of a change feed also: where the record came from (`_source_time`…), and what stands in Debezium's envelope,
    by the names that Debezium gives when it flattens: `__op`, `__ts_ms`, `__source_lsn`."""
    if contract.feed and name in PLACES:
        return F.date_format(name, "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX") if name == "_source_time" else F.col(name).cast("string")
    if is_debezium(contract) and name.startswith("__source_"):
        return F.col("_place")[name.removeprefix("__source_")]
    return F.col("_envelope")[name.removeprefix("__")] if is_debezium(contract) and name.startswith("__") else F.col("_fields")[name]


def exactly(record: Column, name: str, type_: str) -> Column:
    """A field of the row, read from the record itself, since numbers in its text have passed through a double."""
    row = f"struct<before: struct<`{name}`: {type_}>, after: struct<`{name}`: {type_}>>"
    read = F.from_json(record, f"before struct<`{name}`: {type_}>, after struct<`{name}`: {type_}>, payload {row}")
    image = F.coalesce(read["after"], read["payload"]["after"])
    return F.coalesce(image, read["before"], read["payload"]["before"])[name]


def envelope_problems() -> list[tuple[str, Column]]:
    """What an envelope can lack."""
    cut = F.array_contains(F.map_values("_fields"), _UNAVAILABLE)
    empty = F.col("_payload").isNull()
    return [("empty_message", empty), ("unknown_operation", ~empty & ~F.col("_row")), ("unavailable_value", F.coalesce(cut, F.lit(False)))]


def deletes(rows: DataFrame, contract: Contract) -> DataFrame:
    """Add `is_deleted` to typed rows of a change feed: by the operation that the source tells (`_op`), or by the contract's condition."""
    if contract.feed is None:
        return rows
    gone = F.lit(False)
    if "_op" in rows.columns:
        gone = F.coalesce(F.col("_op").isin("d", "delete"), F.lit(False))
    if contract.feed.delete_when is not None:
        gone = gone | F.coalesce(F.expr(contract.feed.delete_when), F.lit(False))
    return rows.withColumn("is_deleted", gone)


def failing(name: str, failed: Column, contract: Contract) -> Column:
    """Whether a value's type is a problem of its record: of a delete, only what it tells is looked at."""
    return failed if contract.feed is None or name in contract.told_by_deletes else ~F.col("is_deleted") & failed


def tombstones(rows: DataFrame, contract: Contract) -> DataFrame:
    """A delete holds its key, its place in the order, and nothing of what the key was."""
    if contract.feed is None:
        return rows
    emptied = [c for c in contract.columns if c.name not in contract.told_by_deletes]
    return rows.withColumns({c.name: F.when(~F.col("is_deleted"), F.col(c.name)) for c in emptied}) if emptied else rows
