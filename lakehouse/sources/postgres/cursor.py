"""Reading a table by a cursor: a column that grows with every insert and update. What is new is what lies beyond the place reached, and a window below it.

A transaction may commit after others that began later, and then its rows appear below what was read already. So each increment reads the window
(`overlap`) once more, and takes of it what Bronze does not hold, comparing rows as texts: no clock decides.

The place is a whole number: the cursor itself, or microseconds since 1970 for times. It never gets ahead of the database's clock, so that one row with a
time in the future does not hide those that follow. Rows without a usable cursor (NULL, infinite) are read every time; they have no day, and are told.
Deleted rows can't be seen, and of a row that changes twice between two looks only the last state: that is what `snapshot`, or a change feed, is for.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts.model import Contract, PostgresSource
from lakehouse.engine import metadata
from lakehouse.engine.metadata import Day, Position, TableState
from lakehouse.errors import SourceError, SourceShrank
from lakehouse.sources.postgres import database, rows
from lakehouse.sources.postgres.database import Frozen, Relation, quoted, text
from lakehouse.sources.protocol import Amount, Batch, Look, Portion, Unreadable

if TYPE_CHECKING:
    from psycopg import Connection

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND, HOUR = 1_000_000, 3_600_000_000
_WHOLE = ("int2", "int4", "int8")
_TIMES = ("timestamptz", "timestamp", "date")
_COUNTED = 1_000_000  # rows that are counted to say how far behind a table is; more are "more"


@dataclass(frozen=True)
class Cursor:
    """The column, its type, and the zone that its times are in where they name none."""

    name: str
    type: str
    zone: str | None = None

    @property
    def is_time(self) -> bool:
        """Whether places are microseconds."""
        return self.type in _TIMES

    @property
    def sql(self) -> str:
        """The column of `t`."""
        return f"t.{quoted(self.name)}"

    @property
    def position(self) -> str:
        """SQL: the place of a row of `t`; NULL for a cursor that has none."""
        if not self.is_time:
            return f"{self.sql}::bigint"
        instant = f"({self.sql} AT TIME ZONE '{self.zone}')" if self.type == "timestamp" else f"{self.sql}::timestamp"
        if self.type == "timestamptz":
            instant = self.sql
        return f"CASE WHEN {self.usable} THEN (extract(epoch FROM {instant}) * {SECOND})::bigint END"

    @property
    def usable(self) -> str:
        """SQL: the cursor of a row of `t` has a place. False or NULL otherwise."""
        return f"{self.sql} >= '0001-01-02' AND {self.sql} < '9999-12-31'" if self.is_time else f"{self.sql} IS NOT NULL"

    @property
    def unusable(self) -> str:
        """SQL: it has none."""
        return f"({self.sql} IS NULL OR {self.sql} < '0001-01-02' OR {self.sql} >= '9999-12-31')" if self.is_time else f"{self.sql} IS NULL"

    def literal(self, position: int) -> str:
        """A place in SQL, as a value of the column's own type, so that its index serves."""
        if not self.is_time:
            return str(position)
        instant = EPOCH + timedelta(microseconds=position)
        if self.type == "date":
            return f"date '{instant.date()}'"
        text = f"timestamptz '{instant.isoformat()}'"
        return f"({text} AT TIME ZONE '{self.zone}')" if self.type == "timestamp" else text

    @property
    def grain(self) -> int:
        """How far apart two places are at least."""
        return 24 * HOUR if self.type == "date" else 1

    def below(self, position: int, overlap: int) -> int:
        """Where the window below a place begins. A time of day that is read as a place twice a year can jump back by an hour."""
        if not self.is_time:
            return position - overlap
        jump = HOUR if self.type == "timestamp" and self.zone not in ("UTC", "Etc/UTC") else 0
        low = max(position - overlap * SECOND - jump, int((datetime(1, 1, 2, tzinfo=UTC) - EPOCH) / timedelta(microseconds=1)))
        return low - low % self.grain


def cursor_of(contract: Contract, source: PostgresSource, table: Relation) -> Cursor:
    """The contract's cursor. Raises `SourceError` when the table has no such column, or it can't be one."""
    name = source.cursor or ""
    found = table.field(name)
    if found is None:
        raise _unfit(contract, f"{database.place(source)} has no column {name!r}. It has: {', '.join(f.name for f in table.fields)}.")
    if found.type not in (*_WHOLE, *_TIMES):
        raise _unfit(contract, f"The cursor {name} is of type {found.type}. Possible are {', '.join((*_TIMES, *_WHOLE))}.")
    zone = next((c.timezone for c in contract.read_columns if (c.source_field or c.name) == name), None)
    if found.type == "timestamp" and zone is None:
        raise _unfit(contract, f"The cursor {name} is a timestamp without time zone: name its zone (`defaultTimezone`) in the contract's column.")
    return Cursor(name, found.type, zone)


