"""Reading a table in snapshots: all of it at one moment, held against what Bronze holds; Bronze gets the difference, deletes included.

What Bronze holds of a key is its newest records: a snapshot's records have the database's clock as place, in microseconds, and each one a greater place
than the last. A key's rows are compared as texts. A key that stands several times is a state like any other: all its rows are taken when one differs.
A delete carries what was last known. What changed and changed back between two snapshots can't be seen.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from lakehouse.contracts.model import Contract, PostgresSource
from lakehouse.engine import metadata
from lakehouse.engine.metadata import Day, Position, TableState
from lakehouse.errors import SourceError
from lakehouse.sources.postgres import database, rows
from lakehouse.sources.postgres.cursor import shrank
from lakehouse.sources.postgres.database import Frozen, Relation, quoted
from lakehouse.sources.protocol import Amount, Batch, Look, Portion, Unreadable

SECOND = 1_000_000
LEAST_BLOCKS = 1024  # pages for which a connection of its own pays: 8 MB
_RAW = ("_payload", "_key", "_op")


@dataclass(frozen=True)
class SnapshotPortion(Portion):
    """All rows. `again`: the records of these days are made once more from the other days' and the table, and may be fewer with `force`."""

    contract: Contract
    source: PostgresSource
    state: TableState | None
    token: str | None = None
    records: int = 0
    again: frozenset[date] = frozenset()
    force: bool = False
    reached: Mapping[str, Position] = field(default_factory=dict)

    @property
    def amount(self) -> Amount:
        """About how many rows are read."""
        return Amount(records=self.records)

    @property
    def days(self) -> frozenset[Day]:
        """The day of the snapshot."""
        return frozenset(self.again or {datetime.now(UTC).date()})

    @property
    def positions(self) -> Mapping[str, Position]:
        """The moment of the snapshot, known once it was read."""
        return self.reached

    def read(self, spark: SparkSession) -> Batch:
        """The difference. Raises `SourceError`, and `SourceShrank` for a rebuild that would lose records."""
        with rows.released(database.frozen(self.source)) as (moment, release):
            table = database.relation(moment.connection, self.source)
            query = f"SELECT {rows.payload(table.fields)} AS _payload, {_key(self.contract, self.source, table)} AS _key{_block(table)} FROM {table.name} t"
            now = rows.read(spark, self.source, moment, query, _ranges(table, self.source.parallel)).select("_payload", "_key")
            changes = self._placed(_difference(now, self._held(spark)), moment)
            if self.again and not self.force:
                self._refuse_less(spark, changes)
            reached: dict[str, Position] = {"token": self.token or "", "snapshot": moment.identity, "read_at": moment.micros}
            return Batch(changes, replace(self, reached={} if self.again else reached), (), release())

    def without(self, error: PySparkException) -> tuple[Portion, Unreadable] | None:
        """Nothing can be left out."""
        rows.raise_unreachable(self.source, error)
        return None

    def _held(self, spark: SparkSession) -> DataFrame | None:
        """The newest records of each key that Bronze holds (of other days than those made once more), deletes left out."""
        if self.state is None or not metadata.rows(self.contract.bronze, self.state.version):
            return None
        held = self._records(spark)
        if self.again:
            held = held.where(~F.coalesce(F.col("_source_date").isin(*self.again), F.lit(False)))
        newest = F.rank().over(Window.partitionBy("_key").orderBy(F.desc("_source_position")))
        return held.withColumn("_newest", newest).where("_newest = 1 and _op <> 'delete'").select("_payload", "_key")

    def _records(self, spark: SparkSession) -> DataFrame:
        assert self.state is not None
        return spark.sql(f"SELECT * FROM {self.contract.bronze.sql} VERSION AS OF {self.state.version}")

    def _placed(self, changes: DataFrame, moment: Frozen) -> DataFrame:
        """The envelope. A snapshot's day is the database's, whatever the rows say."""
        last = metadata.greatest(self.contract.bronze, self.state.version, "_source_position") if self.state else None
        place = max(moment.micros, (last or 0) + 1)  # whatever the database's clock did
        at = F.timestamp_micros(F.lit(place))
        return changes.select(
            *_RAW,
            F.lit(f"{self.source.schema}.{self.source.table}").alias("_source"),
            F.lit(place).cast("bigint").alias("_source_position"),
            at.alias("_source_time"),
            F.current_timestamp().alias("_ingested_at"),
            (F.lit(max(self.again)) if self.again else F.to_date(at)).alias("_source_date"),
        )

    def _refuse_less(self, spark: SparkSession, changes: DataFrame) -> None:
        held = self._records(spark).where(F.col("_source_date").isin(*self.again))
        record = F.concat_ws("\n", "_op", "_payload").alias("_payload")
        lost = rows.count(self.source, rows.without(held.select(record), changes.select(record)))
        if lost:
            raise shrank(self.contract, f"{lost:,} changes of these days that {database.place(self.source)}, which has the present only, can't tell again")


