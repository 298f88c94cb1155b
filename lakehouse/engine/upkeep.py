"""How a table is stored: its files and what of them nobody needs, read without Spark; and the statements that change it. None of these changes a row.

Not here: what is worth doing (`maintenance`), writing rows (`delta`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from lakehouse.settings import settings
from lakehouse.storage import explained, filesystem
from lakehouse.tables import Table, literal

# What Delta does where a table has no such property.
DEFAULTS = {"delta.deletedFileRetentionDuration": "interval 7 days", "delta.logRetentionDuration": "interval 30 days"}
_OPTIMIZE = "spark.databricks.delta.optimize"


class Busy(Exception):  # noqa: N818 - not an error: the caller tries again, or later
    """A run wrote to the same files first; nothing was changed."""


@dataclass(frozen=True)
class Files:
    """Some files: how many, and their bytes."""

    count: int = 0
    bytes: int = 0

    def __add__(self, other: Files) -> Files:
        return Files(self.count + other.count, self.bytes + other.bytes)


def files_of(delta: DeltaTable, column: str | None) -> dict[Any, list[int]]:
    """The sizes of the files of each partition; of a table without partitions under None."""
    actions = pa.table(delta.get_add_actions(flatten=True))
    names = actions[f"partition.{column}"].to_pylist() if column and actions.num_rows else [None] * actions.num_rows
    found: dict[Any, list[int]] = defaultdict(list)
    for name, size in zip(names, actions["size_bytes"].to_pylist() if actions.num_rows else [], strict=True):
        found[name].append(int(size))
    return found


def ranges_of(delta: DeltaTable, column: str | None, columns: tuple[str, ...]) -> dict[Any, list[list[tuple[Any, Any]]]]:
    """Of each partition, for each of these columns, the least and greatest value of every file that tells them."""
    actions = pa.table(delta.get_add_actions(flatten=True))
    names = actions[f"partition.{column}"].to_pylist() if column else [None] * actions.num_rows
    found: dict[Any, list[list[tuple[Any, Any]]]] = defaultdict(lambda: [[] for _ in columns])
    for at, name in enumerate(columns):
        if f"min.{name}" in actions.column_names:
            spans = zip(names, actions[f"min.{name}"].to_pylist(), actions[f"max.{name}"].to_pylist(), strict=True)
            for partition, least, greatest in spans:
                if least is not None and greatest is not None:
                    found[partition][at].append((least, greatest))
    return found


def unreferenced(delta: DeltaTable, table: Table, days: int) -> Files:
    """The files below the table's folder that no version of the last so many days has."""
    candidates = delta.vacuum(retention_hours=days * 24, dry_run=True, enforce_retention_duration=False, full=True)
    if not candidates:
        return Files()
    # Among these are files that are gone already, and hidden ones (checksums), which VACUUM passes over.
    location = table.location(settings().warehouse)
    system, root = filesystem(location)
    with explained(location):
        there = system.find(root, detail=True)
    sizes = {path.removeprefix(root + "/"): int(info["size"] or 0) for path, info in there.items()}
    found = [path for path in candidates if path in sizes and not path.rpartition("/")[2].startswith((".", "_"))]
    return Files(len(found), sum(sizes[path] for path in found))


def compact(spark: SparkSession, table: Table, where: str | None, target: int, order_by: tuple[str, ...]) -> tuple[Files, Files]:
    """Make the small files of these partitions (None: all) into few of about `target` bytes; returns what was removed and added. Raises `Busy`."""
    spark.conf.set(f"{_OPTIMIZE}.maxFileSize", str(target))
    spark.conf.set(f"{_OPTIMIZE}.minFileSize", str(target // 2))
    ordered = f" ZORDER BY ({', '.join(f'`{c}`' for c in order_by)})" if order_by else ""
    try:
        row = spark.sql(f"OPTIMIZE {table.sql}{f' WHERE {where}' if where else ''}{ordered}").collect()[0]
    except PySparkException as error:
        if "Concurrent" in f"{type(error).__name__}{error}":
            raise Busy from error
        raise
    done = row["metrics"]
    return (Files(done["numFilesRemoved"], done["filesRemoved"]["totalSize"]), Files(done["numFilesAdded"], done["filesAdded"]["totalSize"]))


def vacuum(spark: SparkSession, table: Table) -> None:
    """Remove the files that no version has which the table's properties keep."""
    spark.sql(f"VACUUM {table.sql}").collect()


def set_properties(spark: SparkSession, table: Table, properties: Mapping[str, str]) -> None:
    """Set these properties of the table."""
    pairs = ", ".join(f"{literal(key)} = {literal(value)}" for key, value in properties.items())
    spark.sql(f"ALTER TABLE {table.sql} SET TBLPROPERTIES ({pairs})").collect()


def among(column: str, values: tuple[Any, ...]) -> str:
    """SQL: the partition column is one of these values; None is NULL."""
    some = ", ".join(_literal(v) for v in values if v is not None)
    parts = [f"`{column}` in ({some})"] * bool(some) + [f"`{column}` is null"] * (None in values)
    return f"({' or '.join(parts)})"


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, date):
        return f"date'{value}'"
    return str(value) if isinstance(value, int) else literal(str(value))
