"""Which record of an identity wins, by a total order; so the result never depends on arrival order or batch split.

Order: the contract's sequence columns, then origin, then record hash; the greatest wins, NULL is lowest. Pure.
Not here: versions of type 2 (`silver.history`), writing (`silver.build`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakehouse.contracts.model import Contract
from lakehouse.engine.kept import kept

_FEW = 200_000  # records up to which sorting everything costs less than looking for rivals first
_MANY = 0.05  # share of records with rivals above which it does, too


def order_columns(contract: Contract) -> tuple[str, ...]:
    """The columns of the total order, most significant first. The place of a snapshot's record is its moment, whatever its files are called."""
    origin = ("_source_position", "_source") if contract.source.compared else ("_source", "_source_position")
    return (*contract.sequence, *origin, "_record_hash")


def newer(contract: Contract) -> str:
    """SQL: record `s` wins over record `t`."""
    return "struct({}) > struct({})".format(*(", ".join(f"{side}.`{c}`" for c in order_columns(contract)) for side in ("s", "t")))


def ranked(rows: DataFrame, contract: Contract) -> DataFrame:
    """Add `_rank`: 1 for the winner of each identity, higher for those it supersedes."""
    window = Window.partitionBy(*contract.identity).orderBy(*[F.col(c).desc_nulls_last() for c in order_columns(contract)])
    return rows.withColumn("_rank", F.row_number().over(window))


def identity_hash(contract: Contract) -> Column:
    """64 bits of a row's identity. Equal identities have equal hashes; the converse is never relied on."""
    return F.xxhash64(*contract.identity)


@contextmanager
def winners(rows: DataFrame, total: int, contract: Contract) -> Iterator[tuple[DataFrame, DataFrame]]:
    """The winners, and the superseded records, of rows that are kept; `total` is how many they are.

    Few records have rivals. So a narrow count of identity hashes finds them, only they are shuffled and sorted, and the others are written as they come,
    which also keeps files in the order of arrival. A hash collision only sends two rows through the sort that did not need it.
    """
    if total <= _FEW:
        yield _parted(ranked(rows, contract))
        return
    hashed = rows.withColumn("_identity", identity_hash(contract))
    with kept(hashed.groupBy("_identity").count().where("count > 1").select("_identity")) as rivals:
        crowded = rivals.count()
        if crowded > _MANY * total:
            yield _parted(ranked(rows, contract))
        elif crowded == 0:
            yield rows, rows.limit(0)
        else:
            alone = hashed.join(F.broadcast(rivals), "_identity", "left_anti").drop("_identity")
            won, lost = _parted(ranked(hashed.join(F.broadcast(rivals), "_identity", "left_semi").drop("_identity"), contract))
            yield alone.unionByName(won), lost


def _parted(rows: DataFrame) -> tuple[DataFrame, DataFrame]:
    return rows.where("_rank = 1").drop("_rank"), rows.where("_rank > 1").drop("_rank")
