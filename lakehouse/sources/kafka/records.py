"""The records of offset ranges as a DataFrame, with the envelope. Nothing is interpreted. Not here: which ranges (`Kafka`), what a record means (`silver`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts.model import KafkaSource
from lakehouse.sources.kafka.broker import Part
from lakehouse.sources.kafka.options import brokers_of, spark_options
from lakehouse.sources.protocol import envelope
from lakehouse.tables import Field

Ranges = Mapping[Part, tuple[int, int]]  # per partition the first offset, and the one after the last
_ENVELOPE = (
    Field("_key", "binary", "The record's key."),
    Field("_headers", "array<struct<key:string,value:binary>>", "The record's headers."),
    *envelope("Topic and partition, as topic/partition.", "Offset in the partition.", "The record's timestamp."),
)


def fields_of(source: KafkaSource) -> tuple[Field, ...]:
    """The columns of records. What is no text stays bytes."""
    kind = "binary" if source.format == "avro" else "string"
    return Field("_payload", kind, "The raw record; empty when the record has no value."), *_ENVELOPE


def read(spark: SparkSession, source: KafkaSource, start: date, ranges: Ranges) -> DataFrame:
    """The committed records of these ranges. Columns: those of `fields_of`. `start`: the first day there is.

    The Bronze day is the record's own, unless that lies before `start` or more than a day ahead of the clock.
    """
    options = {
        "kafka.bootstrap.servers": brokers_of(source),
        "kafka.isolation.level": "read_committed",
        "assign": _by_topic({part: None for part in ranges}),
        "startingOffsets": _by_topic({part: first for part, (first, _) in ranges.items()}),
        "endingOffsets": _by_topic({part: after for part, (_, after) in ranges.items()}),
        "failOnDataLoss": "true",
        "includeHeaders": "true",
        **spark_options(),
    }
    records = spark.read.format("kafka").options(**options).load()
    day = F.to_date("timestamp")
    in_range = (day >= F.lit(start)) & (day <= F.date_add(F.current_date(), 1))
    return records.select(
        (F.col("value") if source.format == "avro" else F.col("value").cast("string")).alias("_payload"),
        F.col("key").alias("_key"),
        F.col("headers").alias("_headers"),
        F.concat_ws("/", "topic", "partition").alias("_source"),
        F.col("offset").alias("_source_position"),
        F.col("timestamp").alias("_source_time"),
        F.current_timestamp().alias("_ingested_at"),
        F.when(in_range, day).alias("_source_date"),
    )


def _by_topic(values: Mapping[Part, int | None]) -> str:
    """Spark's JSON of partitions: {topic: [partition, …]} without values, {topic: {partition: offset}} with them."""
    topics = sorted({topic for topic, _ in values})
    if all(v is None for v in values.values()):
        return json.dumps({t: sorted(p for topic, p in values if topic == t) for t in topics})
    return json.dumps({t: {str(p): v for (topic, p), v in sorted(values.items()) if topic == t} for t in topics})
