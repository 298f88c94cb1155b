"""The records of files as DataFrames: raw lines for text formats, columns for typed ones, and the envelope on each.

Nothing is interpreted here. Files that can't be read are named, never skipped in silence.
Not here: which files (`listing`), what a record means (`silver`).
"""

from __future__ import annotations

import csv
import re
import zlib
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import partial, reduce
from urllib.parse import unquote

import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts.model import FileSource
from lakehouse.sources.files.avro import schema_of
from lakehouse.sources.files.listing import SourceFile, root_of, time_grain
from lakehouse.sources.protocol import Unreadable
from lakehouse.storage import explained, filesystem

_BOM = "\ufeff"
_RAW = {"json": ["_payload"], "csv": ["_payload", "_header"]}


def read(
    spark: SparkSession, source: FileSource, start: date, files: Sequence[SourceFile]
) -> tuple[DataFrame | None, tuple[SourceFile, ...], tuple[Unreadable, ...]]:
    """The records of these files (None when none could be opened), the files that they are of, and those that can't be opened.

    Columns: `_payload` (and `_header` for CSV) or the files' own, then the envelope. `start`: the first day there is.
    """
    root = root_of(source)
    look = {"csv": partial(_header, source, root), "parquet": partial(_parquet_schema, root), "avro": partial(_avro_schema, root)}.get(source.format)
    kinds, bad = _by_kind(files, look)
    frames = [_envelope(_raw(spark, source, root, kind, group), source, start, root) for kind, group in kinds.items()]
    rows = reduce(lambda a, b: a.unionByName(b, allowMissingColumns=not source.is_text), frames) if frames else None
    return rows, tuple(f for group in kinds.values() for f in group), tuple(bad)


def _by_kind(files: Sequence[SourceFile], look: partial[str] | None) -> tuple[dict[str, list[SourceFile]], list[Unreadable]]:
    """Files that can be read together (same CSV header, same schema), and those that can't be opened."""
    if look is None:
        return ({"": list(files)} if files else {}), []
    kinds: dict[str, list[SourceFile]] = defaultdict(list)
    bad: list[Unreadable] = []

    def kind_of(file: SourceFile) -> str | Unreadable:
        try:
            return look(file.path)
        except (OSError, ValueError, EOFError, csv.Error, zlib.error) as error:  # pyarrow's errors are ValueErrors
            return Unreadable(file.path, str(error).splitlines()[0][:300])

    with ThreadPoolExecutor(8) as pool:
        for file, kind in zip(files, pool.map(kind_of, files), strict=True):
            bad.append(kind) if isinstance(kind, Unreadable) else kinds[kind].append(file)
    return dict(kinds), bad


def _header(source: FileSource, root: str, path: str) -> str:
    """The first line that is not blank; empty for a file without one. Raises `ValueError` when a column stands twice."""
    system, base = filesystem(root)
    with explained(root), system.open(f"{base}/{path}", "rb", compression="infer") as file:
        for line in file:
            text = str(line.decode("utf-8-sig")).strip("\r\n")
            if text.strip():
                names = split_header(source, text)
                twice = sorted({n for n in names if names.count(n) > 1})
                if twice:
                    raise ValueError(f"its header names {', '.join(twice)} more than once")
                return text
    return ""


def headers_of(source: FileSource, files: Sequence[SourceFile]) -> list[str]:
    """The header lines of CSV files that can be read; none of other formats."""
    return list(_by_kind(files, partial(_header, source, root_of(source)))[0]) if source.format == "csv" else []


def split_header(source: FileSource, header: str) -> list[str]:
    """The column names in a CSV header line."""
    return [n.strip() for n in next(csv.reader([header], delimiter=source.delimiter, quotechar=source.quote))]


def _parquet_schema(root: str, path: str) -> str:
    system, base = filesystem(root)
    with explained(root), system.open(f"{base}/{path}", "rb") as file:
        return str(pq.read_schema(file).remove_metadata())


def _avro_schema(root: str, path: str) -> str:
    system, base = filesystem(root)
    with explained(root), system.open(f"{base}/{path}", "rb") as file:
        return schema_of(file)


