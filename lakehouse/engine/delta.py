"""The only writers of Bronze, Silver and quarantine tables: create, append, replace, merge.

Every write carries its progress note in the commit and is a compare-and-swap: its transaction number is the table's last plus one, so of two
runs that planned from the same state one commits, and the other learns that it did not (`Overtaken`) and plans again.
Beside them, reading exactly the files of some commits. Not here: what to write (`bronze`, `silver`), reading progress (`engine.metadata`).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from deltalake import DeltaTable
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from lakehouse.engine import metadata
from lakehouse.engine.metadata import APP, Note, TableState
from lakehouse.engine.shape import Shape, alterations, creation
from lakehouse.engine.surroundings import no_room
from lakehouse.errors import DataError, StorageError
from lakehouse.settings import settings
from lakehouse.storage import filesystem
from lakehouse.tables import Field, Table, literal

_TXN = "spark.databricks.delta.write"
_NOTE = "spark.databricks.delta.commitInfo.userMetadata"


class Overtaken(Exception):  # noqa: N818 - not an error: the caller plans again
    """Another run committed first; nothing was written."""


def ensure_table(spark: SparkSession, table: Table, shape: Shape) -> TableState:
    """The table's state, after creating it or making it what the shape says. Raises `DataError` when a column has a type that can't become its new one."""
    delta = metadata.open_table(table)
    if delta is None:
        _create(spark, table, shape)
        found = metadata.state(table)
        if found is None:
            raise DataError(f"{table} was created, but there is no Delta table at {table.location(settings().warehouse)}.", next_step="Run: lakehouse doctor")
        return found
    if not spark.catalog.tableExists(f"{table.layer}.{table.name}"):
        _register(spark, table)
    found = metadata.state_of(table, delta)
    return found if not _evolve(spark, found, delta, shape) else (metadata.state(table) or found)


def _create(spark: SparkSession, table: Table, shape: Shape) -> None:
    statement = creation(table, shape, table.location(settings().warehouse))
    try:
        spark.sql(statement).collect()
    except PySparkException as error:
        if "NON_EMPTY_LOCATION" not in str(error):
            raise
        _clear_half_created(table)
        spark.sql(f"DROP TABLE IF EXISTS {table.sql}").collect()
        spark.sql(statement).collect()


def _clear_half_created(table: Table) -> None:
    """Remove what a kill during the very first CREATE left behind: a folder without a single commit, so without a single row."""
    location = table.location(settings().warehouse)
    system, root = filesystem(location)
    if system.glob(f"{root}/_delta_log/*.json") or system.glob(f"{root}/**/*.parquet"):
        raise DataError(
            f"{location} holds files but is no Delta table.", state="Nothing was changed.", next_step="Move these files away, then run the same command again."
        )
    system.rm(root, recursive=True)


def _register(spark: SparkSession, table: Table) -> None:
    """Give the catalogue a table whose folder is there: the catalogue is derived state."""
    spark.sql(f"CREATE TABLE IF NOT EXISTS {table.sql} USING delta LOCATION {literal(table.location(settings().warehouse))}").collect()


def _evolve(spark: SparkSession, found: TableState, delta: DeltaTable, shape: Shape) -> bool:
    """Make the table what the shape says, where Delta can without writing data; returns whether it was not. Raises `DataError` where it can't."""
    held = StructType.fromJson(json.loads(delta.schema().to_json()))  # as the log has it, which is open: the engine would have to resolve the table
    have = [Field(f.name, f.dataType.simpleString(), (f.metadata or {}).get("comment", "")) for f in held.fields]
    statements = alterations(found, have, shape, delta.metadata().partition_columns)
    for statement in statements:
        spark.sql(statement).collect()
    return bool(statements)


def rows_of(spark: SparkSession, table: Table, files: Collection[str]) -> DataFrame:
    """The rows of these data files (paths below the table's folder), as they were written: for files that have no deletion vectors (yet)."""
    held, root = spark.table(table.sql), table.location(settings().warehouse)
    if not files:
        return held.limit(0)
    return spark.read.schema(held.schema).option("basePath", root).parquet(*[f"{root}/{file}" for file in files])


