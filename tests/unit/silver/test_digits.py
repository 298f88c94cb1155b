"""Types with decimals inside: what they are made of, and the same with texts for all values."""

from __future__ import annotations

import pytest

from lakehouse.contracts.spark_types import parse_type
from lakehouse.silver.digits import as_texts, decimal_size, has_decimals


@pytest.mark.parametrize(
    ("type_", "decimals", "texts"),
    [
        ("int", False, "string"),
        ("decimal(10,2)", True, "string"),
        ("array<decimal(10,2)>", True, "array<string>"),
        ("map<string,array<bigint>>", False, "map<string,array<string>>"),
        ("map<string,decimal(38,10)>", True, "map<string,string>"),
        ("struct<date:date,`a, b<c>`:array<struct<p:decimal(4,2),int:int>>>", True, "struct<date:string,`a, b<c>`:array<struct<p:string,int:string>>>"),
        ("array<struct<decimal:int>>", False, "array<struct<decimal:string>>"),
    ],
)
def test_a_type_tells_where_decimals_are_and_is_written_with_texts_instead(type_: str, decimals: bool, texts: str) -> None:
    assert (has_decimals(type_), as_texts(type_)) == (decimals, texts)
    assert as_texts(parse_type(type_)) == texts


def test_a_decimal_has_ten_digits_unless_it_says_otherwise() -> None:
    assert [decimal_size(t) for t in ("decimal", "decimal(5)", "decimal(20,4)", "decimal(20, 4)")] == [(10, 0), (5, 0), (20, 4), (20, 4)]
