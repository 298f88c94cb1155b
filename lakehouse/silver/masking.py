"""Masking of personal data as the contract says, applied after the rules, when a row enters Silver. Bronze and quarantine keep the raw record.

A hash is a pseudonym, not anonymity: equal values have equal hashes. Not here: who may read which table.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.contracts.model import Contract, MaskPolicy


def masked(rows: DataFrame, contract: Contract) -> DataFrame:
    """The rows with every masked column hidden."""
    hidden = {c.name: _mask(F.col(c.name), c.masking, c.type) for c in contract.columns if c.masking}
    return rows.withColumns(hidden) if hidden else rows


def _mask(value: Column, policy: MaskPolicy, type_: str) -> Column:
    match policy:
        case "sha256":
            return F.sha2(value.cast("string"), 256)
        case "redact":
            return F.when(value.isNotNull(), F.lit("***"))
        case "null":
            return F.lit(None).cast(type_)
