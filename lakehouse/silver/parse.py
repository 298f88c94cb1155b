"""Raw Bronze records to the contract's typed columns, with a name for everything that could not be read or typed.

Pure: DataFrame in, DataFrame out. Nothing becomes NULL unseen: a value that is there but has not the declared type is a problem of its row.
Not here: the contract's rules (`quality.rules`), which record wins (`scd`).

JSON is read as a map of raw field texts inside a one-element array: that is one pass over the text, and unlike reading a struct it
shows repeated and unknown fields, a field of another type, and text behind the record's end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.contracts.model import Column as ContractColumn
from lakehouse.contracts.model import Contract, FileSource, PostgresSource
from lakehouse.contracts.rules import AVRO
from lakehouse.silver import drift
from lakehouse.silver.avro import UNDECODED, is_avro
from lakehouse.silver.changes import DELETED, PLACES, deletes, envelope_problems, exactly, failing, field, is_debezium, opened, tombstones
from lakehouse.silver.digits import decimal_size, quoted
from lakehouse.silver.transforms import transform_of
from lakehouse.silver.types import Source, typed
from lakehouse.sources.files.records import split_header

ORIGIN = ("_source", "_source_position", "_source_time", "_source_date", "_ingested_at")
_FIELDS = "_fields"  # map of field name → raw text, for text formats
_DOUBLE = 15  # decimal digits that a double always holds


def parse(bronze: DataFrame, contract: Contract, headers: Sequence[str] = ()) -> DataFrame:
    """One row per Bronze row. Columns: the contract's, `_payload`, `_problems` (array of names, NULL when there is none), `_record_hash`, the origin,
    and what the source has otherwise than the contract (`drift`).

    `headers`: the CSV header lines that occur in these rows.
    """
    raw, problems = _text(bronze, contract, headers) if contract.source.is_text else _typed_format(bronze, contract)
    pairs = [(c, typed(c, _source(c, contract, raw))) for c in contract.read_columns]
    rows = raw.select("*", *[t.value.alias(c.name) for c, t in pairs])
    rows = deletes(_transform(_derive(rows, contract), contract), contract)
    checks = [*problems, *[(f"{c.name}_type", failing(c.name, t.failed, contract)) for c, t in pairs if t.failed is not None]]
    columns = (*[c.name for c in contract.columns], *(DELETED if contract.feed else ()))
    seen = drift.of_text(F.col(_FIELDS), contract) if contract.source.is_text else drift.of_columns(contract)
    return tombstones(rows.select(*columns, "_payload", "_record_hash", *ORIGIN, _collect(checks).alias("_problems"), *seen), contract)


def _text(bronze: DataFrame, contract: Contract, headers: Sequence[str]) -> tuple[DataFrame, list[tuple[str, Column]]]:
    """Each field's raw text as `_raw_<column>`, and the problems of the record as a whole."""
    fields = _csv_fields(bronze, contract, headers) if contract.source.format == "csv" else _json_fields(bronze, contract)
    fields = opened(fields) if is_debezium(contract) else fields
    texts = [(c, _field(c, contract)) for c in contract.read_columns]
    # Dates and times are looked at several times. The trim, being a computation, keeps Spark from looking the field up anew each time.
    columns = [(F.trim(t) if c.type.startswith(("date", "time", "decimal")) else t).alias(f"_raw_{c.name}") for c, t in texts]
    hashed = [] if is_avro(contract) else [record_hash(fields, contract).alias("_record_hash")]
    raw = fields.select("*", *hashed, *columns)
    return raw, _text_problems(contract)


def _field(column: ContractColumn, contract: Contract) -> Column:
    """A field's raw text. That of a JSON number has passed through a double, which holds 15 digits: longer decimals are looked up in the record itself."""
    long = column.type.startswith("decimal") and decimal_size(column.type)[0] > _DOUBLE
    exactly_ = long and contract.source.format != "csv" and not isinstance(contract.source, PostgresSource)  # its server writes numbers as texts
    return _within_record(column, contract)("string", True) if exactly_ else field(column.source_field or column.name, contract)