def _unfit(contract: Contract, what: str) -> SourceError:
    return SourceError(what, state="Nothing was read or written.", next_step=f"Correct the contract, then run: lakehouse contract lint {contract.name}")


@dataclass(frozen=True)
class CursorPortion(Portion):
    """Rows with places from `low` (None: from the first) up to `high` (None: whatever there is), read in ranges that begin at `splits`.

    `token` is the change token from before, `since` the day of `low`. For a rebuild, `again` is the days that are read once more, and `force` says whether
    they may then hold less.
    """

    contract: Contract
    source: PostgresSource
    state: TableState | None
    low: int | None
    high: int | None = None
    splits: tuple[int, ...] = ()
    token: str | None = None
    records: int = 0
    since: date | None = None
    again: frozenset[date] = frozenset()
    force: bool = False
    reached: Mapping[str, Position] = field(default_factory=dict)

    @property
    def amount(self) -> Amount:
        """About how many rows."""
        return Amount(records=self.records)

    @property
    def days(self) -> frozenset[Day]:
        """The first and the last that are known."""
        today = datetime.now(UTC).date()
        return frozenset(self.again or {self.since or today, today})

    @property
    def positions(self) -> Mapping[str, Position]:
        """The place reached, known once the portion was read."""
        return self.reached

    def read(self, spark: SparkSession) -> Batch:
        """The rows of a frozen moment that Bronze lacks. Raises `SourceError`, and `SourceShrank` for a rebuild that would lose rows."""
        with rows.released(database.frozen(self.source)) as (moment, release):
            table = database.relation(moment.connection, self.source)
            cursor = cursor_of(self.contract, self.source, table)
            query = f"SELECT {rows.payload(table.fields)} AS _payload, {cursor.position} AS _source_position FROM {table.name} t WHERE "
            found = rows.read(spark, self.source, moment, query + self._where(cursor), self._parts())
            lacking = self._lacking(spark, self._placed(found, moment, cursor.is_time))
            done = replace(self, reached=self._reached(moment, table, cursor))
            return Batch(lacking, done, _unplaced(self, moment, table, cursor), release())

    def without(self, error: PySparkException) -> tuple[Portion, Unreadable] | None:
        """Nothing can be left out: what the database says no to concerns all of it."""
        rows.raise_unreachable(self.source, error)
        return None

    def _where(self, cursor: Cursor) -> str:
        if self.again:
            first, last = (int((datetime(d.year, d.month, d.day, tzinfo=UTC) - EPOCH) / timedelta(microseconds=1)) for d in (min(self.again), max(self.again)))
            return f"{cursor.sql} >= {cursor.literal(first)} AND {cursor.sql} < {cursor.literal(last + 24 * HOUR)}"
        above = "true" if self.low is None else f"{cursor.sql} >= {cursor.literal(self.low)}"
        return f"({above} OR {cursor.unusable})" if self.high is None else f"{above} AND {cursor.usable} AND {cursor.sql} <= {cursor.literal(self.high)}"

    def _parts(self) -> list[str]:
        """Ranges of places; rows without one are in the first."""
        if not self.splits:
            return ["true"]
        ends = [*self.splits, None]
        first = f"_source_position < {self.splits[0]} OR _source_position IS NULL"
        return [first, *(f"_source_position >= {a}" + (f" AND _source_position < {b}" if b is not None else "") for a, b in zip(ends, ends[1:], strict=False))]

    def _placed(self, found: DataFrame, moment: Frozen, is_time: bool) -> DataFrame:
        """The envelope. A day is the cursor's, where it has one between the contract's start and the day after the moment of reading."""
        read_at = F.timestamp_micros(F.lit(moment.micros))
        time = F.timestamp_micros("_source_position") if is_time else read_at
        day = F.to_date(time)
        known = F.col("_source_position").isNotNull() & (day >= F.lit(self.contract.start)) & (day <= F.date_add(F.to_date(read_at), 1))
        return found.select(
            "_payload",
            F.lit(f"{self.source.schema}.{self.source.table}").alias("_source"),
            "_source_position",
            time.alias("_source_time"),
            F.current_timestamp().alias("_ingested_at"),
            F.when(known, day).alias("_source_date"),
        )

    def _lacking(self, spark: SparkSession, placed: DataFrame) -> DataFrame:
        if self.again:
            return self._as_before(spark, placed)
        if self.state is None or not metadata.rows(self.contract.bronze, self.state.version):
            return placed
        held = spark.sql(f"SELECT _payload, _source_position FROM {self.contract.bronze.sql} VERSION AS OF {self.state.version}")
        if self.low is not None:
            above = f"_source_position >= {self.low}" + (f" AND _source_position <= {self.high}" if self.high is not None else "")
            held = held.where(above + (" OR _source_position IS NULL" if self.high is None else ""))
        return rows.without(placed, held)

    def _as_before(self, spark: SparkSession, placed: DataFrame) -> DataFrame:
        """The days' rows as the table has them now. Raises `SourceShrank` when some that Bronze holds are not among them."""
        assert self.state is not None
        wanted = F.col("_source_date").isin(*self.again)
        bronze = spark.sql(f"SELECT _payload, _source_date FROM {self.contract.bronze.sql} VERSION AS OF {self.state.version}")
        # What was taken in without a day, since its time lay ahead, keeps none: with one as well, it would be in twice.
        days = rows.without(placed.where(wanted), bronze.where("_source_date is null"))
        held = bronze.where(wanted)
        lost = 0 if self.force else rows.count(self.source, rows.without(held, days))
        if lost:
            raise shrank(self.contract, f"{lost:,} rows of these days that {database.place(self.source)} no longer has as they were, updated or deleted since")
        return days

    def _reached(self, moment: Frozen, table: Relation, cursor: Cursor) -> dict[str, Position]:
        """The place that is reached with this portion, at most the database's clock, and the moment it was read at."""
        if self.again:
            return {}
        top = _top(moment.connection, table, cursor, min((b for b in (self.high, moment.micros if cursor.is_time else None) if b is not None), default=None))
        before = self.state.note.positions.get("cursor") if self.low is not None and self.state and self.state.note else None
        known = [int(p) for p in (top, before) if p is not None]
        progress: dict[str, Position] = {"token": self.token or "", "snapshot": moment.identity, "read_at": moment.micros}
        if known:
            progress["cursor"] = max(known)
        if self.token is None and self.high is None:
            progress["token"] = _window(moment.connection, table, cursor, max(known, default=None), self.source.overlap)
        return progress


