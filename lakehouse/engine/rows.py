"""Rows of a table without an engine: for commands that show a few and should not wait for Spark to start.

The SQL is that of the query engine inside delta-rs. Not here: what a table's log alone tells (`metadata`), and what makes tables of tables: that is Spark's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder
from deltalake.exceptions import DeltaError

from lakehouse.engine.metadata import open_table
from lakehouse.errors import DataError
from lakehouse.settings import settings
from lakehouse.storage import explained
from lakehouse.tables import Table


def select(table: Table, sql: str, delta: DeltaTable | None = None) -> Iterator[dict[str, Any]]:
    """The rows of a query over the table, which it calls `t`, by column, as they come; none where there is no table. `delta`: it, where it is open.

    Times are aware, in UTC. Raises `DataError` when the files of a table can't be read, and `StorageError`.
    """
    delta = delta or open_table(table)
    if delta is None:
        return
    try:
        with explained(table.location(settings().warehouse)):
            for batch in pa.RecordBatchReader.from_stream(QueryBuilder().register("t", delta).execute(sql)):
                yield from batch.to_pylist(maps_as_pydicts="strict")
    except (DeltaError, pa.ArrowException, OSError) as error:
        raise DataError(
            f"Rows of {table} can't be read: {error}",
            state="Nothing was changed.",
            next_step="Run it again: its files may have been replaced meanwhile. "
            f"If it stays so, build it anew: lakehouse materialize {table.layer}/{table.name} --recreate",
        ) from error


def text(value: str) -> str:
    """A text as SQL writes it."""
    return "'" + value.replace("'", "''") + "'"