def look(contract: Contract, source: PostgresSource, state: TableState | None, *, full: bool) -> Look:
    """A snapshot, unless the table was not written to since the last one, or that was taken a moment ago."""
    note = state.note if state else None
    before = note.positions if note else {}
    with database.session(source) as connection:
        table = database.relation(connection, source)
        token = database.change_token(connection, table) or database.fingerprint(connection, table, "true")
        row = connection.execute(f"SELECT (extract(epoch FROM now()) * {SECOND})::bigint").fetchone()
    age = (row[0] if row else 0) - int(before.get("read_at", 0))
    if not full and note is not None and (token == before.get("token") or age < source.interval * SECOND):
        return Look()
    return Look((SnapshotPortion(contract, source, state, token, table.rows),))


def again(contract: Contract, source: PostgresSource, state: TableState, days: Collection[date], *, force: bool) -> Look:
    """The days' changes once more, as far as the present table tells them."""
    return Look((SnapshotPortion(contract, source, state, again=frozenset(days), force=force),))


def _difference(now: DataFrame, held: DataFrame | None) -> DataFrame:
    """Rows of `_payload` and `_key` as changes: those of keys that are new or not as they were, and the last known ones of keys that are gone."""
    if held is None:
        return now.withColumn("_op", F.lit("insert"))
    both = now.withColumn("_now", F.lit(True)).unionByName(held.withColumn("_now", F.lit(False)))
    key = Window.partitionBy("_key")

    def state(which: str) -> Any:  # noqa: ANN401 - a Column
        return F.sort_array(F.collect_list(F.when(F.expr(which), F.xxhash64("_payload"))).over(key))

    compared = both.withColumns({"_is": state("_now"), "_was": state("not _now")}).where("_is <> _was")
    op = F.when(F.size("_is") == 0, "delete").when(F.size("_was") == 0, "insert").otherwise("update")
    return compared.where("_now or size(_is) = 0").select("_payload", "_key", op.alias("_op"))


def _key(contract: Contract, source: PostgresSource, table: Relation) -> str:
    """SQL for the key of a row of `t`, as the text of a JSON list. Raises `SourceError` when the table lacks a column of it."""
    names = [contract.column(name).source_field or name for name in contract.key]
    missing = [n for n in names if table.field(n) is None]
    if missing or any(contract.column(name).derived for name in contract.key):
        raise SourceError(
            f"{database.place(source)} has no column {', '.join(missing or contract.key)}, of the contract's key. It has: "
            f"{', '.join(f.name for f in table.fields)}.",
            state="Nothing was read or written.",
            next_step=f"Correct the contract, then run: lakehouse contract lint {contract.name}",
        )
    return f"json_build_array({', '.join(f't.{quoted(n)}' for n in names)})::text"


def _block(table: Relation) -> str:
    """The place of a row of `t` in the table's files, by which connections share the work; views have none."""
    return ", t.ctid AS _block" if table.blocks else ""


def _ranges(table: Relation, parallel: int) -> list[str]:
    """Ranges of blocks; whatever lies beyond those that are known is in the last."""
    count = min(parallel, max(table.blocks // LEAST_BLOCKS, 1))
    ends = [table.blocks * n // count for n in range(1, count)]
    if not ends:
        return ["true"]
    first = f"_block < '({ends[0]},0)'::tid"
    return [first, *(f"_block >= '({a},0)'::tid" + (f" AND _block < '({b},0)'::tid" if b else "") for a, b in zip(ends, [*ends[1:], 0], strict=True))]
