"""SQL in contracts is judged without Spark: what a row's own columns can answer passes, all else is refused with a reason."""

from __future__ import annotations

import pytest

from lakehouse.contracts.expressions import check_expression, columns_of, spark_functions

COLUMNS = {"a": "int", "b": "string", "ts": "timestamp", "arr": "array<int>", "s": "struct<x:int>", "ok": "boolean", "my col": "int"}

GOOD = [
    "a > 0",
    "A > 0",
    "`a` > 0",
    "`my col` = 1",
    "a between 1 and 2 and b is not null",
    "b rlike '^x' or b like any ('a%', 'b%')",
    "b in ('x', 'now()')",
    "a is not distinct from 1",
    "s.x > 1",
    "arr[0] > 1",
    "exists(arr, x -> x > a)",
    "forall(arr, x -> x > 0) and transform(arr, (x, i) -> x + i) = arr",
    "coalesce(ts < timestamp'2024-01-01' + interval 1 day, true)",
    "case when (a > 1) then (true) else (false) end",
    "try_cast(b as decimal(10,2)) > 0",
    "unix_timestamp(ts) > 0",
    "timestampdiff(hour, ts, ts) < 24",
    "extract(year from ts) > 2000 and substring(b from 1 for 2) = 'x'",
    "ok",
    "not ok",
    "true",
    "b = \"quoted\" or b = 'it''s'",
    "isnan(a) or get_json_object(b, '$.x') = '1'",
]

BAD = [
    ("a >", "does not parse"),
    ("(a > 0", "does not parse"),
    ("", "one SQL expression"),
    ("a > 0; drop table x", "one SQL expression"),
    ("select a from t", "not SELECT"),
    ("drop table t", "not DROP"),
    ("*", "not STAR"),
    ("a > 0 as good", "without an alias"),
    ("a > 0 -- why", "SQL comment"),
    ("/* why */ a > 0", "SQL comment"),
    ("exists(select 1)", "subquery"),
    ("a in (select a from t)", "subquery"),
    ("row_number() over (order by a) = 1", "window function"),
    ("row_number() = 1", "looks at other rows"),
    ("count(*) > 0", "count() aggregates"),
    ("any(ok)", "any() aggregates"),
    ("bool_and(ok)", "bool_and() aggregates"),
    ("explode(arr) > 1", "several rows"),
    ("now() > ts", "now() depends on the clock"),
    ("current_date > ts", "current_date() depends on the clock"),
    ("unix_timestamp() > a", "depends on the clock"),
    ("uuid() = b", "depends on chance"),
    ("rand() > 0.5", "depends on chance"),
    ("input_file_name() = b", "depends on where it runs"),
    ("reflect('java.lang.System', 'exit') = b", "runs other code"),
    ("raise_error('no')", "stops the run"),
    ("lenght(b) > 1", "Did you mean 'length'"),
    ("c > 0", "names 'c'"),
    ("t.a > 0", "names 't.a'"),
    ("exists(arr, x -> y > 0)", "names 'y'"),
    ("_ingested_at > ts", "names '_ingested_at'"),
    ("a", "must be true or false"),
    ("a + 1", "must be true or false"),
    ("'x'", "must be true or false"),
    ("cast(a as string)", "must be true or false"),
]


@pytest.mark.parametrize("text", GOOD)
def test_a_condition_over_the_row_passes(text: str) -> None:
    assert check_expression(text, COLUMNS, truth=True) == []


@pytest.mark.parametrize(("text", "says"), BAD, ids=[t for t, _ in BAD])
def test_anything_else_is_refused_with_a_reason(text: str, says: str) -> None:
    told = check_expression(text, COLUMNS, truth=True)
    assert any(says in t for t in told), told


def test_a_derived_column_may_have_any_type() -> None:
    assert check_expression("a + 1", COLUMNS, truth=False) == []
    assert check_expression("cast(ts as date)", COLUMNS, truth=False) == []


def test_the_columns_of_an_expression_are_named_once_without_lambda_parameters() -> None:
    assert columns_of("A > 0 and exists(arr, x -> x > a) and s.x = 1") == {"a", "arr", "s"}
    assert columns_of("a >") == set()


def test_the_list_of_functions_knows_their_kinds() -> None:
    kinds = spark_functions()
    assert len(kinds) > 500
    assert (kinds["length"], kinds["sum"], kinds["rank"], kinds["explode"]) == ("row", "aggregate", "window", "generator")
