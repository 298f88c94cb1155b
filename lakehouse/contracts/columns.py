"""The columns of a contract, from the standard's `properties`: types, keys' marks and declared rules. Not here: what concerns several columns (`table`)."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from lakehouse.contracts.mistakes import nearest
from lakehouse.contracts.model import Column
from lakehouse.contracts.node import Node
from lakehouse.contracts.profile import ColumnProperties, read_properties
from lakehouse.contracts.references import read_parent
from lakehouse.contracts.regexes import check_regex
from lakehouse.contracts.spark_types import DEFAULTS, family, misfit, parse_type

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,126}\Z")
TAG = re.compile(r"[A-Za-z0-9_.-]{1,63}\Z")
LOGICAL = ("string", "integer", "number", "boolean", "date", "timestamp", "time", "object", "array", "map", "vector")
BOUNDS = {"minimum": "minimum", "maximum": "maximum", "exclusiveMinimum": "exclusive_minimum", "exclusiveMaximum": "exclusive_maximum"}
# https://spark.apache.org/docs/latest/sql-ref-datetime-pattern.html
_DATETIME_LETTERS = frozenset("GyMLdQqEFahKkHmsSVzOXxZ")
_DATE_PARTS = {"year (yyyy)": "y", "month (MM)": "ML", "day (dd)": "d", "time": "HhKkmsS"}
_SCALAR = ("string", "integer", "number", "boolean", "date", "timestamp", "time")


@dataclass(frozen=True)
class Declared:
    """A column as declared, with what the table as a whole needs of it."""

    column: Column
    node: Node
    key: bool
    key_position: int | None
    partitioned: bool
    required: bool | None


def read_column(node: Node) -> Declared | None:
    """One column; None when it has no usable name. Reports what is wrong with it."""
    name = node.text("name")
    if name is None:
        return None
    _check_name(node, name)
    properties = read_properties(ColumnProperties, node)
    logical, spark_type = _types(node)
    column = Column(
        name=name,
        type=spark_type,
        logical_type=logical,
        description=_line(node.text("description")),
        required=bool(node.flag("required")),
        expression=(node.text("transformLogic") or "").strip() or None,
        source_field="" if "transformLogic" in node.value else properties.sourceField or name,
        on_fail=properties.onFail,
        masking=properties.masking.policy if properties.masking else None,
        parent=read_parent(node),
        classification=node.text("classification"),
        tags=read_tags(node),
        enum=_enum(node, logical, spark_type),
        **_options(node, logical),
    )
    _check_source_field(node, column, properties)
    _check_masking(node, column)
    _notes(node, column)
    return Declared(column, node, bool(node.flag("primaryKey")), _position(node), bool(node.flag("partitioned")), node.flag("required"))


def read_tags(node: Node) -> tuple[str, ...]:
    """The tags of an element; each may hold letters, digits and `_.-`."""
    tags = [t for t in node.list("tags") if isinstance(t, str)]
    for i, tag in enumerate(tags):
        if not TAG.match(tag):
            node.wrong(f"tag {tag!r} may have at most 63 letters, digits, '_', '.' and '-'", "tags", i)
    return tuple(dict.fromkeys(t for t in tags if TAG.match(t)))


def _line(text: str | None) -> str:
    return " ".join((text or "").split())


def _check_name(node: Node, name: str) -> None:
    hint = "`sourceField` names the field in the source"
    if name.startswith("_"):
        node.wrong(f"{name!r} begins with '_': such names are the platform's own. Choose another; {hint}", "name")
    elif not NAME.match(name):
        node.wrong(f"{name!r} must begin with a letter and go on with letters, digits and '_' (at most 127); {hint}", "name")
    if node.text("physicalName") not in (None, name):
        node.wrong(f"must be the name, {name!r}, or left out; {hint}", "physicalName")


def _types(node: Node) -> tuple[str, str]:
    """(logical, Spark) type; `string` stands in for what can't be read, so that the other checks go on."""
    logical, physical = node.text("logicalType"), node.text("physicalType")
    if logical is None:
        if "logicalType" not in node.value:
            node.wrong(f"'logicalType' is missing. Allowed: {', '.join(LOGICAL)}")
        return "", "string"
    if logical not in LOGICAL:
        return "", "string"  # the standard's schema says so
    if physical is None:
        if logical not in DEFAULTS:
            node.wrong(f"logicalType {logical} needs a `physicalType`, such as array<string>, map<string,double> or struct<a: int>")
        return logical, DEFAULTS.get(logical, "string")
    try:
        spark_type = parse_type(physical)
    except ValueError as error:
        node.wrong(str(error), "physicalType")
        return logical, DEFAULTS.get(logical, "string")
    wrong = misfit(logical, spark_type)
    if wrong:
        node.wrong(wrong, "physicalType")
    return logical, spark_type


