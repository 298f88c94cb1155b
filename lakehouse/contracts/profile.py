"""Our profile of the standard: what the customProperties of a contract and of a column may say.

docs/contracts.md describes each key, and a test holds it to that.

Models say names, types and limits; whether a named column exists is for `table` and `columns`. Properties that carry another `vendor` are left alone.
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr, TypeAdapter, ValidationError

from lakehouse.contracts.mistakes import Place, Report, not_one_of
from lakehouse.contracts.model import Kind, MaskPolicy, OnFail
from lakehouse.contracts.node import Node

VENDOR = "lakehouse"
Char = Annotated[StrictStr, Field(min_length=1, max_length=1)]


def _date(value: object) -> object:
    try:
        return date.fromisoformat(value) if isinstance(value, str) and len(value) == 10 else date.fromisoformat("")
    except ValueError:
        raise ValueError(f"must be a date such as 2026-01-31, not {value!r}") from None


def _null_word(value: object) -> object:
    return "null" if value is None else value  # YAML reads a bare `null` as nothing


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileOptions(_Part):
    """How the source's files are found and read."""

    mode: Literal["records", "snapshot"] = Field(default="records", description="snapshot: files are the whole table at a moment, and are compared.")
    pattern: StrictStr = Field(default="**/*", min_length=1, description="Glob below the source's folder.")
    date: Literal["path", "modified"] = Field(default="path", description="Where a file's day comes from: its path, or its modification time (UTC).")
    datePattern: StrictStr | None = Field(default=None, description="Regular expression searched in the path: one group (YYYY-MM-DD) or three (y, m, d).")
    timePattern: StrictStr | None = Field(default=None, min_length=1, description="Snapshots: regular expression for hour, minute and second in the path.")
    complete: StrictStr | None = Field(default=None, min_length=1, description="Snapshots: name of the file that says that all files of one are there.")
    maxGone: StrictFloat = Field(default=0.5, ge=0, le=1, description="Snapshots: largest share of the keys that one may be without.")
    lookbackDays: StrictInt = Field(default=7, ge=0, le=3650, description="How long files of a past day may still arrive or change.")
    maxFiles: StrictInt = Field(default=20_000, ge=1, description="Most files that one increment takes.")
    maxBytes: StrictInt = Field(default=4 << 30, ge=1, description="Most bytes that one increment takes.")
    delimiter: Char = Field(default=",", description="CSV: what stands between fields.")
    quote: Char = Field(default='"', description="CSV: what stands around fields.")
    escape: Char = Field(default='"', description="CSV: what stands before a quote inside quotes.")
    nullValue: StrictStr = Field(default="", description="CSV: the text that means no value.")
    multiLine: StrictBool = Field(default=False, description="CSV: quoted fields may hold line breaks. Slower: a file is not split.")


class KafkaOptions(_Part):
    """Which records are read from Kafka."""

    topic: StrictStr | None = Field(default=None, min_length=1, description="The topic.")
    topicPattern: StrictStr | None = Field(default=None, min_length=1, description="Regular expression that the names of all topics of this table match.")
    maxRecords: StrictInt = Field(default=2_000_000, ge=1, description="Most records that one commit takes.")
    registry: StrictStr | None = Field(default=None, description="Avro: URL of the registry that has the schemas by whose ids the records begin.")
    avroSchema: dict[str, Any] | None = Field(default=None, description="Avro: the schema of records that begin with no id.")


class PostgresOptions(_Part):
    """Which rows are read from PostgreSQL, and how."""

    mode: Literal["cursor", "snapshot"] = Field(description="cursor: what a growing column says is new; snapshot: the whole table, compared with what is in.")
    table: StrictStr | None = Field(default=None, min_length=1, description="The table or view, where it is not called like the contract.")
    cursor: StrictStr | None = Field(default=None, min_length=1, description="The table's column that grows with every insert and update.")
    overlap: StrictInt = Field(default=600, ge=0, description="How far below the place reached is read again, for late commits: seconds, or numbers.")
    interval: StrictInt = Field(default=60, ge=0, description="Least seconds between two snapshots.")
    parallel: StrictInt = Field(default=4, ge=1, le=64, description="Most connections that read side by side.")
    maxRecords: StrictInt = Field(default=2_000_000, ge=1, description="About how many rows one commit takes.")


