"""What a Bronze table's own columns say of its records, read from its data files without Spark.

Reads the few columns that are asked for of the partitions in question. Not here: what it means for a kind of source.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import TYPE_CHECKING, cast

import pyarrow as pa
import pyarrow.dataset as ds

from lakehouse.engine.metadata import Day
from lakehouse.storage import explained, filesystem

_AT_ONCE = 8

if TYPE_CHECKING:  # only its name: the engine alone opens tables
    from deltalake import DeltaTable


def data_files(table: DeltaTable, days: Collection[Day] | None) -> list[tuple[str, Day]]:
    """The data files of these partitions (None: all), each with its day."""
    actions = pa.table(table.get_add_actions(flatten=True))
    if actions.num_rows == 0:
        return []
    _, root = filesystem(table.table_uri)
    found = zip(actions["path"].to_pylist(), actions["partition._source_date"].to_pylist(), strict=True)
    return [(f"{root}/{path}", cast("date | None", day)) for path, day in found if days is None or day in days]


def columns(table: DeltaTable, days: Collection[Day] | None, *names: str) -> Iterator[tuple[pa.Table, Day]]:
    """These columns, data file by data file. `_source` comes dictionary-encoded, as it is stored."""
    fmt = ds.ParquetFileFormat(read_options=ds.ParquetReadOptions(dictionary_columns=["_source"]))
    system, _ = filesystem(table.table_uri)
    files = data_files(table, days)

    def read(file: str) -> pa.Table:
        with explained(table.table_uri):
            return ds.dataset(file, format=fmt, filesystem=system).to_table(columns=list(names))

    with ThreadPoolExecutor(_AT_ONCE) as pool:  # an object store answers many requests at once as fast as one
        yield from zip(pool.map(read, [file for file, _ in files]), [day for _, day in files], strict=True)