def _unplaced(portion: CursorPortion, moment: Frozen, table: Relation, cursor: Cursor) -> tuple[Unreadable, ...]:
    """Rows without a usable cursor: they are in, and told each time until they are mended."""
    if portion.high is not None or portion.again:
        return ()
    row = moment.connection.execute(f"SELECT count(*) FROM {table.name} t WHERE {cursor.unusable}").fetchone()
    count = row[0] if row else 0
    what = "no time of the years 1 to 9999" if cursor.is_time else "empty"
    why = f"{cursor.name} is {what}. They are in {portion.contract.bronze} without a day, and refused as source_date_out_of_range"
    return (Unreadable(f"{count:,} rows of {portion.source.schema}.{portion.source.table}", why),) if count else ()


def shrank(contract: Contract, what: str) -> SourceShrank:
    """A rebuild would lose rows."""
    return SourceShrank(
        f"{contract.bronze} holds {what}: a rebuild from the source would lose them.",
        state=f"{contract.bronze} is unchanged.",
        next_step=f"To build Silver anew from what Bronze holds: lakehouse materialize silver/{contract.name}+{contract.from_the_start}. "
        "To lose these rows on purpose, repeat the rebuild with --force.",
    )


def look(contract: Contract, source: PostgresSource, state: TableState | None, *, full: bool) -> Look:
    """What lies beyond the place reached, and the window below it; nothing while the table was not written to."""
    note = state.note if state else None
    before = note.positions if note else {}
    with database.session(source) as connection:
        table = database.relation(connection, source)
        cursor, token, place = cursor_of(contract, source, table), database.change_token(connection, table), before.get("cursor")
        seen = token or _window(connection, table, cursor, int(place) if place is not None else None, source.overlap)
        if seen == before.get("token") and not full:
            return Look()
        low = None if full or place is None else cursor.below(int(place), source.overlap)
        newest = _top(connection, table, cursor, _clock(connection) if cursor.is_time else None)  # rows of the future settle nothing
        marks, each = _marks(connection, source, table, cursor)
        records = table.rows if low is None else _count(connection, table, cursor, int(place or 0))
    marks = [m for m in marks if low is None or m > int(place or 0)]
    since = (EPOCH + timedelta(microseconds=low)).date() if low is not None and cursor.is_time else None
    first = CursorPortion(contract, source, state, low, token=token, records=records, since=max(since or contract.start, contract.start))
    settled = cursor.below(newest, source.overlap) if newest is not None else 0
    portions = tuple(_portions(first, [m for m in marks if m <= settled], [m for m in marks if m > settled], each, cursor.grain))
    return Look(portions, oldest=lambda: _oldest(source, table, cursor, int(place) if place is not None else None))


