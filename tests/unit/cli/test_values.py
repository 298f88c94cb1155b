"""What a query's rows look like as text and as JSON: exact, in UTC, nothing lost."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import Row
from pyspark.sql import types as T

from lakehouse.cli.values import object_of, to_json, to_text

CASES: list[tuple[Any, T.DataType, str]] = [
    (None, T.LongType(), "null"),
    (True, T.BooleanType(), "true"),
    (9_223_372_036_854_775_807, T.LongType(), "9223372036854775807"),
    (Decimal("12.50"), T.DecimalType(10, 2), "12.50"),
    (Decimal("0E-18"), T.DecimalType(38, 18), "0.000000000000000000"),
    (Decimal("12345678901234567890123456.78"), T.DecimalType(38, 2), "12345678901234567890123456.78"),
    (0.1, T.DoubleType(), "0.1"),
    (float("nan"), T.DoubleType(), '"NaN"'),
    (float("inf"), T.DoubleType(), '"Infinity"'),
    (float("-inf"), T.FloatType(), '"-Infinity"'),
    ('Plüschbär "Bruno"', T.StringType(), '"Plüschbär \\"Bruno\\""'),
    (date(2026, 11, 21), T.DateType(), '"2026-11-21"'),
    (datetime(2026, 11, 21, 12, 30, 0, 5), T.TimestampType(), '"2026-11-21T12:30:00.000005Z"'),
    (datetime(2026, 11, 21, 12, 30, tzinfo=timezone(timedelta(hours=1))), T.TimestampType(), '"2026-11-21T11:30:00Z"'),
    (datetime(2026, 11, 21, 12, 30, tzinfo=UTC), T.TimestampType(), '"2026-11-21T12:30:00Z"'),
    (datetime(2026, 11, 21, 12, 30), T.TimestampNTZType(), '"2026-11-21T12:30:00"'),
    (b"\x1f\x00", T.BinaryType(), '"HwA="'),
    ([Decimal("1.0"), None], T.ArrayType(T.DecimalType(2, 1)), "[1.0, null]"),
    ({1: "a"}, T.MapType(T.IntegerType(), T.StringType()), '{"1": "a"}'),
    (Row(x=1, y=[None]), T.StructType([T.StructField("x", T.IntegerType()), T.StructField("y", T.ArrayType(T.StringType()))]), '{"x": 1, "y": [null]}'),
    (timedelta(days=1), T.DayTimeIntervalType(), '"1 day, 0:00:00"'),
]


@pytest.mark.parametrize(("value", "kind", "expected"), CASES)
def test_a_value_is_written_exactly_and_is_valid_json(value: Any, kind: T.DataType, expected: str) -> None:
    assert to_json(value, kind) == expected
    json.loads(expected, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_text_is_the_same_without_quotes_and_nothing_for_null() -> None:
    assert to_text("a,b", T.StringType()) == "a,b"
    assert to_text('"quoted"', T.StringType()) == '"quoted"'
    assert to_text(None, T.StringType()) == ""
    assert to_text(date(2026, 1, 2), T.DateType()) == "2026-01-02"
    assert to_text(Decimal("1.10"), T.DecimalType(3, 2)) == "1.10"
    assert to_text([1, 2], T.ArrayType(T.IntegerType())) == "[1, 2]"


def test_a_column_name_that_stands_twice_loses_no_value() -> None:
    fields = [T.StructField(name, T.IntegerType()) for name in ("a", "a", "a_2")]
    assert json.loads(object_of(Row(1, 2, 3), fields)) == {"a": 1, "a_2": 2, "a_2_2": 3}