def _raw(spark: SparkSession, source: FileSource, root: str, kind: str, files: Sequence[SourceFile]) -> DataFrame:
    paths = [re.sub(r"([\\{}\[\]*?])", r"\\\1", f"{root}/{f.path}") for f in files]  # Spark takes a path for a glob
    if source.format == "json":
        return _lines(spark, paths)
    if source.format == "csv":
        records = _csv_records(spark, source, kind, paths) if source.multi_line else _lines(spark, paths).where(F.col("_payload") != F.lit(kind))
        return records.withColumn("_header", F.lit(kind))
    return spark.read.format(source.format).load(paths).withColumn("_meta", F.col("_metadata"))


def _lines(spark: SparkSession, paths: list[str]) -> DataFrame:
    """Every line that is not blank, as it stands, without a byte order mark."""
    text = spark.read.text(paths).select(F.col("value"), F.col("_metadata").alias("_meta"))
    return text.select(F.expr(f"if(startswith(value, '{_BOM}'), substr(value, 2), value)").alias("_payload"), "_meta").where("trim(_payload) <> ''")


def _csv_records(spark: SparkSession, source: FileSource, header: str, paths: list[str]) -> DataFrame:
    """Records whose quoted fields may hold line breaks, each written as one CSV record again."""
    names = split_header(source, header)
    schema = ", ".join(f"`{n}` string" for n in (*names, "_corrupt"))
    dialect = {"sep": source.delimiter, "quote": source.quote, "escape": source.escape}
    table = spark.read.options(**dialect, header="true", multiLine="true", columnNameOfCorruptRecord="_corrupt").schema(schema).csv(paths)
    record = F.to_csv(F.struct(*[F.col(f"`{n}`") for n in names]), dialect)
    return table.select(F.coalesce("_corrupt", record).alias("_payload"), F.col("_metadata").alias("_meta"))


def _envelope(raw: DataFrame, source: FileSource, start: date, root: str) -> DataFrame:
    """Where each record comes from, and the day it belongs to (see `files.day_of`, which says the same of a file)."""
    below = root.removeprefix("file://") + "/"
    # What a text format brings is known; asking would make Spark list all files once more.
    columns = _RAW[source.format] if source.is_text else [c for c in raw.columns if c != "_meta"]
    found = F.col("_meta.file_path")
    decoded = F.when(found.contains("%"), F.expr("url_decode(replace(_meta.file_path, '+', '%2B'))")).otherwise(found)
    position = F.expr("_meta.row_index") if source.format == "parquet" else F.lit(None)
    whole, modified = F.col("_meta_path"), F.expr("_meta.file_modification_time")
    placed = raw.withColumn("_meta_path", decoded).select(
        *[F.col(f"`{c}`") for c in columns],
        whole.substr(F.instr(whole, below) + len(below), F.lit(1 << 30)).alias("_source"),  # Hadoop writes local paths with one slash or three
        position.cast("bigint").alias("_source_position"),
        (F.date_trunc("second", modified) if time_grain(root) > 1 else modified).alias("_source_time"),
        F.expr("_meta.file_size").alias("_source_size"),
        F.current_timestamp().alias("_ingested_at"),
    )
    return _dated(placed, source, start)


def _dated(placed: DataFrame, source: FileSource, start: date) -> DataFrame:
    """Add `_source_date`. Each step is a projection of its own, which the next uses more than once: so Spark works it out once a row."""
    text, day, modified = F.col("_meta_text"), F.col("_meta_day"), F.to_date("_source_time")
    if source.date_pattern is None:
        dated = placed.withColumn("_meta_day", modified)
    else:
        groups = [F.regexp_extract("_source", source.date_pattern, i + 1) for i in range(re.compile(source.date_pattern).groups)]
        found = placed.withColumn("_meta_text", F.concat_ws("-", *groups) if len(groups) > 1 else groups[0])
        dated = found.withColumn("_meta_day", F.when(F.length(text) == 10, text.try_cast("date")))
    in_range = (day >= F.lit(start)) & (day <= F.date_add(modified, 1))
    return dated.withColumn("_source_date", F.when(in_range, day)).drop("_meta_text", "_meta_day")


def blamed(error: Exception, files: Sequence[SourceFile]) -> SourceFile | None:
    """The file that Spark names as the one it failed on, if it is one of these."""
    text = unquote(str(error))
    return next((f for f in sorted(files, key=lambda f: -len(f.path)) if f"/{f.path}" in text), None)
