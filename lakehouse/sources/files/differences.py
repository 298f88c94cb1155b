"""What differs between snapshots: each row's key, and the rows that are not as they were one snapshot before.

Rows are compared as they came, text by text. A key that stands several times is a state like any other: all its rows are taken when one differs. A delete
carries what was last known, and a place one below its snapshot's, so that where two spellings of a key mean one thing the row that is there wins.
Not here: which snapshots there are, and whether they may be taken (`snapshots`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from lakehouse.contracts.model import Contract, FileSource
from lakehouse.engine import metadata
from lakehouse.engine.metadata import TableState
from lakehouse.sources.files.listing import SourceFile
from lakehouse.sources.files.records import headers_of, split_header

_TEXTS = {"timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX", "timestampNTZFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSS"}  # whole microseconds
_MICROS = 1_000_000
# Columns that are not the record's; fields of a source may begin with an underscore, too.
_OWN = {"_key", "_op", "_n", "_newest", "_hash", "_was", "_is", "_next"}
_OWN |= {"_source", "_source_position", "_source_time", "_source_size", "_source_date", "_ingested_at"}


@dataclass(frozen=True)
class Records:
    """A snapshot's records as `records.read` gives them (None: it has none), and the files that they are of."""

    rows: DataFrame | None
    files: tuple[SourceFile, ...]


@dataclass(frozen=True)
class Place:
    """A snapshot in the order of all: its number there, how Bronze calls it, and its moment."""

    number: int
    name: str
    moment: datetime


@dataclass(frozen=True)
class Counts:
    """Of a snapshot: keys, keys that the next one lacks, records whose key can't be read."""

    keys: int = 0
    gone: int = 0
    unreadable: int = 0


def micros(moment: datetime) -> int:
    """Microseconds since 1970 of a moment in whole seconds."""
    return int(moment.timestamp()) * _MICROS


def line(  # noqa: PLR0913 - what is compared, and where it comes from
    spark: SparkSession,
    contract: Contract,
    source: FileSource,
    state: TableState | None,
    read: Mapping[datetime, Records],
    moments: Mapping[int, datetime],
) -> DataFrame | None:
    """The rows of all these snapshots, by number in their order: those that were `read`, and the others as Bronze tells them. None: there is no row.

    Columns: the record's, `_key`, `_n`, and as sorted lists of hashes the key's rows in the snapshot before (`_was`), this one (`_is`), the next (`_next`).
    """
    frames = []
    for n, moment in moments.items():
        if moment in read:
            records = read[moment]
            rows = _keyed(records.rows, contract, source, headers_of(source, records.files)) if records.rows is not None else None
        else:
            rows = _as_of(spark, contract, state, moment)
        frames += [rows.withColumn("_n", F.lit(n))] if rows is not None else []
    if not frames:
        return None
    together = reduce(lambda a, b: a.unionByName(b, allowMissingColumns=not source.is_text), frames)
    record = F.struct(*[F.col(f"`{c}`") for c in sorted(_record_columns(together))])
    hashed = together.withColumn("_hash", F.xxhash64(F.to_json(record, _TEXTS)))
    key = Window.partitionBy("_key").orderBy("_n")
    sides = {name: F.sort_array(F.collect_list("_hash").over(key.rangeBetween(at, at))) for name, at in (("_was", -1), ("_is", 0), ("_next", 1))}
    return hashed.withColumns(sides).drop("_hash")


def count(compared: DataFrame) -> dict[int, Counts]:
    """The snapshots' counts, by number."""
    gone = F.count_distinct(F.when(F.size("_next") == 0, F.col("_key")))
    found = compared.groupBy("_n").agg(F.count_distinct("_key"), gone, F.count_if(F.col("_key").isNull())).collect()
    return {row[0]: Counts(*row[1:]) for row in found}


