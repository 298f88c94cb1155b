"""The rows of a table as Spark reads them: the JSON text that the server makes of each, under one frozen moment, over several connections.

Numbers of any size, NaN, infinite dates and the like have no place in Spark's types, so a row stays what the server says of it, and Silver's types judge it.
Values whose JSON would lose something on the way (numeric, json) are texts within it.
Not here: which rows (`cursor`, `snapshot`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TypeVar
from urllib.parse import quote

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from lakehouse.contracts.model import PostgresSource
from lakehouse.sources.postgres.database import WRITTEN, Field, Frozen, quoted, unreachable

T = TypeVar("T")
FETCH_ROWS = 10_000  # rows of one round trip: what a connection keeps in memory
_AS_TEXT = ("numeric", "json", "jsonb")
_SECURITY = ("sslmode", "sslrootcert", "sslcert", "sslkey")


def payload(fields: Sequence[Field]) -> str:
    """SQL for a row of `t` as JSON text, fields in the table's order."""
    return f"(SELECT row_to_json(_row)::text FROM (SELECT {', '.join(map(_written, fields))}) _row)"


def _written(field: Field) -> str:
    name = quoted(field.name)
    if field.type in _AS_TEXT:
        return f"t.{name}::text AS {name}"
    if field.type == "money":
        return f"t.{name}::numeric::text AS {name}"  # its own text is the server's locale
    if field.element in _AS_TEXT:
        return f"t.{name}::text[] AS {name}"
    return f"t.{name}"


def read(spark: SparkSession, source: PostgresSource, moment: Frozen, query: str, parts: Sequence[str]) -> DataFrame:
    """The rows of a query as they were at that moment; each of the `parts` (SQL over the query's columns) is read by a connection of its own."""
    info = moment.connection.info
    begin = f"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '{moment.snapshot}'; {WRITTEN}"
    properties = {
        "driver": "org.postgresql.Driver",
        "user": info.user,
        "password": info.password,
        "ApplicationName": "lakehouse",
        "tcpKeepAlive": "true",
        "fetchsize": str(FETCH_ROWS),  # also makes the reader open a transaction, which the first statement then ties to the moment
        "sessionInitStatement": begin,
        **{k: v for k, v in info.get_parameters().items() if k in _SECURITY},
    }
    host = f"[{info.host}]" if ":" in info.host else info.host
    url = f"jdbc:postgresql://{host}:{info.port}/{quote(source.database, safe='')}"
    return spark.read.jdbc(url, f"({query}) q", predicates=list(parts), properties={k: v for k, v in properties.items() if v})


def without(rows: DataFrame, held: DataFrame) -> DataFrame:
    """The rows whose `_payload` is not among those held; a payload that is there n times more is n rows."""
    each = Window.partitionBy("_payload").orderBy("_payload")
    left, right = (side.withColumn("_n", F.row_number().over(each)) for side in (rows, held.select("_payload")))
    return left.join(right, ["_payload", "_n"], "left_anti").drop("_n")


def count(source: PostgresSource, found: DataFrame) -> int:
    """How many rows there are. Raises `SourceError` for what the database says no to."""
    try:
        return found.count()
    except PySparkException as error:
        raise_unreachable(source, error)
        raise


def raise_unreachable(source: PostgresSource, error: PySparkException) -> None:
    """Raise `SourceError` in PostgreSQL's own words, where Spark's error carries any."""
    said = [line.partition("PSQLException:")[2].strip() for line in str(error).splitlines() if "PSQLException:" in line]
    if said:
        raise unreachable(source, said[-1]) from error


@contextmanager
def released(opened: AbstractContextManager[T]) -> Iterator[tuple[T, Callable[[], Callable[[], None]]]]:
    """What a context manager gives, and a function that hands over the duty to close it: to whoever calls what that returns. Else it is closed here."""
    with ExitStack() as stack:
        yield stack.enter_context(opened), lambda: stack.pop_all().close
