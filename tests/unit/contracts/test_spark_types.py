"""Types as text: read as Spark reads them, written one way, compared with logical types."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.contracts.spark_types import misfit, parse_type, widens

SIMPLE = st.sampled_from(["boolean", "tinyint", "smallint", "int", "bigint", "float", "double", "string", "binary", "date", "timestamp", "decimal(38,18)"])
TYPES = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(
        inner.map(lambda t: f"array<{t}>"),
        st.tuples(SIMPLE, inner).map(lambda p: f"map<{p[0]},{p[1]}>"),
        st.lists(inner, min_size=1, max_size=4).map(lambda ts: "struct<" + ",".join(f"f{i}:{t}" for i, t in enumerate(ts)) + ">"),
    ),
    max_leaves=8,
)


@given(TYPES)
def test_a_type_written_one_way_is_read_as_itself(text: str) -> None:
    assert parse_type(text) == text
    assert parse_type(text.upper().replace("F0", "f0").replace("F1", "f1").replace("F2", "f2").replace("F3", "f3")) == text
    assert parse_type(text.replace(",", " , ").replace("<", " < ")) == text


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        ("LONG", "bigint"),
        ("integer", "int"),
        ("decimal", "decimal(10,0)"),
        ("numeric(5)", "decimal(5,0)"),
        ("array<struct<a int, `b c`: string>>", "array<struct<a:int,`b c`:string>>"),
    ],
)
def test_other_spellings_are_understood(text: str, type_: str) -> None:
    assert parse_type(text) == type_


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("varchar(10)", "maxLength"),
        ("bigit", "Did you mean 'bigint'"),
        ("decimal(39,2)", "1 to 38 digits"),
        ("decimal(x)", "number of digits"),
        ("array<int", "'>' is missing"),
        ("array", "'<' is missing"),
        ("map<string>", "',' is missing"),
        ("struct<>", "is not a type"),
        ("struct<a: int, A: int>", "stands twice"),
        ("int int", "goes on after the type"),
        ("", "ends too early"),
        ("int; drop", "can't be read"),
    ],
)
def test_what_is_no_type_says_why(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=".*") as told:
        parse_type(text)
    assert says in str(told.value)


@given(st.text(max_size=30))
def test_any_text_is_a_type_or_a_reason(text: str) -> None:
    try:
        assert parse_type(parse_type(text)) == parse_type(text)
    except ValueError as error:
        assert str(error)


def test_logical_types_name_what_can_hold_them() -> None:
    assert misfit("integer", "bigint") is None
    assert misfit("integer", "decimal(10,0)") is None
    assert "decimal places" in (misfit("integer", "decimal(10,2)") or "")
    assert "Allowed: timestamp" in (misfit("timestamp", "string") or "")


WIDER = [
    ("tinyint", "smallint"), ("tinyint", "bigint"), ("int", "bigint"), ("float", "double"), ("int", "double"), ("int", "decimal(10,0)"),
    ("int", "decimal(12,2)"), ("bigint", "decimal(20,0)"), ("decimal(10,2)", "decimal(12,2)"), ("decimal(10,2)", "decimal(12,4)"),
]  # fmt: skip
NARROWER = [
    ("bigint", "int"), ("bigint", "double"), ("bigint", "decimal(19,0)"), ("int", "decimal(10,2)"), ("double", "float"), ("int", "string"),
    ("decimal(10,2)", "decimal(12,5)"), ("decimal(10,2)", "decimal(10,3)"), ("decimal(10,2)", "decimal(9,2)"), ("decimal(10,2)", "decimal(10,1)"),
    ("date", "timestamp"), ("array<int>", "array<bigint>"), ("int", "int"), ("decimal(10,2)", "decimal(10,2)"), ("boolean", "int"), ("float", "decimal(38,0)"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "wide"), [*((*p, True) for p in WIDER), *((*p, False) for p in NARROWER)])
def test_a_type_widens_where_no_value_can_be_lost(old: str, new: str, wide: bool) -> None:
    assert widens(old, new) is wide
