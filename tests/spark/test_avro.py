"""Avro in Kafka, and files of it. Everything is written by fastavro, and the oracle is what was given to it."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import fastavro
import pytest

from lakehouse.bronze.ingest import ingest
from lakehouse.contracts.model import ChangeFeed, Column, Contract, FileSource, KafkaSource
from lakehouse.errors import SourceError
from lakehouse.silver import build
from lakehouse.silver.plan import Again
from tests.schema_registry import Registry
from tests.spark.conftest import Lake
from tests.spark.topics import DAY, Topic

AT = datetime(2026, 1, 5, 11, 0, 0, 123456, UTC)
MICROS = {"type": "long", "logicalType": "timestamp-micros"}
LOCAL = {"type": "long", "logicalType": "local-timestamp-micros"}
FIELDS = [{"name": "id", "type": "string"}, {"name": "seq", "type": "int"}, {"name": "at", "type": MICROS}, {"name": "value", "type": ["null", "double"]}]


def record(*more: dict[str, Any], fields: list[dict[str, Any]] = FIELDS, name: str = "event") -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": [*fields, *more]}


def body(schema: dict[str, Any], value: Any) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(json.loads(json.dumps(schema))), value)
    return out.getvalue()


def framed(id_: int, data: bytes) -> bytes:
    return struct.pack(">bI", 0, id_) + data


def event(n: int, **more: Any) -> dict[str, Any]:
    return {"id": f"k{n}", "seq": 1, "at": AT, "value": None, **more}


def utc(value: datetime) -> datetime:
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry() as found:
        yield found


@pytest.mark.timeout(1200)
def test_records_of_several_schemas_come_out_right_and_each_broken_one_is_kept_with_its_reason(lake: Lake, topic: Topic, registry: Registry) -> None:
    contract = topic.contract(lake, format="avro", registry=registry.url)
    contract = replace(contract, columns=(*contract.columns, Column("note", "string", "string")))
    old, new = record(), record({"name": "note", "type": ["null", "string"], "default": None}, {"name": "extra", "type": "int"})
    ids = [registry.register(json.dumps(s)) for s in (old, new)]
    other = registry.register("message m { }", schemaType="PROTOBUF")
    itself = registry.register(json.dumps(record({"name": "next", "type": ["null", "event"]})))
    text = registry.register('"string"')
    listed = registry.register(json.dumps(record({"name": "list", "type": {"type": "array", "items": "long"}})))
    huge = body({"type": "long"}, 1_500_000_000)
    good = body(old, event(1))
    for n, note in ((2, "a"), (3, None)):
        topic.send(framed(ids[1], body(new, event(n, note=note, extra=7))))
    topic.send(framed(ids[0], good))
    topic.send(framed(ids[0], body(old, event(4, value=2.5))), partition=1)
    later = framed(99, body(old, event(5)))
    refused = {
        b'{"id": "k9", "seq": 1, "at": "2026-01-05T11:00:00Z"}': "unframed",
        b"\x01" + framed(ids[0], good)[1:]: "unframed",
        b"\x00\x00\x00": "unframed",
        later: "unknown_schema",
        framed(other, good): "unknown_schema",
        framed(itself, good): "unknown_schema",
        framed(text, body({"type": "string"}, "x")): "unknown_schema",
        framed(ids[0], good[:-1]): "malformed",
        framed(ids[0], good[:3]): "malformed",
        framed(ids[0], b""): "malformed",
        framed(ids[0], good + b"\x00"): "malformed",
        framed(ids[0], good.replace(b"k1", b"\xffk")): "malformed",
        framed(ids[0], huge + good): "malformed",  # a text of 1.5 GB, it says
        framed(listed, good + huge): "malformed",
        framed(ids[0], body(old, event(6, value=1000.0))): "value_in_range",
    }
    for data in refused:
        topic.send(data)
    topic.send(None)

    registry.status = 503
    with pytest.raises(SourceError, match="status 503"):
        lake.sync(contract)
    bronze = lake.spark.sql(f"select _payload from {contract.bronze.sql}").collect()
    assert sorted(bytes(r[0]) for r in bronze if r[0] is not None) == sorted(v for _, _, v, _ in topic.sent if v is not None)
    registry.status = 0
    _, built = lake.sync(contract)
    assert built.unbalanced == ()
    assert dict(built.drift.unknown) == {"extra": 2}
    rows = lake.spark.table(contract.silver.sql).orderBy("id").select("id", "at", "value", "note").collect()
    assert [(r[0], utc(r[1]), *r[2:]) for r in rows] == [("k1", AT, None, None), ("k2", AT, None, "a"), ("k3", AT, None, None), ("k4", AT, 2.5, None)]
    reasons = {r[0]: r[1] for r in lake.spark.table(contract.quarantine.sql).select("_source_position", "_reasons").where("_source like '%/0'").collect()}
    sent = [v for p, _, v, _ in topic.sent if p == 0]
    assert {sent[offset]: why for offset, why in reasons.items()} == {**{data: [why] for data, why in refused.items()}, None: ["malformed"]}
    (shown,) = lake.spark.sql(f"select _payload from {contract.quarantine.sql} where array_contains(_reasons, 'value_in_range')").collect()
    assert json.loads(shown[0])["value"] == 1000.0

    registry.schemas[99] = {"schema": json.dumps(old)}
    assert build.put_through(lake.spark, contract, Again(rule="unknown_schema"), "test").unbalanced == ()
    assert ("k5",) in lake.rows(contract.silver, "id")


def test_every_type_comes_through_with_all_its_digits(lake: Lake, topic: Topic) -> None:
    types: list[tuple[str, Any, str, Any, Any]] = [  # name, Avro's type, the column's, what is written, what must come out
        ("id", "string", "string", "ü€😀", "ü€😀"),
        ("big", "long", "bigint", 2**63 - 1, 2**63 - 1),
        ("price", {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 9}, "decimal(38,9)", Decimal("-12345678901234567890.123456789"), None),
        ("at", MICROS, "timestamp", AT, AT),
        ("day", {"type": "int", "logicalType": "date"}, "date", date(1969, 12, 31), date(1969, 12, 31)),
        (
            "local",
            {"type": "long", "logicalType": "local-timestamp-micros"},
            "timestamp",
            datetime(2026, 7, 1, 12, 0, 0, 1),
            datetime(2026, 7, 1, 10, 0, 0, 1, UTC),
        ),
        ("uuid", {"type": "string", "logicalType": "uuid"}, "string", "6f1b0a52-6c0e-4a3e-9a41-1f6f0c7d1007", None),
        ("kind", {"type": "enum", "name": "kind", "symbols": ["A", "B"]}, "string", "B", "B"),
        ("blob", "bytes", "string", b"\x00\xff", "AP8="),
        ("tags", {"type": "array", "items": ["null", "string"]}, "array<string>", ["a", None], ["a", None]),
        ("sizes", {"type": "map", "values": "long"}, "map<string,bigint>", {"x": 1}, {"x": 1}),
        ("inner", record(fields=[{"name": "n", "type": ["null", "int"]}], name="inner"), "struct<n: int>", {"n": 5}, (5,)),
        ("ok", ["null", "boolean"], "boolean", None, None),
    ]
    schema = record(fields=[{"name": name, "type": kind} for name, kind, *_ in types])
    columns = tuple(Column(name, kind, "string", required=name == "id", timezone="Europe/Berlin") for name, _, kind, *_ in types)
    source = KafkaSource(topic.brokers, "avro", topic=topic.name, avro_schema=json.dumps(schema))
    contract = lake.entities(columns=columns, source=source, sequence=())
    value = {name: written for name, _, _, written, _ in types}
    value["uuid"] = str(value["uuid"])
    topic.send(body(schema, value))
    lake.sync(contract)
    (row,) = lake.spark.table(contract.silver.sql).collect()
    for name, _, _, written, out in types:
        found = utc(row[name]) if isinstance(row[name], datetime) else tuple(row[name]) if name == "inner" else row[name]
        assert found == (written if out is None else out), name


def test_debeziums_messages_are_read_as_avro_too(lake: Lake, topic: Topic) -> None:
    columns = (
        Column("id", "bigint", "integer", required=True),
        Column("price", "decimal(20,4)", "number"),
        Column("at", "timestamp", "timestamp", required=True, expression="timestamp_millis(millis)"),
        Column("millis", "bigint", "integer", required=True, source_field="__source_ts_ms"),
        Column("lsn", "bigint", "integer", required=True, source_field="__source_lsn"),
    )
    decimal = {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 4}
    row = record(fields=[{"name": "id", "type": "long"}, {"name": "price", "type": ["null", decimal], "default": None}], name="Value")
    place = record(fields=[{"name": "ts_ms", "type": "long"}, {"name": "lsn", "type": ["null", "long"]}], name="Source")
    parts = [("before", ["null", row]), ("after", ["null", "Value"]), ("source", place), ("op", "string")]
    schema = record(fields=[{"name": name, "type": kind} for name, kind in parts], name="Envelope")
    feed = ChangeFeed("debezium", None, ("millis", "lsn", "at"))
    source = KafkaSource(topic.brokers, "avro", topic=topic.name, avro_schema=json.dumps(schema))
    contract = lake.entities(columns=columns, source=source, sequence=("at", "lsn"), feed=feed, scd=2)
    price = Decimal("1234567890123456.7891")
    for op, lsn, before, after in (("c", 1, None, {"id": 1, "price": price}), ("d", 2, {"id": 1, "price": None}, None)):
        topic.send(body(schema, {"before": before, "after": after, "source": {"ts_ms": 1_768_039_200_000 + lsn, "lsn": lsn}, "op": op}))
    topic.send(None)
    _, built = lake.sync(contract)
    assert built.by_rule == {"empty_message": 1}
    assert lake.rows(contract.silver, "id", "price", "is_deleted", "lsn") == [(1, price, False, 1), (1, None, True, 2)]


def test_files_of_several_schemas_are_read_each_by_its_own(lake: Lake) -> None:
    contract: Contract = lake.events(source=FileSource(lake.name, "avro", lookback_days=3650))
    contract = replace(contract, columns=(*contract.columns, Column("note", "string", "string")))

    def file(schema: dict[str, Any], value: Any) -> bytes:
        out = io.BytesIO()
        fastavro.writer(out, fastavro.parse_schema(schema), [value])
        return out.getvalue()

    whole = file(record(), event(1))
    lake.put(f"dt={DAY}/a.avro", whole)
    lake.put(f"dt={DAY}/b.avro", file(record({"name": "note", "type": "string"}), event(2, note="b")))
    lake.put(f"dt={DAY}/c.avro", whole[:-10])
    lake.put(f"dt={DAY}/d.avro", "{}\n")
    found = ingest(lake.spark, contract, "test")
    assert {u.path.rpartition("/")[2] for u in found.unreadable} == {"c.avro", "d.avro"}
    build.increment(lake.spark, contract, "test")
    assert lake.rows(contract.silver, "id", "note") == [("k1", None), ("k2", "b")]