def _within_record(column: ContractColumn, contract: Contract) -> Callable[[str, bool], Column]:
    """A field of a JSON record, read as another type (see `Source.within`)."""
    name = column.source_field or column.name

    def read(type_: str, in_quotes: bool) -> Column:
        record_ = quoted(F.col("_payload")) if in_quotes else F.col("_payload")
        return exactly(record_, name, type_) if is_debezium(contract) else F.from_json(record_, f"`{name}` {type_}")[name]

    return read


def _within_text(column: ContractColumn) -> Callable[[str, bool], Column]:
    """The same of a field that is itself a JSON text."""
    text = F.concat(F.lit('{"v":'), F.col(f"_raw_{column.name}"), F.lit("}"))
    return lambda type_, in_quotes: F.from_json(quoted(text) if in_quotes else text, f"v {type_}")["v"]


def _typed_format(bronze: DataFrame, contract: Contract) -> tuple[DataFrame, list[tuple[str, Column]]]:
    """The source's own columns as `_raw_<column>`; the whole row as JSON in `_payload`."""
    own = own_columns(bronze)
    texts = [(c, c.source_field or c.name) for c in contract.read_columns]
    columns = [(F.col(f"`{n}`") if n in own or (contract.feed and n in PLACES) else F.lit(None).cast(c.type)).alias(f"_raw_{c.name}") for c, n in texts]
    whole = record(bronze, contract).alias("_payload"), record_hash(bronze, contract).alias("_record_hash")
    raw = bronze.select(*_origin(bronze, contract), *whole, drift.unknown_columns(own, contract), *columns)
    return raw, [("malformed", F.lit(False))]


def own_columns(bronze: DataFrame) -> list[str]:
    """The columns that a typed source brought, without the platform's."""
    return [f.name for f in bronze.schema.fields if not f.name.startswith("_")]


def record(bronze: DataFrame, contract: Contract) -> Column:
    """The raw record of a Bronze row as text."""
    return F.col("_payload") if contract.source.is_text else F.to_json(F.struct(*[F.col(f"`{c}`") for c in own_columns(bronze)]))


def record_hash(bronze: DataFrame, contract: Contract) -> Column:
    """64 bits of the raw record: with its origin, what a row of Silver or quarantine is found by in Bronze."""
    return F.xxhash64(record(bronze, contract))


def _collect(checks: Sequence[tuple[str, Column]]) -> Column:
    """The names of the checks that are true, NULL when none is; the array is only built for rows that have one."""
    (name, unreadable), *others = checks
    anything = unreadable
    for _, failed in others:
        anything = anything | failed
    # array_except drops the NULLs of the checks that hold, in generated code, which a filter by lambda is not.
    names = F.array_except(F.array(*[F.when(failed, F.lit(n)) for n, failed in others]), F.array(F.lit(None).cast("string")))
    return F.when(anything, F.when(unreadable, F.array(F.lit(name))).otherwise(names))  # an unreadable record has no further problems


def _origin(bronze: DataFrame, contract: Contract) -> tuple[str, ...]:
    """Where a record came from; of a change feed also what was done, where its source tells (`_op`); of Avro what its JSON does not tell."""
    origin = (*ORIGIN, "_record_hash", UNDECODED) if is_avro(contract) else ORIGIN
    return (*origin, "_op") if contract.feed and "_op" in bronze.columns else origin


def _json_fields(bronze: DataFrame, contract: Contract) -> DataFrame:
    """`_fields`: the record's fields as a map of texts, NULL when it is no single JSON object."""
    origin = _origin(bronze, contract)
    text = F.when(F.col(UNDECODED).isNull(), F.col("_payload")) if is_avro(contract) else F.col("_payload")
    parsed = bronze.select(*origin, "_payload", F.from_json(F.concat(F.lit("["), text, F.lit("]")), "array<map<string,string>>").alias("_parsed"))
    # A second projection: within one, the text would be parsed twice.
    return parsed.select(*origin, "_payload", F.when(F.size("_parsed") == 1, F.col("_parsed")[0]).alias(_FIELDS))


