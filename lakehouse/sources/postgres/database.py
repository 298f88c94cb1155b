"""A PostgreSQL database as seen by a look: connections, a table's columns, its change token, and moments frozen for reading.

Credentials are libpq's business: PGUSER, PGPASSWORD, PGPASSFILE (~/.pgpass), PGSSLMODE and so on, as for psql. No secret is kept, logged or named here.
Not here: what has been taken in (`cursor`, `snapshot`), rows (`rows`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lakehouse.contracts.model import PostgresSource
from lakehouse.errors import ServerAway, SourceError
from lakehouse.services import postgres
from lakehouse.settings import settings

if TYPE_CHECKING:  # imported by those who connect: definitions load without it
    from psycopg import Connection

SERVICES = "services"  # as host: the server that `lakehouse services` runs
CONNECT_SECONDS = 10
LOOK_SECONDS = 50  # a sensor's tick has a minute
# How values are written as text, so that the same value is always the same text.
WRITTEN = "SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET IntervalStyle = 'iso_8601'; SET extra_float_digits = 1; SET bytea_output = 'hex'"
_TABLE_KINDS = ("r", "p", "m")  # with storage and statistics of their own; views and foreign tables have none


@dataclass(frozen=True)
class Field:
    """A column of a table: its name, its type below any domain, and for arrays that of the elements."""

    name: str
    type: str
    element: str | None


@dataclass(frozen=True)
class Relation:
    """A table or view. `blocks`: pages of the largest of its parts; 0 for what has none. `rows`: an estimate. `stored`: it has storage and statistics."""

    oid: int
    name: str  # quoted, with its schema
    fields: tuple[Field, ...]
    stored: bool
    blocks: int
    rows: int

    def field(self, name: str) -> Field | None:
        """The column of that name."""
        return next((f for f in self.fields if f.name == name), None)


@dataclass(frozen=True)
class Frozen:
    """A moment of the database, held by an open transaction: what others read under `snapshot` is what was committed then.

    `identity` is PostgreSQL's own name of the moment (`pg_current_snapshot`), `micros` the database's clock, microseconds since 1970.
    """

    connection: Connection[Any]
    snapshot: str
    identity: str
    micros: int


def place(source: PostgresSource) -> str:
    """The table, for people."""
    return f"{source.schema}.{source.table} of the database {source.database} at {source.host}"


@contextmanager
def session(source: PostgresSource, *, seconds: int = LOOK_SECONDS) -> Iterator[Connection[Any]]:
    """An open connection whose statements may take so long (0: any time). Raises `SourceError` for whatever the database or the way to it says no to."""
    import psycopg

    try:
        with psycopg.connect(**_address(source), dbname=source.database, connect_timeout=CONNECT_SECONDS, application_name="lakehouse") as connection:
            connection.autocommit = True
            connection.execute(WRITTEN)
            if seconds:
                connection.execute(f"SET statement_timeout = '{seconds}s'")
            yield connection
    except psycopg.errors.ConnectionTimeout as error:
        raise ServerAway(
            f"The database server {source.host}:{source.port} does not answer within {CONNECT_SECONDS} seconds.",
            state="Nothing of this was written; what is in already stays.",
            next_step="See that it runs, and that host and port in the contract are right; then run the same command again.",
        ) from error
    except psycopg.Error as error:
        raise unreachable(source, str(error)) from error


def _address(source: PostgresSource) -> dict[str, Any]:
    """The server, and who asks where the environment does not say it."""
    if source.host != SERVICES:
        return {"host": source.host, "port": source.port}
    at = postgres.address(settings().home)
    return {"host": at.host, "port": at.port, "user": at.user, "passfile": str(at.passfile)}


@contextmanager
def frozen(source: PostgresSource) -> Iterator[Frozen]:
    """The present moment, held until the end of the block, so that several connections read the same."""
    with session(source, seconds=0) as connection:
        connection.execute("SET idle_in_transaction_session_timeout = 0")  # it has nothing to say while others read
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        row = connection.execute("SELECT pg_export_snapshot(), pg_current_snapshot()::text, (extract(epoch FROM now()) * 1000000)::bigint").fetchone()
        assert row is not None
        try:
            yield Frozen(connection, *row)
        finally:
            connection.close()  # rather than a COMMIT, whose failure would mean nothing


def relation(connection: Connection[Any], source: PostgresSource) -> Relation:
    """The contract's table. Raises `SourceError` when it is not there."""
    found = connection.execute(_RELATION, (source.schema, source.table)).fetchone()
    if found is None:
        raise SourceError(
            f"There is no table or view {source.schema}.{source.table} in the database {source.database} at {source.host}.",
            state="Nothing was read or written.",
            next_step="Correct `servers[].schema` or `table` of the property source in the contract, or let the role see the table (GRANT USAGE, SELECT).",
        )
    oid, kind, rows, blocks = found
    fields = tuple(Field(*row) for row in connection.execute(_FIELDS, (oid,)).fetchall())
    return Relation(oid, f"{quoted(source.schema)}.{quoted(source.table)}", fields, kind in _TABLE_KINDS, blocks, rows)


