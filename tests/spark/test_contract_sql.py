"""What contracts check without Spark agrees with Spark: its functions, its types, its expressions."""

from __future__ import annotations

import re

import pytest
from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import SparkSession

from lakehouse.contracts.expressions import check_expression, spark_functions
from lakehouse.contracts.spark_types import parse_type

COLUMNS = {"a": "int", "b": "string", "ts": "timestamp", "arr": "array<int>", "s": "struct<x:int>", "ok": "boolean"}
EXPRESSIONS = [
    "a > 0",
    "b rlike '^x' or b like any ('a%', 'b%')",
    "exists(arr, x -> x > a) and forall(arr, x -> x > 0)",
    "coalesce(ts < timestamp'2024-01-01' + interval 1 day, true)",
    "try_cast(b as decimal(10,2)) > 0 and timestampdiff(hour, ts, ts) < 24",
    "extract(year from ts) > 2000 and substring(b from 1 for 2) = 'x' and s.x is not distinct from 1",
    "lenght(b) > 1",
    "a >",
    "(a > 0",
    "c > 0",
    "a > 0 as x from t",
    "foo(a) = 1",
]


def test_the_list_of_functions_is_the_engines(spark: SparkSession) -> None:
    engine = {row[0].rpartition(".")[2] for row in spark.sql("show system functions").collect()}
    named = {name for name in engine if re.fullmatch(r"[a-z_]\w*", name)}
    missing = {name for name in named - set(spark_functions()) if name not in ("case",)}
    assert not missing, f"add to contracts/spark_functions.txt: {sorted(missing)}"
    assert not set(spark_functions()) - named, "no longer in Spark"


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_an_expression_is_accepted_if_and_only_if_spark_takes_it(spark: SparkSession, text: str) -> None:
    row = spark.createDataFrame([], ", ".join(f"{n} {t}" for n, t in COLUMNS.items()))
    try:
        row.selectExpr(f"({text}) as good").schema  # noqa: B018 (analysis is what is asked for)
        taken = True
    except (AnalysisException, ParseException):
        taken = False
    assert (check_expression(text, COLUMNS, truth=True) == []) == taken


@pytest.mark.parametrize("text", ["LONG", "decimal(12, 3)", "array<struct<a int, `b c`: string>>", "map<string,array<double>>", "smallint", "real", "binary"])
def test_a_type_is_written_as_spark_writes_it(spark: SparkSession, text: str) -> None:
    written = spark.sql(f"select cast(null as {text}) as x").schema["x"].dataType.simpleString()
    assert parse_type(text).replace("`", "") == written.replace("`", "")
