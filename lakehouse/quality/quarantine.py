"""Refused records: their shape, and the rows for them. Each keeps its raw record, every reason and where it came from.

Not here: which rules there are (`quality.rules`), writing (`engine.delta`).
"""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.contracts.model import Contract
from lakehouse.contracts.recorded import properties
from lakehouse.contracts.spark_schema import quarantine_fields
from lakehouse.engine.shape import Shape
from lakehouse.quality.rules import dispositions


def shape(contract: Contract) -> Shape:
    """The quarantine table, partitioned by Bronze day: quarantine is a function of the Bronze day."""
    comment = f"Records of {contract.name} that were refused, with every reason."
    return Shape(quarantine_fields(contract), "_source_date", comment, properties(contract))


def refused(judged: DataFrame, contract: Contract) -> DataFrame:
    """The rows of the quarantine table among judged rows. A dropped record keeps its origin and reasons, not its content."""
    dropping = F.array(F.lit(""), *[F.lit(name) for name, action in dispositions(contract).items() if action == "drop"])
    kept = F.size(F.array_except("_reasons", dropping)) > 0
    event_date = F.col(contract.event_date) if contract.event_date else F.lit(None).cast("date")
    # Bytes that are no text would break every reader of the table; Bronze keeps them as they came.
    printable = F.when(F.is_valid_utf8("_payload"), F.col("_payload")).otherwise(F.concat(F.lit("base64:"), F.base64(F.col("_payload").cast("binary"))))
    return judged.where("not _accepted").select(
        F.when(kept, printable).alias("_payload"),
        F.col("_reasons"),
        F.when(kept, "quarantined").otherwise("dropped").alias("_disposition"),
        event_date.alias("_event_date"),
        "_source",
        "_source_position",
        "_source_time",
        "_ingested_at",
        "_record_hash",
        F.lit(contract.version).alias("_contract_version"),
        F.current_timestamp().alias("_quarantined_at"),
        "_source_date",
    )