def _position(node: Node) -> int | None:
    position = node.whole("primaryKeyPosition")
    if position is not None and position != -1 and not node.flag("primaryKey"):
        node.wrong("needs `primaryKey: true`", "primaryKeyPosition")
    return None if position == -1 else position


def _enum(node: Node, logical: str, spark_type: str) -> tuple[str, ...]:
    items = node.list("enum")
    if items and (logical not in _SCALAR or logical in ("date", "timestamp", "time")):
        node.wrong(f"an enum needs logicalType string, integer, number or boolean, not {logical}", "enum")
        return ()
    if items and family(spark_type) in ("double", "float"):
        node.wrong(f"an enum needs values that are exact, and {spark_type} rounds: use physicalType decimal(p,s) or a whole number", "enum")
        return ()
    values: list[str] = []
    for i, item in enumerate(items):
        value = item.get("value") if isinstance(item, dict) else item
        if isinstance(item, dict) and "value" not in item:
            continue  # the standard's schema says so
        text = _enum_text(value, logical, spark_type)
        if text is None:
            node.wrong(f"{value!r} is no value of {spark_type}{': put it in quotes' if spark_type == 'string' else ''}", "enum", i)
        elif text in values:
            node.wrong(f"{value!r} stands twice", "enum", i)
        else:
            values.append(text)
    return tuple(values)


def _enum_text(value: object, logical: str, spark_type: str) -> str | None:
    """The value as Spark writes it as text, or None when it is of another type."""
    kinds: dict[str, tuple[type, ...]] = {"integer": (int,), "number": (int, float), "boolean": (bool,)}
    if not isinstance(value, kinds.get(logical, (str,))) or (isinstance(value, bool) and logical != "boolean"):
        return None
    if family(spark_type) == "decimal":
        scale = Decimal(1).scaleb(-int(spark_type.rstrip(")").rpartition(",")[2]))
        exact = Decimal(str(value))
        return format(exact.quantize(scale), "f") if exact == exact.quantize(scale) else None
    return str(value).lower() if isinstance(value, bool) else str(value)


def _options(node: Node, logical: str) -> dict[str, Any]:
    """The parts of a Column that logicalTypeOptions say."""
    options = node.node("logicalTypeOptions")
    found: dict[str, Any] = {}
    pattern = options.text("pattern")
    if pattern is not None:
        wrong = check_regex(pattern)
        if wrong:
            options.wrong(wrong, "pattern")
        found["pattern"] = pattern
    found.update(min_length=options.whole("minLength"), max_length=options.whole("maxLength"))
    _ordered(options, "minLength", "maxLength", found["min_length"], found["max_length"], strict=False)
    if logical in ("date", "timestamp"):
        found.update(_times(options, logical))
    elif logical in ("integer", "number"):
        found.update({ours: options.number(theirs) for theirs, ours in BOUNDS.items()})
    _check_range(options, found)
    for key in ("multipleOf", "minProperties", "maxProperties", "required", "minItems", "maxItems", "uniqueItems"):
        if key in options.value:
            options.note("is not checked by this version: write a rule (quality, engine lakehouse)", key)
    if "format" in options.value and logical not in ("date", "timestamp"):
        options.note("is not acted on: use `physicalType`, or `pattern` for text", "format")
    return found


def _times(options: Node, logical: str) -> dict[str, Any]:
    read = date.fromisoformat if logical == "date" else datetime.fromisoformat
    found: dict[str, Any] = {}
    for theirs, ours in BOUNDS.items():
        text = options.text(theirs)
        if text is None:
            continue
        try:
            read(text)
        except ValueError:
            options.wrong(f"{text!r} is no {logical}: write it as {'2026-01-31' if logical == 'date' else '2026-01-31T06:00:00Z'}", theirs)
        else:
            found[ours] = text
    pattern = options.text("format")
    if pattern is not None:
        _check_format(options, pattern)
        found["format"] = pattern
    if logical == "timestamp":
        found["timezone"] = _zone(options)
    return found


