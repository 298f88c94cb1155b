"""Refused records: their shape, and the rows for them. Each keeps its raw record, every reason and where it came from.

Not here: which rules there are (`quality.rules`), writing (`engine.delta`).
"""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.contracts.model import Contract, Disposition
from lakehouse.contracts.recorded import properties
from lakehouse.contracts.rules import known
from lakehouse.contracts.spark_schema import quarantine_fields
from lakehouse.engine.shape import Shape
from lakehouse.quality.rules import dispositions


def shape(contract: Contract) -> Shape:
    """The quarantine table, partitioned by Bronze day."""
    comment = f"Records of {contract.name} that were refused, with every reason."
    return Shape(quarantine_fields(contract), "_source_date", comment, properties(contract))


def refused(judged: DataFrame, contract: Contract) -> DataFrame:
    """The rows of the quarantine table among judged rows. A dropped record keeps its origin and reasons, not its content."""
    actions = dispositions(contract)
    kept = F.size(_others(actions, "drop")) > 0
    # It waits for rows of other tables, and for nothing else.
    waits = F.size(_others(actions, "hold", "warn")) == 0 if contract.waiting_columns else F.lit(False)
    event_date = F.col(contract.event_date) if contract.event_date else F.lit(None).cast("date")
    # Bytes that are no text would break every reader of the table; Bronze keeps them as they came.
    printable = F.when(F.is_valid_utf8("_payload"), F.col("_payload")).otherwise(F.concat(F.lit("base64:"), F.base64(F.col("_payload").cast("binary"))))
    return judged.where("not _accepted").select(
        F.when(kept, printable).alias("_payload"),
        F.col("_reasons"),
        F.when(waits, "held").when(kept, "quarantined").otherwise("dropped").alias("_disposition"),
        event_date.alias("_event_date"),
        "_source",
        "_source_position",
        "_source_time",
        "_ingested_at",
        "_record_hash",
        F.lit(contract.version).alias("_contract_version"),
        F.current_timestamp().alias("_quarantined_at"),
        *_waiting(contract, waits),
        "_source_date",
    )


def _others(actions: Mapping[str, Disposition], *but: Disposition) -> Column:
    """The reasons that do something else."""
    return F.array_except("_reasons", F.array(F.lit(""), *[F.lit(name) for name, action in actions.items() if action in but]))


def _waiting(contract: Contract, waits: Column) -> list[Column]:
    """What a record waits for, and until when."""
    if not contract.waiting_columns:
        return []
    broken = [(c, p, F.array_contains("_reasons", known(c))) for c, p in contract.waiting_columns]
    pairs = [x for c, _, missing in broken for x in (F.lit(known(c)), F.when(missing, F.col(c.name).cast("string")))]
    named = F.map_filter(F.create_map(*pairs), lambda _, value: value.isNotNull())
    last = F.array_min(F.array(*[F.when(missing, F.date_add("_source_date", p.horizon_days)) for _, p, missing in broken]))
    return [F.when(waits, named).alias("_waits_for"), F.when(waits, last).alias("_held_until")]
