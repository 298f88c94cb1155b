"""Contracts whose records come from Kafka: what they say, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lakehouse.contracts.loader import Checked
from lakehouse.contracts.model import KafkaSource
from lakehouse.errors import SettingsError, SourceError
from lakehouse.settings import settings
from lakehouse.sources.kafka.options import brokers_of, spark_options

SERVER = "{server: stream, type: kafka, host: 'a:9092,b:9092', format: json}"
OPTIONS = "value: {topic: readings, maxRecords: 1000}"


@pytest.fixture
def text(event_text: str) -> str:
    """A good contract that reads from Kafka."""
    return event_text.replace("{server: landing, type: local, path: factory/reading, format: csv}", SERVER).replace(
        r"value: {pattern: '**/*.csv', datePattern: 'dt=(\d{4}-\d{2}-\d{2})', delimiter: ;}", OPTIONS
    )


def test_topic_and_brokers_are_read(check: Callable[..., Checked], text: str) -> None:
    checked = check(text)
    assert checked.contract is not None
    assert checked.contract.source == KafkaSource("a:9092,b:9092", topic="readings", max_records=1000)


def test_an_avro_schema_stands_in_the_contract_or_in_a_registry(check: Callable[..., Checked], text: str) -> None:
    avro = text.replace("format: json", "format: avro")
    checked = check(avro.replace(OPTIONS, "value: {topic: readings, avroSchema: {type: record, name: r, fields: [{name: id, type: string}]}}"))
    assert checked.contract is not None
    schema = '{"type": "record", "name": "r", "fields": [{"name": "id", "type": "string"}]}'
    assert checked.contract.source == KafkaSource("a:9092,b:9092", "avro", topic="readings", avro_schema=schema)
    checked = check(avro.replace(OPTIONS, "value: {topic: readings, registry: 'https://registry:8081/path'}"))
    assert checked.contract is not None
    assert checked.contract.source == KafkaSource("a:9092,b:9092", "avro", topic="readings", registry="https://registry:8081/path")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("{topic: t}", "either `registry`"),
        ("{topic: t, registry: 'http://r', avroSchema: {type: record, name: r, fields: []}}", "either `registry`"),
        ("{topic: t, avroSchema: {type: string}}", "must be a record's schema"),
        ("{topic: t, registry: 'r:8081'}", "must be a URL"),
        ("{topic: t, registry: 'https://me:secret@r'}", "LAKEHOUSE_SCHEMA_REGISTRIES"),
    ],
)
def test_a_mistake_about_avro_says_what_was_allowed(check: Callable[..., Checked], text: str, options: str, says: str) -> None:
    checked = check(text.replace("format: json", "format: avro").replace(OPTIONS, f"value: {options}"))
    assert checked.contract is None
    assert any(says in str(mistake) and "secret" not in str(mistake) for mistake in checked.mistakes), [str(m) for m in checked.mistakes]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (OPTIONS, "value: {topic: a, registry: 'http://r'}", "is for Avro"),
        ("host: 'a:9092,b:9092'", "host: kafka", "must be brokers as host:port"),
        ("format: json", "format: jsn", "Did you mean 'json'"),
        (OPTIONS, "value: {maxRecords: 5}", "either `topic` or `topicPattern`"),
        (OPTIONS, "value: {topic: a, topicPattern: b}", "either `topic` or `topicPattern`"),
        (OPTIONS, "value: {topic: a b}", "can't be the name of a topic"),
        (OPTIONS, "value: {topicPattern: '('}", "no regular expression"),
        (OPTIONS, "value: {topic: a, delimiter: ;}", "unknown key 'delimiter'"),
    ],
)
def test_a_mistake_says_what_was_allowed(check: Callable[..., Checked], text: str, old: str, new: str, says: str) -> None:
    assert text.count(old) == 1
    checked = check(text.replace(old, new))
    assert checked.contract is None
    assert any(says in str(mistake) for mistake in checked.mistakes), [str(m) for m in checked.mistakes]


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets the settings anew."""

    def set_(**values: str) -> None:
        monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path))
        for name, value in values.items():
            monkeypatch.setenv(f"LAKEHOUSE_{name}", value)
        settings.cache_clear()

    yield set_  # type: ignore[misc]
    monkeypatch.undo()
    settings.cache_clear()


def test_the_host_services_is_the_settings_broker_else_the_one_started_here(environment: Callable[..., None]) -> None:
    environment()
    with pytest.raises(SourceError, match="lakehouse services start kafka"):
        brokers_of(KafkaSource("services", topic="t"))
    environment(KAFKA_BROKERS="c:1")
    assert brokers_of(KafkaSource("services", topic="t")) == "c:1"
    assert brokers_of(KafkaSource("a:9092", topic="t")) == "a:9092"


def test_one_file_of_options_serves_both_clients(environment: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    lines = [
        "# secret",
        "security.protocol=SASL_SSL",
        "sasl.mechanism=SCRAM-SHA-512",
        "sasl.username=me",
        'sasl.password=a"b=c',
        f"ssl.ca.location={tmp_path}/ca.pem",
    ]
    (tmp_path / "kafka.options").write_text("\n".join(lines))
    environment(KAFKA_OPTIONS_FILE=str(tmp_path / "kafka.options"))
    options = spark_options()
    assert options["kafka.sasl.jaas.config"] == 'org.apache.kafka.common.security.scram.ScramLoginModule required username="me" password="a\\"b=c";'
    assert options["kafka.ssl.truststore.certificates"].startswith("-----BEGIN")
    assert options["kafka.security.protocol"] == "SASL_SSL"


def test_an_option_that_is_not_known_is_an_error_without_its_value(environment: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "other.options").write_text("sasl.pasword=geheim")
    environment(KAFKA_OPTIONS_FILE=str(tmp_path / "other.options"))
    with pytest.raises(SettingsError, match="sasl.pasword") as caught:
        spark_options()
    assert "geheim" not in str(caught.value)
