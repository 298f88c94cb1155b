"""A contract as the platform uses it: typed, checked, complete. The one vocabulary that every layer reads.

Here belong frozen values and what follows from them alone. Not here: reading YAML (`loader`), Spark types (`spark_schema`),
rules as Spark columns (`quality.rules`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

from lakehouse.tables import Table

Kind = Literal["event", "entity"]
OnFail = Literal["quarantine", "drop", "warn", "fail"]
Disposition = Literal["quarantine", "drop", "warn", "fail", "hold"]
MaskPolicy = Literal["sha256", "redact", "null"]
Bound = int | float | str | None  # of a number; of a date or time as ISO text


@dataclass(frozen=True)
class Parent:
    """A column names rows of another table by that table's key. A record whose row is not there yet waits in quarantine; after `horizon_days`,
    counted from its Bronze day, it counts as refused."""

    table: str
    column: str
    horizon_days: int

    @property
    def silver(self) -> Table:
        """Where the rows are looked for."""
        return Table("silver", self.table)


@dataclass(frozen=True)
class Column:
    """One column of the Silver table. Its name never begins with `_`.

    `type` is a Spark SQL type (`bigint`, `decimal(10,2)`, `array<string>`…). `source_field` is the field's name in the source.
    `expression` (SQL over the contract's other columns) makes it a derived column, which is not read from the source.
    """

    name: str
    type: str
    logical_type: str
    description: str = ""
    required: bool = False
    expression: str | None = None
    source_field: str = ""
    timezone: str | None = None  # zone of source times that name none; None: such times are refused
    format: str | None = None  # pattern of dates and times in the source, as Spark's to_timestamp takes it
    enum: tuple[str, ...] = ()
    pattern: str | None = None
    minimum: Bound = None
    maximum: Bound = None
    exclusive_minimum: Bound = None
    exclusive_maximum: Bound = None
    min_length: int | None = None
    max_length: int | None = None
    on_fail: OnFail = "quarantine"  # of the rules that follow from this column's own declaration
    masking: MaskPolicy | None = None
    parent: Parent | None = None
    classification: str | None = None
    tags: tuple[str, ...] = ()

    @property
    def derived(self) -> bool:
        """Whether the column is computed rather than read."""
        return self.expression is not None


@dataclass(frozen=True)
class Rule:
    """A row rule: a row breaks it when `expression` (SQL) is false. As in SQL's own CHECK, NULL passes: `required` speaks of missing values."""

    name: str
    expression: str
    on_fail: OnFail = "quarantine"
    description: str = ""


@dataclass(frozen=True)
class FileSource:
    """Files below one folder, and how their records are read.

    `path` is absolute or a URL, or relative to the `landing` setting. `pattern` is a glob below it; `date_pattern` a regular expression
    with one group (YYYY-MM-DD) or three (year, month, day) searched in the path below `path`; None: the day of the file's modification time, UTC.
    `lookback_days`: how long files of a past day may still arrive or change, counted back from the newest day that Bronze holds, or today.

    `compared`: the files of one moment are the whole table as it was then. The moment is the day, and what `time_pattern` (groups for hour, minute and
    second) finds in the path. A file called `complete` says that all of them are there. `max_gone`: the largest share of keys that may be gone at once.
    """

    path: str
    format: Literal["json", "csv", "parquet", "avro"]
    pattern: str = "**/*"
    date_pattern: str | None = r"dt=(\d{4}-\d{2}-\d{2})"
    lookback_days: int = 7
    max_files: int = 20_000
    max_bytes: int = 4 << 30
    delimiter: str = ","
    quote: str = '"'
    escape: str = '"'
    null_value: str = ""
    multi_line: bool = False
    compared: bool = False
    time_pattern: str | None = None
    complete: str | None = None
    max_gone: float = 0.5

    @property
    def is_text(self) -> bool:
        """Whether Bronze keeps raw records (`_payload`) rather than columns."""
        return self.format in ("json", "csv")


@dataclass(frozen=True)
class KafkaSource:
    """Records of Kafka topics: one `topic`, or all whose names match `topic_pattern` (a regular expression) as a whole.

    `brokers` is a list `host:port,…`, or `services` for those that the settings or `lakehouse services` name.
    `max_records`: most records of one commit. Avro records name their schema by its id in a `registry` (URL), or all have one, `avro_schema` (its JSON).
    """

    brokers: str
    format: Literal["json", "avro"] = "json"
    topic: str | None = None
    topic_pattern: str | None = None
    max_records: int = 2_000_000
    registry: str | None = None
    avro_schema: str | None = None

    @property
    def compared(self) -> bool:
        """Whether Bronze holds what differs between snapshots, rather than records."""
        return False

    @property
    def is_text(self) -> bool:
        """Bronze keeps raw records (`_payload`); Avro's are read as the JSON texts that they stand for."""
        return True


@dataclass(frozen=True)
class PostgresSource:
    """A table or view of a PostgreSQL database. `host` is a name or address, or `services` for the server that `lakehouse services` runs.

    With a `cursor` (a column that grows with every insert and update) what is new is read, and once more what lies up to `overlap` (seconds; of a cursor
    that is a number, so many numbers) below the place reached; without one the whole table, when it changed and at least `interval` seconds have passed.
    `parallel`: most connections of one read. `max_records`: about how many rows one commit takes.
    """

    host: str
    port: int
    database: str
    schema: str
    table: str
    cursor: str | None = None
    overlap: int = 600
    parallel: int = 4
    max_records: int = 2_000_000
    interval: int = 60
    format: Literal["json"] = "json"  # of a row's text, which the server makes

    @property
    def compared(self) -> bool:
        """Whether Bronze holds what differs between snapshots, rather than records."""
        return self.cursor is None

    @property
    def is_text(self) -> bool:
        """Bronze keeps rows as texts (`_payload`)."""
        return True


Source = FileSource | KafkaSource | PostgresSource  # where the records come from; see `lakehouse.sources.protocol` for what another kind needs


@dataclass(frozen=True)
class ChangeFeed:
    """The source tells changes of keys, deletes among them, rather than records. In which order they were made, the contract's `sequence` says.

    `delete_when` (SQL over the contract's columns) is true for a change that ends its key. `control` are columns that belong to the feed rather than to
    the thing: what the sequence and the delete condition are made of. `ignore` are columns whose change alone is none.
    """

    form: Literal["columns", "debezium"] = "columns"
    delete_when: str | None = None
    control: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()


@dataclass(frozen=True)
class Volume:
    """How many rows a partition of the Silver table should have."""

    minimum: int | None = None
    maximum: int | None = None
    severity: Literal["warning", "error"] = "warning"


@dataclass(frozen=True)
class Upkeep:
    """How a table is kept in order. `compact_files`: so many small files of a partition (less than half of `target_bytes`) are made into few.

    `keep_days`: how long files that a newer version no longer has stay, for readers of older versions; `log_days` the same of the table's log.
    `order_by`: columns by which compaction orders rows. `statistics`: columns of which files tell their least and greatest value; empty: the first 32.
    """

    compact_files: int = 10
    target_bytes: int = 128 << 20
    keep_days: int = 7
    log_days: int = 30
    order_by: tuple[str, ...] = ()
    statistics: tuple[str, ...] = ()


@dataclass(frozen=True)
class Maintenance:
    """How each layer of a table is kept in order."""

    bronze: Upkeep = Upkeep()
    silver: Upkeep = Upkeep()
    quarantine: Upkeep = Upkeep()


@dataclass(frozen=True)
class Contract:
    """A table, declared once.

    An *event* table is partitioned by `event_date` and a row's identity is (key, event date); an *entity* table has one row per key, or with `scd` 2
    one per version of a key. `sequence` orders the records of one identity: the greatest wins, NULL lowest; then origin, then record hash.
    """

    name: str
    version: str
    domain: str
    kind: Kind
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    source: Source
    start: date
    file: Path
    sequence: tuple[str, ...] = ()
    event_date: str | None = None
    lateness_days: int = 0
    rules: tuple[Rule, ...] = ()
    freshness: timedelta | None = None
    freshness_column: str | None = None
    volume: Volume | None = None
    schema_evolution: Literal["addOnly", "strict"] = "addOnly"
    ignored_fields: tuple[str, ...] = ()  # of the source: known, and not taken
    feed: ChangeFeed | None = None
    scd: Literal[1, 2] = 1
    maintenance: Maintenance = Maintenance()
    status: str = "active"
    description: str = ""
    grain: str = ""
    owners: tuple[str, ...] = ()
    support: tuple[str, ...] = ()  # channels where its people are reached
    tags: tuple[str, ...] = ()
    raw: dict[str, object] = field(default_factory=dict, compare=False, repr=False)

    @property
    def bronze(self) -> Table:
        """The table of what arrived."""
        return Table("bronze", self.name)

    @property
    def silver(self) -> Table:
        """The table of accepted rows."""
        return Table("silver", self.name)

    @property
    def quarantine(self) -> Table:
        """The table of refused rows."""
        return Table("quarantine", self.name)

    @property
    def identity(self) -> tuple[str, ...]:
        """The columns that make a Silver row one row: a version is what a key became at a place in the sequence."""
        if self.scd == 2:
            return (*self.key, *self.sequence)
        return (*self.key, self.event_date) if self.event_date else self.key

    @property
    def told_by_deletes(self) -> tuple[str, ...]:
        """The columns that a change feed's delete has a value for; a tombstone holds these and nothing else."""
        told = {*self.key, *self.sequence, *(self.feed.control if self.feed else ())}
        return tuple(c.name for c in self.columns if c.name in told)

    @property
    def compared(self) -> tuple[str, ...]:
        """The columns of a change feed that make a new version when they change."""
        others = {*self.told_by_deletes, *(self.feed.ignore if self.feed else ())}
        return tuple(c.name for c in self.columns if c.name not in others)

    @property
    def from_the_start(self) -> str:
        """What `lakehouse materialize` is told besides, to build the table for all its days; nothing where it has none."""
        return f" --from {self.start}" if self.event_date else ""

    @property
    def waiting_columns(self) -> tuple[tuple[Column, Parent], ...]:
        """The columns that name rows of other tables, and wait for them."""
        return tuple((c, c.parent) for c in self.columns if c.parent is not None)

    @property
    def read_columns(self) -> tuple[Column, ...]:
        """The columns that come from the source, in order."""
        return tuple(c for c in self.columns if not c.derived)

    @property
    def derived_columns(self) -> tuple[Column, ...]:
        """The computed columns, in order; each may use those before it."""
        return tuple(c for c in self.columns if c.derived)

    def column(self, name: str) -> Column:
        """The column of that name. Raises `KeyError`."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)
