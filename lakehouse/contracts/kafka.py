"""A contract's source of type `kafka`: the standard's server and our options. Not here: looking at topics or reading them (`sources.kafka`)."""

from __future__ import annotations

import json
import re
from typing import Literal, cast
from urllib.parse import urlsplit

from lakehouse.contracts.mistakes import not_one_of
from lakehouse.contracts.model import KafkaSource
from lakehouse.contracts.node import Node
from lakehouse.contracts.profile import KafkaOptions

FORMATS = ("json", "avro")
SERVICES = "services"  # as host: the brokers that the settings or `lakehouse services` name
_BROKERS = re.compile(r"[^\s,:]+:\d{1,5}(,[^\s,:]+:\d{1,5})*\Z")
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}\Z")


def read_kafka(contract: Node, server: Node, options: KafkaOptions) -> KafkaSource | None:
    """The source, or None after reporting why there is none."""
    host, form, value = server.text("host"), server.text("format") or "json", contract.property("source")
    if host is not None and host != SERVICES and not _BROKERS.match(host):
        server.wrong(f"{host!r} must be brokers as host:port,host:port, or {SERVICES!r} for those of the settings or `lakehouse services`", "host")
    if form not in FORMATS:
        server.wrong(not_one_of("format", form, FORMATS), "format")
        return None
    if (options.topic is None) == (options.topicPattern is None):
        value.wrong("needs either `topic` or `topicPattern`")
    if options.topic is not None and not _TOPIC.match(options.topic):
        value.wrong(f"{options.topic!r} can't be the name of a topic (letters, digits, '.', '_' and '-')", "topic")
    if options.topicPattern is not None and _not_a_pattern(options.topicPattern):
        value.wrong(f"{options.topicPattern!r} is no regular expression", "topicPattern")
    schema = _schema(value, options, form)
    if host is None:
        return None
    return KafkaSource(host, cast(Literal["json", "avro"], form), options.topic, options.topicPattern, options.maxRecords, options.registry, schema)


def _schema(value: Node, options: KafkaOptions, form: str) -> str | None:
    """The schema of all records as JSON, or None; reports what does not fit the format."""
    registry, schema = options.registry, options.avroSchema
    for key in (k for k in ("registry", "avroSchema") if form != "avro" and k in value.value):
        value.wrong(f"is for Avro, and the source's format is {form}", key)
    if form == "avro" and (registry is None) == (schema is None):
        value.wrong("format avro needs either `registry` (records begin with their schema's id) or `avroSchema` (they don't)")
    if registry is not None and (wrong := _bad_url(registry)):
        value.wrong(wrong, "registry")
    if schema is not None and not (schema.get("type") == "record" and schema.get("name") and isinstance(schema.get("fields"), list)):
        value.wrong("must be a record's schema: {type: record, name: …, fields: [{name: …, type: …}, …]}", "avroSchema")
    return None if schema is None else json.dumps(schema, sort_keys=False)


def _bad_url(text: str) -> str | None:
    found = urlsplit(text)
    if found.username is not None or found.password is not None:
        return "must not hold credentials: they go into LAKEHOUSE_SCHEMA_REGISTRIES"
    if found.scheme not in ("http", "https") or not found.hostname or found.query:
        return f"{text!r} must be a URL, such as https://registry.example.com"
    return None


def _not_a_pattern(text: str) -> bool:
    try:
        re.compile(text)
    except re.error:
        return True
    return False