def change_token(connection: Connection[Any], table: Relation) -> str | None:
    """A text that is another one after the table was written to; None where the server keeps no such account (views, foreign tables).

    From the server's counters of rows written, which it updates after a commit is visible: a token read before rows are never knows more than they do.
    What changes the token and no row (a deleted row, a rolled back one, a restart) only makes for another look.
    """
    if not table.stored:
        return None
    row = connection.execute(_TOKEN, (table.oid,)).fetchone()
    return row[0] if row else None


def fingerprint(connection: Connection[Any], table: Relation, where: str) -> str:
    """A text that is another one after these rows of `t` changed, for what has no change token: computed by the server, so that nothing is sent."""
    row = connection.execute(f"SELECT count(*) || ':' || coalesce(sum(hashtextextended(t::text, 0)), 0) FROM {table.name} t WHERE {where}").fetchone()
    return str(row[0]) if row else ""


def quoted(name: str) -> str:
    """An identifier in SQL."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A text in SQL."""
    return "'" + value.replace("'", "''") + "'"


def unreachable(source: PostgresSource, said: str) -> SourceError:
    """What the database said, for people."""
    return SourceError(
        f"The database {source.database} at {source.host}:{source.port} can't be read: {' '.join(said.split())[:500]}",
        state="Nothing of this was written; what is in already stays.",
        next_step="Check that it runs and lets this role in (PGUSER, PGPASSWORD or ~/.pgpass, PGSSLMODE, as for psql), then run the same command again.",
    )


_FAMILY = """
    WITH RECURSIVE family AS (
        SELECT {oid} AS oid
        UNION SELECT i.inhrelid FROM pg_inherits i JOIN family f ON i.inhparent = f.oid)
"""

_RELATION = f"""
    SELECT c.oid, c.relkind, greatest(c.reltuples, 0)::bigint,
           coalesce(({_FAMILY.format(oid="c.oid")}
                     SELECT max(pg_relation_size(oid)) / current_setting('block_size')::int FROM family), 0)::bigint
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p', 'm', 'v', 'f')
"""

_FIELDS = """
    WITH RECURSIVE base AS (
        SELECT a.attnum, a.attname, t.typname, t.typtype, t.typbasetype, t.typelem, t.typlen
        FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
        WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped
        UNION ALL
        SELECT b.attnum, b.attname, t.typname, t.typtype, t.typbasetype, t.typelem, t.typlen
        FROM base b JOIN pg_type t ON t.oid = b.typbasetype WHERE b.typtype = 'd')
    SELECT attname, typname, (SELECT e.typname FROM pg_type e WHERE e.oid = base.typelem AND base.typlen = -1)
    FROM base WHERE typtype <> 'd' ORDER BY attnum
"""

_TOKEN = f"""
    {_FAMILY.format(oid="%s::oid")}
    SELECT CASE WHEN current_setting('track_counts') <> 'on' THEN NULL
                WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()::text
                ELSE md5(string_agg(concat_ws(':', c.oid, c.relfilenode, c.relnatts, pg_stat_get_tuples_inserted(c.oid),
                                              pg_stat_get_tuples_updated(c.oid), pg_stat_get_tuples_deleted(c.oid)), ',' ORDER BY c.oid)
                         || pg_postmaster_start_time()) END
    FROM family JOIN pg_class c ON c.oid = family.oid
"""
