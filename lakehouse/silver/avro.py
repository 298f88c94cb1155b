"""Kafka's Avro records as the JSON texts that they stand for, so that whatever follows reads them like JSON; and why one can't be read.

A record is read with the schema that it was written with: the contract's, or the registry's of the id that it begins with. Not here: asking the
registry (`sources.kafka.registry`), what the fields mean (`parse`).

The frame is Confluent's: https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.avro.functions import from_avro
from pyspark.sql.types import ArrayType, BinaryType, DataType, MapType, StringType, StructType

from lakehouse.contracts.model import Contract, KafkaSource
from lakehouse.errors import SourceError

UNDECODED = "_undecoded"
_MOST = 500  # ids that the registry is asked for; more of them in one increment are noise, and the rarest are taken for unknown
_FRAME = 5  # bytes
_END = "b1e55ed5a17f00d5"  # behind each record: what reads less than the record, or more, does not find it there
_TEXT = {  # of all that can be had as a text, as exact as Avro has it
    "ignoreNullFields": "false",
    "timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX",
    "timestampNTZFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSS",
}


def is_avro(contract: Contract) -> bool:
    """Whether the source's records are Kafka's, in Avro."""
    return isinstance(contract.source, KafkaSource) and contract.source.format == "avro"


def decoded(bronze: DataFrame, contract: Contract) -> DataFrame:
    """The Bronze rows with the record as JSON text in `_payload`; adds `_record_hash`, of the record as it came, and `_undecoded` (NULL, or the reason).

    What can't be read stays as it came. Raises `SourceError` when the registry does not answer, or the contract's schema is none.
    """
    source = contract.source
    assert isinstance(source, KafkaSource)
    rows = bronze.withColumn("_raw", F.col("_payload"))
    framed = source.registry is not None
    if framed:
        whole = (F.length("_raw") >= _FRAME) & (F.hex(F.substring("_raw", 1, 1)) == "00")
        rows = rows.withColumn("_id", F.when(whole, F.conv(F.hex(F.substring("_raw", 2, 4)), 16, 10).cast("bigint")))
        schemas = dict(_known(rows, source))
    else:
        rows, schemas = rows.withColumn("_id", F.lit(0).cast("bigint")), {0: _own(rows, source)}
    body = F.expr(f"substring(_raw, {_FRAME + 1})") if framed else F.col("_raw")
    read = rows.withColumn("_body", F.concat(F.lit(b"\x01"), body, F.unhex(F.lit(_END))))
    for id_, schema in schemas.items():
        read = read.withColumn(f"_read{id_}", F.when(F.col("_id") == id_, from_avro("_body", _wrapped(schema), {"mode": "PERMISSIVE"})))
    text = F.coalesce(*[_text(read, f"_read{id_}") for id_ in schemas], F.lit(None).cast("string"))
    told = read.withColumn("_text", text).withColumn(UNDECODED, _reason(framed, schemas))
    payload = F.when(F.col(UNDECODED).isNull(), F.col("_text")).otherwise(F.col("_raw").cast("string"))
    return told.select(*[c for c in bronze.columns if c != "_payload"], payload.alias("_payload"), F.xxhash64("_raw").alias("_record_hash"), UNDECODED)


def _known(rows: DataFrame, source: KafkaSource) -> Iterator[tuple[int, str]]:
    """The ids that these records begin with, and the schemas that Spark can read of theirs."""
    from lakehouse.sources.kafka import registry  # here, since it brings Kafka's client library

    ids = rows.where("_id is not null").groupBy("_id").count().orderBy(F.desc("count"), "_id").limit(_MOST).collect()
    for id_, _ in sorted(ids):
        schema = registry.schema(source, id_)
        if schema is not None and _readable(rows, schema):
            yield id_, schema


def _own(rows: DataFrame, source: KafkaSource) -> str:
    assert source.avro_schema is not None, "a contract has one where it has no registry"
    if not _readable(rows, source.avro_schema):
        raise SourceError(
            "The contract's avroSchema is no Avro schema of a record, or one that contains itself, which Spark does not read.",
            state="Bronze has the records as they came; nothing above it was written.",
            next_step="Correct it, then run the same command again.",
        )
    return source.avro_schema


def _readable(rows: DataFrame, schema: str) -> bool:
    try:
        found = rows.select(from_avro("_raw", _wrapped(schema)).alias("_read")).schema["_read"].dataType
    except (PySparkException, ValueError):
        return False
    return isinstance(found, StructType) and isinstance(found["message"].dataType, StructType)


def _wrapped(schema: str) -> str:
    """The schema between a flag and an end: where Spark could not read a record all is NULL, and the flag tells that from a record of NULLs."""
    end = {"type": "fixed", "name": "lakehouse_end", "size": len(_END) // 2}
    fields = {"read": "boolean", "message": json.loads(schema), "end": end}
    return json.dumps({"type": "record", "name": "lakehouse_record", "fields": [{"name": n, "type": t} for n, t in fields.items()]})


def _text(rows: DataFrame, name: str) -> Column:
    """The record as JSON; NULL unless it was read to its end, and its texts are texts (JSON would replace other bytes in silence)."""
    message = F.col(name)["message"]
    whole = F.col(name)["read"] & (F.hex(F.col(name)["end"]) == _END.upper())
    kind = rows.schema[name].dataType
    assert isinstance(kind, StructType)
    for text in _texts(message, kind["message"].dataType):
        whole = whole & F.coalesce(F.is_valid_utf8(text), F.lit(True))
    return F.when(whole, F.to_json(message, _TEXT))


def _texts(value: Column, kind: DataType) -> Iterator[Column]:
    """The texts in a value, lists and maps of texts as one."""
    if isinstance(kind, StringType):
        yield value
    elif isinstance(kind, StructType):
        for field in kind.fields:
            yield from _texts(value[field.name], field.dataType)
    elif isinstance(kind, (ArrayType, MapType)) and not _holds_bytes(kind):
        yield value.cast("string")


def _holds_bytes(kind: DataType) -> bool:
    if isinstance(kind, StructType):
        return any(_holds_bytes(f.dataType) for f in kind.fields)
    if isinstance(kind, ArrayType):
        return _holds_bytes(kind.elementType)
    return _holds_bytes(kind.valueType) if isinstance(kind, MapType) else isinstance(kind, BinaryType)


def _reason(framed: bool, schemas: Mapping[int, str]) -> Column:
    """The rule that an unread record breaks. An empty record is no Avro at all, and is judged as such."""
    reason = F.when(F.col("_raw").isNull() | F.col("_text").isNotNull(), F.lit(None).cast("string"))
    if framed:
        reason = reason.when(F.col("_id").isNull(), "unframed").when(~F.col("_id").isin(*schemas) if schemas else F.lit(True), "unknown_schema")
    return reason.otherwise("malformed")