def _csv_fields(bronze: DataFrame, contract: Contract, headers: Sequence[str]) -> DataFrame:
    """`_fields`: the values by the names in the record's own header, NULL when it has not as many values as its header has names."""
    source, fields = contract.source, F.lit(None).cast("map<string,string>")
    assert isinstance(source, FileSource), "only files are CSV"
    options = {"sep": source.delimiter, "quote": source.quote, "escape": source.escape, "nullValue": source.null_value, "columnNameOfCorruptRecord": "_corrupt"}
    origin = _origin(bronze, contract)
    rows = bronze.select(*origin, "_payload", "_header")
    for n, header in enumerate(headers):
        names = split_header(source, header)
        schema = ", ".join(f"`{c}` string" for c in (*[f"c{i}" for i in range(len(names))], "_corrupt"))
        here = F.col("_header") == F.lit(header)
        rows = rows.withColumn(f"_record{n}", F.when(here, F.from_csv(F.col("_payload"), F.lit(schema), options)))
        record = F.col(f"_record{n}")
        pairs = [x for i, name in enumerate(names) for x in (F.lit(name), record[f"c{i}"])]
        fields = F.when(here, F.when(record["_corrupt"].isNull(), F.create_map(*pairs))).otherwise(fields)
    return rows.select(*origin, "_payload", fields.alias(_FIELDS))


def _text_problems(contract: Contract) -> list[tuple[str, Column]]:
    """Problems of the record as a whole; the first one excludes all others."""
    fields, names = F.col(_FIELDS), F.map_keys(_FIELDS)
    declared = [c.source_field or c.name for c in contract.read_columns]
    malformed = fields.isNull()
    undecoded = [(name, F.col(UNDECODED) == name) for name, *_ in AVRO] if is_avro(contract) else []
    if undecoded:
        malformed = malformed & F.coalesce(F.col(UNDECODED) == "malformed", F.lit(True))
    elif contract.source.format == "json":
        # Text behind the record that closes the array early; only records with a bracket can hide it.
        malformed = malformed | (F.col("_payload").contains("]") & F.expr("from_json(concat('{\"r\":', _payload, '}'), 'map<string,string>') is null"))
    unknown = F.array_except(names, F.array(*map(F.lit, declared)))
    lowered = F.split(F.lower(F.array_join(unknown, "\n")), "\n")
    envelope = envelope_problems(contract) if is_debezium(contract) else []
    if envelope:
        malformed = malformed & F.col("_payload").isNotNull()
    other_case = F.arrays_overlap(lowered, F.array(*[F.lit(n.lower()) for n in declared]))
    # Most records have just the declared fields, in one order: a look at the names spares them the rest. (CASE, since Spark
    # computes common parts of both sides of an AND beforehand.)
    usual = F.coalesce(names == F.array(*map(F.lit, declared)), F.lit(False))
    return [
        ("malformed", malformed),
        *undecoded,
        ("invalid_utf8", F.lit(False) if undecoded else ~F.is_valid_utf8("_payload")),
        ("duplicate_field", F.when(usual, False).otherwise(F.size(names) != F.size(F.array_distinct(names)))),
        ("field_case", F.when(usual, False).when(F.size(unknown) == 0, False).otherwise(other_case)),
        *envelope,
    ]


def _source(column: ContractColumn, contract: Contract, raw: DataFrame) -> Source:
    """Where a column's raw value is, and what type it has there."""
    value, text = F.col(f"_raw_{column.name}"), _within_text(column)
    if not contract.source.is_text:
        return Source(value, raw.schema[f"_raw_{column.name}"].dataType.simpleString(), text)
    if isinstance(contract.source, PostgresSource) and column.type == "binary":
        # Bytes are written as \x and hexadecimal digits.
        octets = F.when(value.startswith("\\x"), F.try_to_binary(F.substring(value, 3, 1 << 30), F.lit("hex"))).otherwise(value.cast("binary"))
        return Source(octets, "binary", text)
    if contract.source.format == "csv":
        return Source(value, "string", text)
    record_ = _within_record(column, contract)
    return Source(value, "string", lambda type_, in_quotes: F.coalesce(record_(type_, in_quotes), text(type_, in_quotes)))  # a text may hold JSON, too


def _derive(rows: DataFrame, contract: Contract) -> DataFrame:
    for column in contract.derived_columns:
        rows = rows.withColumn(column.name, F.expr(f"try_cast(({column.expression}) as {column.type})"))
    return rows


def _transform(rows: DataFrame, contract: Contract) -> DataFrame:
    transform = transform_of(contract.name)
    return rows if transform is None else transform(rows)
