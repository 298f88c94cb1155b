"""A contract's source of type `kafka`: the standard's server and our options. Not here: looking at topics or reading them (`sources.kafka`)."""

from __future__ import annotations

import re
from typing import Literal, cast

from lakehouse.contracts.mistakes import not_one_of
from lakehouse.contracts.model import KafkaSource
from lakehouse.contracts.node import Node
from lakehouse.contracts.profile import KafkaOptions

FORMATS = ("json",)
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
    if host is None:
        return None
    return KafkaSource(host, cast(Literal["json"], form), options.topic, options.topicPattern, options.maxRecords)


def _not_a_pattern(text: str) -> bool:
    try:
        re.compile(text)
    except re.error:
        return True
    return False