@dataclass(frozen=True)
class Commit:
    """One write in the making: where, from which state it was planned, and the note it will carry."""

    spark: SparkSession
    planned: TableState
    note: Note

    @property
    def _options(self) -> dict[str, str]:
        return {"txnAppId": APP, "txnVersion": str(self.planned.transaction + 1), "userMetadata": self.note.to_json()}

    def append(self, rows: DataFrame, *, new_columns: bool = False) -> int:
        """Add rows; returns the new version. Raises `Overtaken`."""
        with self._swap():
            rows.write.format("delta").mode("append").options(**self._options, mergeSchema=str(new_columns).lower()).saveAsTable(self.planned.table.sql)
        return self._version()

    def replace(self, rows: DataFrame, where: str | None, *, new_columns: bool = False) -> int:
        """Replace the rows that satisfy `where` (None: all), in one commit; returns the new version. Raises `Overtaken`."""
        options = {**self._options, **({"replaceWhere": where} if where else {}), "mergeSchema": str(new_columns).lower()}
        with self._swap():
            rows.write.format("delta").mode("overwrite").options(**options).saveAsTable(self.planned.table.sql)
        return self._version()

    def merge(self, rows: DataFrame, on: str, newer: str, columns: Sequence[str], gone: str = "false") -> int:
        """Insert the rows of `rows` (s) that match none of the table's (t) by `on`, update those that match and are `newer`, delete those that are `gone`.

        Returns the new version. Raises `Overtaken`.
        """
        view = "lakehouse_merge_source"
        rows.createOrReplaceTempView(view)
        txn = {f"{_TXN}.txnAppId": APP, f"{_TXN}.txnVersion": self._options["txnVersion"], _NOTE: self.note.to_json()}
        names, values = ", ".join(f"`{c}`" for c in columns), ", ".join(f"s.`{c}`" for c in columns)
        sets = ", ".join(f"t.`{c}` = s.`{c}`" for c in columns)
        with self._swap(), _session_with(self.spark, txn) as session:
            session.sql(
                f"MERGE INTO {self.planned.table.sql} t USING {view} s ON {on} "
                + (f"WHEN MATCHED AND {gone} THEN DELETE " if gone != "false" else "")
                + f"WHEN MATCHED AND {newer} THEN UPDATE SET {sets} WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({values})"
            ).collect()
        return self._version()

    @contextmanager
    def _swap(self) -> Iterator[None]:
        try:
            yield
        except PySparkException as error:
            told = f"{type(error).__name__}{error}"
            if metadata.last_run(self.planned.table) != self.note.run and ("Concurrent" in told or "DELTA_METADATA_CHANGED" in told):
                raise Overtaken from error
            if no_room(told):
                raise _full(self.planned) from error
            raise

    def _version(self) -> int:
        """The version this write made. Raises `Overtaken` when the transaction number was taken, and the write did nothing."""
        now = metadata.state(self.planned.table)
        if now is None or now.note != self.note:
            raise Overtaken
        return now.version


def _full(planned: TableState) -> StorageError:
    return StorageError(
        f"There is no room left to write {planned.table} to {settings().warehouse}.",
        state=f"Nothing of this write is in the table: it is as before, at version {planned.version}.",
        next_step="Free room (what could be removed says: lakehouse maintain --dry-run), then run: lakehouse sync",
    )


@contextmanager
def _session_with(spark: SparkSession, values: dict[str, str]) -> Iterator[SparkSession]:
    """A copy of the session, with its views, that has these settings too: a MERGE takes its transaction from there, and so would every other write
    that goes on in the session meanwhile."""
    session: Any = spark.cloneSession()  # type: ignore[attr-defined]  # Connect's
    session.release_session_on_close = True  # a copy lacks what its `stop` looks at; drop once PySpark gives it
    client: Any = spark.client
    session.client.set_retry_policies(client.get_retry_policies())  # nor does a copy know that an engine that is gone does not come back
    try:
        for key, value in values.items():
            session.conf.set(key, value)
        yield session
    finally:
        session.stop()