def again(contract: Contract, source: PostgresSource, state: TableState, days: Collection[date], *, force: bool) -> Look:
    """The rows of these days once more. Raises `SourceError` where the cursor has no day."""
    with database.session(source) as connection:
        cursor = cursor_of(contract, source, database.relation(connection, source))
    if not cursor.is_time:
        raise SourceError(
            f"The days of {contract.bronze} are those on which rows were read, since its cursor {cursor.name} has no date: the source can't tell them again.",
            state=f"{contract.bronze} is unchanged.",
            next_step=f"To compare the whole table with what is in: lakehouse sync {contract.name} --full",
        )
    return Look((CursorPortion(contract, source, state, None, again=frozenset(days), force=force),))


def _oldest(source: PostgresSource, table: Relation, cursor: Cursor, place: int | None) -> datetime | None:
    """The least time beyond the place reached; None for cursors that are no times, and where only rows below it have changed."""
    if not cursor.is_time:
        return None
    beyond = "" if place is None else f" AND {cursor.sql} > {cursor.literal(place)}"
    least = f"SELECT min({cursor.sql}) AS {quoted(cursor.name)} FROM {table.name} t WHERE {cursor.usable}{beyond}"
    with database.session(source) as connection:
        row = connection.execute(f"SELECT {cursor.position} FROM ({least}) t").fetchone()
    return EPOCH + timedelta(microseconds=row[0]) if row and row[0] is not None else None


def _window(connection: Connection[Any], table: Relation, cursor: Cursor, place: int | None, overlap: int) -> str:
    """What stands in for the change token of a view: a fingerprint of all that the next increment would read."""
    where = "true" if place is None else f"{cursor.sql} >= {cursor.literal(cursor.below(place, overlap))} OR {cursor.unusable}"
    return database.fingerprint(connection, table, where)


def _clock(connection: Connection[Any]) -> int:
    """The database's clock, in microseconds since 1970."""
    row = connection.execute(f"SELECT (extract(epoch FROM clock_timestamp()) * {SECOND})::bigint").fetchone()
    assert row is not None
    return int(row[0])


def _top(connection: Connection[Any], table: Relation, cursor: Cursor, most: int | None) -> int | None:
    """The highest place in the table, at most `most`."""
    within = "" if most is None else f" AND {cursor.sql} <= {cursor.literal(most)}"
    highest = f"SELECT max({cursor.sql}) AS {quoted(cursor.name)} FROM {table.name} t WHERE {cursor.usable}{within}"
    row = connection.execute(f"SELECT {cursor.position} FROM ({highest}) t").fetchone()
    return row[0] if row else None


def _marks(connection: Connection[Any], source: PostgresSource, table: Relation, cursor: Cursor) -> tuple[list[int], int]:
    """Places that cut the table into about equal parts, and the rows of a part: from the statistics that the server keeps anyway."""
    where = " AND ".join(f"{k} = {text(v)}" for k, v in (("schemaname", source.schema), ("tablename", source.table), ("attname", cursor.name)))
    bounds = (
        f"SELECT unnest(histogram_bounds::text::{cursor.type}[]) AS {quoted(cursor.name)} "
        f"FROM (SELECT histogram_bounds FROM pg_stats WHERE {where} ORDER BY inherited DESC LIMIT 1) s"
    )
    found = connection.execute(f"SELECT {cursor.position} FROM ({bounds}) t WHERE {cursor.usable}").fetchall()
    places = sorted({int(p) for (p,) in found})
    return places[1:-1], max(table.rows // max(len(places) - 1, 1), 1)


def _count(connection: Connection[Any], table: Relation, cursor: Cursor, above: int) -> int:
    beyond = f"SELECT 1 FROM {table.name} t WHERE {cursor.sql} > {cursor.literal(above)} LIMIT {_COUNTED}"
    row = connection.execute(f"SELECT count(*) FROM ({beyond}) beyond").fetchone()
    return int(row[0]) if row else 0


def _portions(first: CursorPortion, settled: list[int], moving: list[int], each: int, grain: int) -> list[CursorPortion]:
    """Portions of bounded size that follow each other without a gap; the last is open and takes the window in which rows may still appear."""
    source, found, low = first.source, [], first.low
    inside: list[int] = []
    for mark in settled:
        inside.append(mark)
        if len(inside) * each >= source.max_records:
            found.append(replace(first, low=low, high=mark, splits=_few(inside[:-1], source.parallel), token=None, records=len(inside) * each))
            low, inside = mark + grain, []
    rest = max(first.records - sum(p.records for p in found), 0)
    return [*found, replace(first, low=low, splits=_few([*inside, *moving], source.parallel), records=rest)]


def _few(marks: list[int], parallel: int) -> tuple[int, ...]:
    """At most so many of the marks that `parallel` ranges come about."""
    step = -(-len(marks) // max(parallel - 1, 1))
    return tuple(marks[step - 1 :: step]) if step and parallel > 1 else ()
