"""The catalogue: databases with their folders, and registering every table folder again. It is derived state; the tables are the truth.

Not here: creating tables (`delta`, dbt).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from lakehouse.errors import SettingsError
from lakehouse.settings import s3a, settings
from lakehouse.storage import explained, filesystem
from lakehouse.tables import LAYERS, Table, literal

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DATABASES = (*LAYERS, "staging")  # staging holds dbt's views


def create_databases(session: SparkSession) -> None:
    """Create the databases that are missing, each with its folder below the warehouse."""
    warehouse = settings().warehouse.rstrip("/")
    present = {row[0] for row in session.sql("show databases").collect()}
    for name in sorted(set(DATABASES) - present):  # asking first: the metastore logs a trace for each that exists
        session.sql(f"create database if not exists `{name}` location {literal(f'{warehouse}/{name}')}")


def hold_to_warehouse(session: SparkSession) -> None:
    """Raise `SettingsError` where an engine of others has another lake than these settings: what is planned from one would be written to the other."""
    ours, theirs = _place(f"{settings().warehouse.rstrip('/')}/silver"), _place(session.catalog.getDatabase("silver").locationUri)
    if ours != theirs:
        raise SettingsError(
            f"The engine at {settings().connect_url} has its tables in {theirs.removesuffix('/silver')}, and LAKEHOUSE_WAREHOUSE is {settings().warehouse}.",
            state="Nothing was read or written.",
            next_step="Give both the same LAKEHOUSE_WAREHOUSE (in containers: in docker/.env, for all services), or unset LAKEHOUSE_ENGINE for an engine here.",
        )


def _place(location: str) -> str:
    """A folder or URL, as Spark and we both write it."""
    return s3a(re.sub("^file:/+", "/", unquote(location))).rstrip("/")


def table_folders() -> list[Table]:
    """Every table that has a Delta log below the warehouse, sorted. Raises `StorageError`."""
    system, root = filesystem(settings().warehouse)
    found = []
    with explained(settings().warehouse):
        for layer in LAYERS:
            folder = f"{root}/{layer}"
            if not system.isdir(folder):
                continue
            names = [entry.rstrip("/").rpartition("/")[2] for entry in system.ls(folder, detail=False)]
            found += [Table(layer, name) for name in names if system.isdir(f"{folder}/{name}/_delta_log")]
    return sorted(found)


def register_tables(session: SparkSession) -> list[Table]:
    """Enter the tables that the catalogue lacks; returns those."""
    create_databases(session)
    missing = [table for table in table_folders() if not session.catalog.tableExists(table.sql)]
    for table in missing:
        session.sql(f"create table if not exists {table.sql} using delta location {literal(table.location(settings().warehouse))}")
    return missing


def rebuild() -> list[Table]:
    """Enter every table folder below the warehouse into the catalogue, and return those that were missing. dbt's views come back with the next build."""
    from lakehouse.engine.session import connect

    session = connect()
    try:
        return register_tables(session)
    finally:
        session.stop()


def drop_table(session: SparkSession, table: Table) -> None:
    """Remove a table that can be computed again: its entry and its files. Killed in between, running it again finishes it."""
    session.sql(f"drop table if exists {table.sql}").collect()
    system, root = filesystem(table.location(settings().warehouse))
    if system.exists(root):
        system.rm(root, recursive=True)  # an external table's files stay when it is dropped