def _check_format(options: Node, pattern: str) -> None:
    letters = {c for c in re.sub(r"'[^']*'", "", pattern) if c.isascii() and (c.isalpha() or c == "%")}
    unknown = sorted(letters - _DATETIME_LETTERS)
    if "%" in letters:
        options.wrong(f"{pattern!r}: write a Spark pattern such as yyyy-MM-dd HH:mm:ss, not strftime's", "format")
    elif letters & set("YDw"):
        options.wrong(f"{pattern!r}: Spark's pattern for the year is yyyy and for the day dd; Y, D and w are refused", "format")
    elif unknown:
        options.wrong(f"{pattern!r}: {', '.join(unknown)} is no letter of Spark's datetime patterns; put text in single quotes", "format")
    elif not letters:
        options.wrong(f"{pattern!r} is no datetime pattern, such as yyyy-MM-dd HH:mm:ss", "format")
    elif missing := _left_out(letters):  # Spark would take 1970, January or the first for it
        hint = "; mm is minutes" if "m" in letters and "month (MM)" in missing else ""
        options.wrong(f"{pattern!r} has no {' and no '.join(missing)}{hint}", "format")


def _left_out(letters: set[str]) -> list[str]:
    """The parts of a date that a pattern lacks although it has a smaller one; the year, in any case."""
    there = [bool(letters & set(own)) for own in _DATE_PARTS.values()]
    return [name for n, name in enumerate(_DATE_PARTS) if not there[n] and (n == 0 or any(there[n + 1 :]))]


def _zone(options: Node) -> str | None:
    zone = options.text("defaultTimezone")
    if zone is None:
        if options.flag("timezone") is False:
            options.wrong("timezone: false says that times carry no zone: name it in `defaultTimezone`, such as Europe/Berlin", "timezone")
        return None
    try:
        ZoneInfo(zone)
    except (ValueError, OSError, KeyError):
        meant = nearest(zone, available_timezones())
        hint = f" Did you mean {meant!r}?" if meant else ""
        options.wrong(f"unknown timezone {zone!r}.{hint} Allowed: names of the IANA database, such as Europe/Berlin.", "defaultTimezone")
        return None
    return zone


def _check_range(options: Node, found: dict[str, Any]) -> None:
    for theirs, ours in BOUNDS.items():
        value = found.get(ours)
        if isinstance(value, float) and not math.isfinite(value):
            options.wrong("must be a finite number", theirs)
    for low, high in (("minimum", "maximum"), ("exclusiveMinimum", "exclusiveMaximum"), ("minimum", "exclusiveMaximum"), ("exclusiveMinimum", "maximum")):
        _ordered(options, low, high, found.get(BOUNDS[low]), found.get(BOUNDS[high]), strict="exclusive" in low + high)


def _ordered(options: Node, low: str, high: str, least: Any, most: Any, *, strict: bool) -> None:
    if least is None or most is None or type(least) is str and (least[10:] or most[10:]):
        return  # times may carry different zones: not compared as text
    if least > most or (strict and least == most):
        options.wrong(f"no value can be {'above' if strict else 'at least'} {low} {least} and at most {high} {most}", high)


def _check_source_field(node: Node, column: Column, properties: ColumnProperties) -> None:
    if "transformLogic" in node.value:
        if column.expression is None and node.text("transformLogic") is not None:
            node.wrong("is empty", "transformLogic")
        if properties.sourceField:
            node.wrong("a derived column (`transformLogic`) is not read from the source: drop `sourceField`", "customProperties")


def _check_masking(node: Node, column: Column) -> None:
    if column.masking in ("sha256", "redact") and column.type != "string":
        node.wrong(f"masking {column.masking} makes text, and the column is {column.type}. Allowed for it: null", "customProperties")
    if column.masking == "null" and column.required:
        node.wrong("masking null empties a required column: make it `required: false`, or use sha256 or redact", "customProperties")


def _notes(node: Node, column: Column) -> None:
    for nested in (k for k in ("properties", "items") if k in node.value):
        node.note("is documentation: `physicalType` decides, and rules below are not checked", nested)
    if node.flag("unique") and not node.flag("primaryKey"):
        node.note("is not checked by this version, except of the primary key", "unique")
    if "encryptedName" in node.value:
        node.note("is not acted on: use the property `masking`", "encryptedName")
    if any(not isinstance(item, dict) for item in node.list("enum")):
        node.note("plain values are our shorthand; other ODCS tools want `- {value: …}`", "enum")
    if node.text("semanticType") == "measure":
        node.wrong("a measure is an aggregate, and Silver holds rows: define it in Gold", "semanticType")
