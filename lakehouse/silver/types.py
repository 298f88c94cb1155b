"""A raw value to a declared type: the value, and whether it was there but could not be had without loss.

One expression per Spark type family. Not here: what the value must be (`quality.rules`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.contracts.model import Column as ContractColumn
from lakehouse.silver.digits import as_texts, behind_the_point, decimal_size, has_decimals, loses

_NUMBERS = ("tinyint", "smallint", "int", "integer", "bigint", "float", "double", "decimal")


@dataclass(frozen=True)
class Source:
    """A raw value, its Spark type, and of one that is a text a reading of it as another type: from JSON as it is, or with all its numbers in quotes."""

    raw: Column
    type: str
    within: Callable[[str, bool], Column]


@dataclass(frozen=True)
class Typed:
    """A typed value, and whether one was there that has not the type (None: it can't fail).

    `failed` refers to the typed column by its name: it belongs into a later projection, where the value is not computed again.
    """

    value: Column
    failed: Column | None


def typed(column: ContractColumn, source: Source) -> Typed:
    """The raw value as the column's type; `failed` is never NULL."""
    family = re.split(r"[(<]", column.type.lower())[0].strip()
    if source.type != "string":
        return _from_native(column, source, family)
    raw, done = source.raw, F.col(column.name)
    special = {"array": _nested, "map": _nested, "struct": _nested, "decimal": _decimal, "string": _text}.get(family)
    if special:
        return special(column, source)
    match family:
        case "double" | "float":
            # JSON's own NaN and Infinity arrive in quotes; they are numbers that a rule then refuses, not a wrong type.
            value = F.coalesce(raw.try_cast(column.type), F.when(raw.isin('"NaN"', '"Infinity"', '"-Infinity"'), F.expr("double('NaN')").cast(column.type)))
        case "tinyint" | "smallint" | "int" | "integer" | "bigint":
            whole = F.when(raw.rlike(r"^[+-]?\d+\.0+$"), F.substring_index(raw, ".", 1).try_cast(column.type))
            value = F.coalesce(raw.try_cast(column.type), whole)
        case "date":
            value = _date(column, raw)
        case "timestamp" | "timestamp_ntz":
            value = _timestamp(column, raw)
        case _:
            value = raw.try_cast(column.type)
    return Typed(value, done.isNull() & raw.isNotNull())


def _text(column: ContractColumn, source: Source) -> Typed:
    """Any text is text."""
    return Typed(source.raw, None)


def _nested(column: ContractColumn, source: Source) -> Typed:
    """A list, map or record from its JSON text; a part of another type, or a decimal with more digits than its type has, makes the whole value fail."""
    raw = source.raw
    parsed = F.from_json(F.concat(F.lit('{"v":'), raw, F.lit("}")), f"v {column.type}, _corrupt string", {"columnNameOfCorruptRecord": "_corrupt"})
    failed = parsed["_corrupt"].isNotNull() | F.col(column.name).isNull()
    if not has_decimals(column.type):
        return Typed(parsed["v"], raw.isNotNull() & failed)
    texts = source.within(as_texts(column.type), True)
    return Typed(source.within(column.type, False), raw.isNotNull() & (failed | loses(column.type, texts)))


def _decimal(column: ContractColumn, source: Source) -> Typed:
    """A decimal, unless digits would be lost: money is never rounded in silence."""
    raw = source.raw
    return Typed(raw.try_cast(column.type), raw.isNotNull() & (F.col(column.name).isNull() | (behind_the_point(raw) > decimal_size(column.type)[1])))


def _date(column: ContractColumn, raw: Column) -> Column:
    if column.format:
        return F.to_date(F.try_to_timestamp(raw, F.lit(column.format)))
    # Spark would take "2026" for a date, too. With a Z dates come from Debezium, as XML has them.
    return F.when(F.length(raw) == 10, raw.try_cast("date")).when((F.length(raw) == 11) & raw.endswith("Z"), F.substring(raw, 1, 10).try_cast("date"))


def _timestamp(column: ContractColumn, raw: Column) -> Column:
    """An instant. A time without a zone has one only if the contract says which."""
    # Spark would take "10:15" for a time of today, and "2026" for its first of January.
    dated = (F.substring(raw, 5, 1) == "-") & (F.length(raw) >= 10)
    zoned = F.when(raw.endswith("Z"), True).otherwise((F.length(raw) > 16) & (F.substring(raw, -6, 1).isin("+", "-") | F.substring(raw, -5, 1).isin("+", "-")))
    ntz = column.type.lower() == "timestamp_ntz"
    if column.format:
        parsed = F.try_to_timestamp(raw, F.lit(column.format))
        has_zone = bool(re.search(r"[XxzVO]", re.sub(r"'[^']*'", "", column.format)))
        return parsed if has_zone else _in_zone(parsed, column)
    if ntz:
        return F.when(dated, raw.try_cast("timestamp_ntz"))
    instant = raw.try_cast("timestamp")
    return F.when(dated, F.when(zoned, instant).otherwise(_in_zone(instant, column)))


def _in_zone(local: Column, column: ContractColumn) -> Column:
    """A time that was read as UTC but meant the contract's zone; NULL when the contract names none."""
    return F.to_utc_timestamp(local, column.timezone) if column.timezone else F.lit(None).cast("timestamp")


def _only_numbers_differ(native: str, type_: str) -> bool:
    """Whether two types of lists or records differ in nothing but numbers, whose values can be held against each other. (Maps can't be compared.)"""
    plain = [re.sub(rf"\b({'|'.join(_NUMBERS)})\b(\(\d+,\d+\))?", "n", t.lower()) for t in (native, type_)]
    return plain[0] == plain[1] and "map<" not in plain[0]


def _from_native(column: ContractColumn, source: Source, family: str) -> Typed:
    """A value that has a type already. What a cast would change (a fraction cut off, a time of day dropped) is a failure."""
    raw, native = source.raw, source.type
    if native == column.type.lower():
        return Typed(raw, None)
    if native == "timestamp_ntz" and family == "timestamp":
        return Typed(_in_zone(raw.cast("timestamp"), column), raw.isNotNull() & F.col(column.name).isNull())
    value = raw.try_cast(column.type)
    failed = raw.isNotNull() & F.col(column.name).isNull()
    if family in _NUMBERS or family == "date" or _only_numbers_differ(native, column.type):
        back = F.coalesce(F.col(column.name).try_cast(native) == raw, F.lit(False))
        failed = failed | (raw.isNotNull() & ~back)
    return Typed(value, failed)