Options = FileOptions | KafkaOptions | PostgresOptions


class Partition(_Part):
    """The days there are."""

    start: Annotated[date, BeforeValidator(_date)] = Field(description="The first day: earlier dates are out of range.")


class Lateness(_Part):
    """How far an event may lag behind its arrival."""

    days: StrictInt = Field(default=0, ge=0, le=36_500, description="Days by which an event date may lie before the Bronze day.")


class Dedupe(_Part):
    """Which of several records of one identity wins."""

    orderBy: list[StrictStr] = Field(min_length=1, description="Columns compared in order; the greatest wins, no value is lowest.")


class ChangeFeed(_Part):
    """A source that tells changes, deletes among them."""

    form: Literal["columns", "debezium"] = Field(default="columns", description="columns: a change is a record; debezium: it is in Debezium's envelope.")
    sequence: list[StrictStr] = Field(min_length=1, description="Columns that order the changes of a key, most significant first.")
    deleteWhen: StrictStr | None = Field(default=None, min_length=1, description="SQL over the table's columns: true for a change that ends its key.")
    ignore: list[StrictStr] = Field(default=[], description="Columns whose change alone makes no new version.")


class Scd(_Part):
    """How an entity's changes are kept."""

    type: StrictInt = Field(default=1, ge=1, le=2, description="1: the latest only. 2: every version, of a change feed.")


class Masking(_Part):
    """What Silver holds instead of the value."""

    policy: Annotated[MaskPolicy, BeforeValidator(_null_word)] = Field(description="sha256: its hash; redact: the same text for all; null: nothing.")


class LayerUpkeep(_Part):
    """How a table of one layer is kept in order."""

    compactFiles: StrictInt = Field(default=10, ge=2, description="So many small files of a partition are worth making into few.")
    targetMegabytes: StrictInt = Field(default=128, ge=1, le=4096, description="How large files are made; less than half of it is small.")
    keepDays: StrictInt = Field(default=7, ge=1, le=3650, description="How long files that only older versions have are kept.")
    logDays: StrictInt = Field(default=30, ge=2, le=3650, description="How long the table's history is kept.")


class SilverUpkeep(LayerUpkeep):
    """How a Silver table is kept in order."""

    orderBy: list[StrictStr] = Field(default=[], description="Columns by which compaction orders rows (Z-order): those that queries filter by.")
    statistics: list[StrictStr] = Field(default=[], description="Columns of which each file tells its least and greatest value. Default: the first 32.")


class Maintenance(_Part):
    """How the tables are kept in order, layer by layer."""

    bronze: LayerUpkeep = LayerUpkeep()
    silver: SilverUpkeep = SilverUpkeep()
    quarantine: LayerUpkeep = LayerUpkeep()


class ContractProperties(_Part):
    """The customProperties of a contract."""

    kind: Kind = Field(description="event: partitioned by event date; entity: one row per key.")
    partition: Partition
    source: Options | None = None
    lateness: Lateness = Lateness()
    dedupe: Dedupe | None = None
    changeFeed: ChangeFeed | None = None
    scd: Scd = Scd()
    ignoredFields: list[StrictStr] = Field(default=[], description="Fields of the source that are known and not taken.")
    maintenance: Maintenance = Maintenance()
    schemaEvolution: Literal["addOnly", "strict"] = Field(default="addOnly", description="addOnly: new columns of a Parquet source are taken into Bronze.")


class ColumnProperties(_Part):
    """The customProperties of a column."""

    sourceField: StrictStr = Field(default="", description="The field's name in the source, where it differs from the column's.")
    onFail: OnFail = Field(default="quarantine", description="What happens to a row that breaks a rule of this column.")
    masking: Masking | None = None


