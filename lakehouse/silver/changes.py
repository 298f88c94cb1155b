"""Change feeds in Silver's reading: Debezium's envelope opened, deletes told from rows, and what a tombstone keeps. Pure.

Not here: rules (`quality.rules`), which change wins (`scd`), versions (`history`).

Debezium's envelope: https://debezium.io/documentation/reference/stable/connectors/postgresql.html#postgresql-change-events-value
"""

from __future__ import annotations

import hashlib
import json
import uuid
from base64 import b64encode
from functools import reduce
from operator import or_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.contracts.model import Contract

DELETED = ("is_deleted",)
PLACES = ("_source_time", "_source_date", "_source_position")  # of a record's origin, what can tell its place in the order
_MAP = "map<string,string>"
_LEFT_OUT = "__debezium_unavailable_value"
_UNAVAILABLE = (  # how a text, a binary (as base64, as hexadecimal digits), a list of texts, of numbers, of UUIDs, and a map say that they were left out
    _LEFT_OUT,
    b64encode(_LEFT_OUT.encode()).decode(),
    _LEFT_OUT.encode().hex(),
    json.dumps([_LEFT_OUT]),
    json.dumps(list(_LEFT_OUT.encode()), separators=(",", ":")),
    json.dumps([str(uuid.UUID(bytes=hashlib.md5(_LEFT_OUT.encode()).digest(), version=3))]),
    json.dumps({_LEFT_OUT: _LEFT_OUT}, separators=(",", ":")),
)
_PER_SECOND = {"ts_ms": 10**3, "ts_us": 10**6, "ts_ns": 10**9}
# A snapshot's rows are as they were when the slot was made, and carry the time of the transaction that reads them, which begins a moment later: what was
# committed between the two comes after them in the log, but not by its time. So many seconds are taken off to make up for it.
_SNAPSHOT_LAG = 5


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
        return _of_place(name.removeprefix("__source_"))
    return F.col("_envelope")[name.removeprefix("__")] if is_debezium(contract) and name.startswith("__") else F.col("_fields")[name]


def _of_place(name: str) -> Column:
    """A field of the envelope's `source`; the time of a row that a snapshot read is before every change that the snapshot does not hold."""
    text = F.col("_place")[name]
    if name not in _PER_SECOND:
        return text
    earlier = (text.try_cast("bigint") - _SNAPSHOT_LAG * _PER_SECOND[name]).cast("string")
    return F.when(F.col("_op") == "r", F.coalesce(earlier, text)).otherwise(text)


def exactly(record: Column, name: str, type_: str) -> Column:
    """A field of the row, read from the record itself, since numbers in its text have passed through a double."""
    row = f"struct<before: struct<`{name}`: {type_}>, after: struct<`{name}`: {type_}>>"
    read = F.from_json(record, f"before struct<`{name}`: {type_}>, after struct<`{name}`: {type_}>, payload {row}")
    image = F.coalesce(read["after"], read["payload"]["after"])
    return F.coalesce(image, read["before"], read["payload"]["before"])[name]


def envelope_problems(contract: Contract) -> list[tuple[str, Column]]:
    """What an envelope can lack. A value that was left out matters where a column reads it."""
    cut = reduce(or_, (F.coalesce(F.col(f"_raw_{c.name}").isin(*_UNAVAILABLE), F.lit(False)) for c in contract.read_columns))
    empty = F.col("_payload").isNull()
    return [("empty_message", empty), ("unknown_operation", ~empty & ~F.col("_row")), ("unavailable_value", cut)]


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