def told(spark: SparkSession, compared: DataFrame, places: Sequence[Place]) -> DataFrame:
    """The records of Bronze for these places: rows that are new or not as they were, and the last known ones of keys that are gone."""
    numbers = [p.number for p in places]
    record = _record_columns(compared)
    there = compared.where(F.col("_n").isin(numbers)).where("_is <> _was").withColumn("_op", F.when(F.size("_was") == 0, "insert").otherwise("update"))
    gone = compared.where((F.col("_n") + 1).isin(numbers)).where("size(_next) = 0").withColumns({"_op": F.lit("delete"), "_n": F.col("_n") + 1})
    known = [(p.number, p.name, micros(p.moment)) for p in places]
    placed = there.unionByName(gone).join(F.broadcast(spark.createDataFrame(known, "_n int, _source string, _place bigint")), "_n")
    at = F.timestamp_micros("_place")
    return placed.select(
        *[F.col(f"`{c}`") for c in record],
        *("_key", "_op", "_source"),
        (F.col("_place") - F.when(F.col("_op") == "delete", 1).otherwise(0)).alias("_source_position"),
        at.alias("_source_time"),
        F.current_timestamp().alias("_ingested_at"),
        F.to_date(at).alias("_source_date"),
    )


def _as_of(spark: SparkSession, contract: Contract, state: TableState | None, moment: datetime) -> DataFrame | None:
    """A snapshot's rows as Bronze tells them: of each key its newest records up to then, deletes left out."""
    if state is None or not metadata.rows(contract.bronze, state.version):
        return None
    held = spark.sql(f"SELECT * FROM {contract.bronze.sql} VERSION AS OF {state.version}").where(F.col("_source_position") <= micros(moment))
    newest = F.rank().over(Window.partitionBy("_key").orderBy(F.desc("_source_position")))
    there = held.withColumn("_newest", newest).where("_newest = 1 and _op <> 'delete'")
    return there.select(*[F.col(f"`{c}`") for c in _record_columns(there)], "_key")


def _record_columns(rows: DataFrame) -> list[str]:
    return [c for c in rows.columns if c not in _OWN]


def _keyed(rows: DataFrame, contract: Contract, source: FileSource, headers: Sequence[str]) -> DataFrame:
    """The record's columns and `_key`: the JSON list of the key's values, in the spelling of their types; NULL where the record can't be read."""
    names = [contract.column(name).source_field or name for name in contract.key]
    if source.format == "json":
        fields = rows.withColumn("_read", F.from_json(F.concat(F.lit("["), F.col("_payload"), F.lit("]")), "array<map<string,string>>"))
        one = F.get("_read", 0)  # NULL where there is none
        values, readable = [one[n] for n in names], F.coalesce(F.size("_read") == 1, F.lit(False)) & one.isNotNull()
    elif source.format == "csv":
        fields, values, readable = _csv(rows, source, headers, names)
    else:
        fields, readable = rows, F.lit(set(names) <= set(rows.columns))
        values = [F.col(f"`{n}`").cast("string") if n in rows.columns else F.lit(None).cast("string") for n in names]
    types = [contract.column(name).type for name in contract.key]
    spelled = [v if t == "string" else F.coalesce(v.try_cast(t).cast("string"), v) for v, t in zip(values, types, strict=True)]
    return fields.select(*[F.col(f"`{c}`") for c in _record_columns(rows)], F.when(readable, F.to_json(F.array(*spelled))).alias("_key"))


def _csv(rows: DataFrame, source: FileSource, headers: Sequence[str], names: Sequence[str]) -> tuple[DataFrame, list[Column], Column]:
    """Of CSV records: what is read of them, the values by name, whether they can be read and have these names."""
    options = {"sep": source.delimiter, "quote": source.quote, "escape": source.escape, "nullValue": source.null_value, "columnNameOfCorruptRecord": "_corrupt"}
    values, readable = [F.lit(None).cast("string") for _ in names], F.lit(False)
    for i, header in enumerate(h for h in headers if set(names) <= set(split_header(source, h))):
        own, here = split_header(source, header), F.col("_header") == F.lit(header)
        schema = ", ".join([f"c{n} string" for n in range(len(own))] + ["_corrupt string"])
        rows = rows.withColumn(f"_read{i}", F.when(here, F.from_csv(F.col("_payload"), F.lit(schema), options)))
        record = F.col(f"_read{i}")
        values = [F.when(here, record[f"c{own.index(n)}"]).otherwise(v) for n, v in zip(names, values, strict=True)]
        readable = F.when(here, record["_corrupt"].isNull()).otherwise(readable)
    return rows, values, readable