class Horizon(_Part):
    """How long a record may wait."""

    days: StrictInt = Field(default=7, ge=0, le=36_500, description="Days, counted from the Bronze day, after which a waiting record counts as refused.")


class RelationshipProperties(_Part):
    """The customProperties of a column's relationship."""

    onFail: Literal["hold"] | None = Field(default=None, description="hold: a record waits in quarantine until the row that it names is there.")
    horizon: Horizon = Horizon()


class Implementation(_Part):
    """The `implementation` of a quality item of engine lakehouse."""

    expr: StrictStr = Field(min_length=1, description="SQL over the table's columns: true for a good row.")
    onFail: OnFail = Field(default="quarantine", description="What happens to a row that breaks the rule.")


Properties = TypeVar("Properties", ContractProperties, ColumnProperties, RelationshipProperties)


def read_properties(model: type[Properties], holder: Node, **kinds: type[BaseModel]) -> Properties:
    """The customProperties of a contract or column. What is wrong is reported and left at its default; a required one that is missing stays unset.

    `kinds`: of a property that can be of several kinds, the one it has to be.
    """
    values: dict[str, Any] = {}
    for item in holder.items("customProperties"):
        name, vendor = item.text("property"), item.text("vendor")
        if name is None or "value" not in item.value or vendor not in (None, VENDOR):
            continue
        field = model.model_fields.get(name)
        if field is None:
            item.wrong(_unknown_property(model, name), "property")
        elif name in values:
            item.wrong(f"{name} stands twice in these customProperties", "property")
        else:
            values[name] = read_model(kinds.get(name, field.annotation), item.value["value"], item.at("value"), holder.report)
    for name, field in model.model_fields.items():
        if field.is_required() and name not in values:
            holder.wrong(f"needs the property {name!r}: {field.description or (field.annotation.__doc__ if field.annotation else '')}", "customProperties")
    return model.model_construct(**{k: v for k, v in values.items() if v is not None})


def read_model(kind: Any, value: object, place: Place, report: Report) -> Any:
    """The value as `kind` says, or None after reporting each thing that is wrong with it."""
    try:
        return _adapter(kind).validate_python(value)
    except ValidationError as error:
        for one in error.errors():
            report.wrong((*place, *_real(one["loc"], value)), _say(kind, one))
        return None


@lru_cache(maxsize=64)
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _unknown_property(model: type[BaseModel], name: str) -> str:
    other = ColumnProperties if model is ContractProperties else ContractProperties
    if name in other.model_fields:
        return f"{name!r} belongs in the customProperties of {'a column' if other is ColumnProperties else 'the contract'}"
    return not_one_of("property", name, model.model_fields) + " A property of another tool carries its `vendor`."


def _real(loc: tuple[int | str, ...], value: object) -> Place:
    """The part of pydantic's location that is in the value: it also names members of unions."""
    place: list[int | str] = []
    for key in loc:
        if isinstance(value, dict):
            place.append(key)
            value = value.get(key)
        elif isinstance(value, list) and isinstance(key, int) and key < len(value):
            place.append(key)
            value = value[key]
    return tuple(place)


def _say(kind: Any, error: Any) -> str:
    found, limits = error["input"], error.get("ctx", {})
    if error["type"] == "missing":
        return "is missing"
    if error["type"] == "extra_forbidden":
        known = kind.model_fields if isinstance(kind, type) and issubclass(kind, BaseModel) else ()
        return not_one_of("key", error["loc"][-1], known)
    if error["type"] == "literal_error":
        allowed = [w.strip(" '") for w in limits["expected"].replace(" or ", ", ").split(",")]
        return not_one_of("value", found, allowed)
    if error["type"] in ("model_type", "model_attributes_type"):
        return f"must be a mapping with the keys {', '.join(kind.model_fields)}, not {found!r:.80}"
    return f"{error['msg'].removeprefix('Value error, ')}{'' if error['type'] == 'value_error' else f', not {found!r:.80}'}"
