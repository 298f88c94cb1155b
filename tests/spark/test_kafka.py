"""Kafka as a source, against a real broker: each record once, whatever happens to broker, topic, table or run. The oracle is the list of what was sent."""

from __future__ import annotations

import json
import os
import signal
import uuid
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import NewPartitions

from lakehouse.bronze.ingest import ingest, pending, rebuild
from lakehouse.contracts.model import Contract, KafkaSource
from lakehouse.errors import SourceError, SourceShrank
from lakehouse.services import kafka
from lakehouse.silver import build
from tests.spark.conftest import Lake
from tests.spark.topics import DAY, Topic


def event(n: int, day: date = DAY, seq: int = 1) -> dict[str, Any]:
    return {"id": f"k{n}", "seq": seq, "at": f"{day}T11:00:00Z", "value": 1.5}


def held(lake: Lake, contract: Contract) -> Counter[tuple[Any, ...]]:
    rows = lake.spark.table(contract.bronze.sql).select("_source", "_key", "_payload", "_source_date").collect()
    return Counter((int(r[0].rpartition("/")[2]), _bytes(r[1]), r[2].encode() if r[2] is not None else None, r[3]) for r in rows)


def _bytes(value: Any) -> bytes | None:
    return bytes(value) if value is not None else None


def check(lake: Lake, contract: Contract, topic: Topic) -> None:
    """Bronze holds what was sent, each as often as it was sent; days that there are not are empty."""
    last = datetime.now(UTC).date() + timedelta(days=1)
    assert held(lake, contract) == Counter((p, k, v, d if contract.start <= d <= last else None) for p, k, v, d in topic.sent)


def test_each_record_is_taken_in_once_with_key_headers_and_day_in_commits_of_bounded_size(lake: Lake, topic: Topic) -> None:
    contract = topic.contract(lake, max_records=5)
    for n in range(8):
        topic.send(event(n), partition=n % 2, key=f"k{n}".encode(), twice=n == 3)
    for day in (date(1970, 1, 1), date(2099, 1, 1)):
        topic.send(event(100, day), day=day)
    topic.send(None, partition=1, key=b"tombstone")
    ingested, built = lake.sync(contract)
    check(lake, contract, topic)
    assert ingested.amount.records == 12
    assert lake.version(contract.bronze) == 3  # one to make the table, three portions: 0 to 3
    headers = lake.spark.table(contract.bronze.sql).select("_headers").collect()
    assert {(h["key"], bytes(h["value"])) for row in headers for h in row[0]} == {("from", b"test")}
    assert lake.rows(contract.silver, "id") == [(f"k{n}",) for n in range(8)]
    assert len(lake.rows(contract.quarantine, "_payload")) == 3
    assert built.unbalanced == ()
    versions = [lake.version(t) for t in (contract.bronze, contract.silver)]
    assert ingest(None, contract, "again").amount.records == 0  # type: ignore[arg-type]  # without a session, a Spark job would fail
    assert [lake.version(t) for t in (contract.bronze, contract.silver)] == versions


def test_bytes_that_are_no_text_stay_as_they_are_and_are_refused(lake: Lake, topic: Topic) -> None:
    contract = topic.contract(lake)
    topic.send(b'{"id": "\xff", "at": "2026-01-05T11:00:00Z"}')
    lake.sync(contract)
    (row,) = lake.spark.sql(f"select cast(_payload as binary) from {contract.bronze.sql}").collect()
    assert bytes(row[0]) == topic.sent[0][2]
    assert lake.rows(contract.quarantine, "_reasons") == [(["invalid_utf8"],)]


def test_how_long_the_oldest_record_has_waited_is_told_by_its_own_time(lake: Lake, topic: Topic) -> None:
    contract = topic.contract(lake)
    noon = datetime(DAY.year, DAY.month, DAY.day, 12, tzinfo=UTC)
    for n, (partition, days) in enumerate([(0, 3), (0, 4), (1, 1), (1, 0)]):
        topic.send(event(n), partition=partition, day=DAY + timedelta(days=days))
    assert pending(contract).waited(noon + timedelta(days=4)) == 3 * 86_400  # the first of each partition counts, the older of the two
    ingest(lake.spark, contract, "test")
    assert pending(contract).waited(noon) == 0
    topic.send(event(9), partition=1, day=date(1970, 1, 1))
    assert pending(contract).waited(noon) is None  # a time before the contract's start is none


def test_partitions_added_later_are_read_from_their_beginning(lake: Lake, topic: Topic) -> None:
    contract = topic.contract(lake)
    topic.send(event(1))
    lake.sync(contract)
    for future in topic.admin.create_partitions([NewPartitions(topic.name, 4)]).values():
        future.result()
    topic.send(event(2), partition=3)
    topic.send(event(3), partition=0)
    lake.sync(contract)
    check(lake, contract, topic)


def test_records_that_expire_before_they_are_read_are_an_error_that_names_them_and_the_way_on(lake: Lake, topic: Topic) -> None:
    contract = topic.contract(lake)
    topic.send(event(1))
    lake.sync(contract)
    for n in range(2, 6):
        topic.send(event(n))
    topic.expire(0, 3)
    with pytest.raises(SourceError, match=f"offsets 1 to 2 of {topic.name}/0") as caught:
        pending(contract)
    assert "unchanged" in str(caught.value) and f"lakehouse sync {contract.name} --force" in str(caught.value)
    ingested = ingest(lake.spark, contract, "test", force=True)
    assert [text for text in ingested.passed_over if "offsets 1 to 2" in text]
    assert ingest(lake.spark, contract, "test").passed_over == ()
    del topic.sent[1:3]
    check(lake, contract, topic)


def test_a_topic_that_was_made_anew_is_noticed(lake: Lake, topic: Topic) -> None:
    contract = topic.contract(lake)
    topic.send(event(1))
    lake.sync(contract)
    for future in topic.admin.delete_topics([topic.name]).values():
        future.result()
    _until(lambda: topic.name not in topic.admin.list_topics(timeout=10).topics)
    topic.create(2)
    for n in (2, 3, 4):
        topic.send(event(n))
    with pytest.raises(SourceError, match="made anew"):
        pending(contract)
    ingest(lake.spark, contract, "test", force=True)
    check(lake, contract, topic)


def test_a_rebuild_reads_the_same_records_again_and_is_refused_once_some_have_expired(lake: Lake, topic: Topic) -> None:
    contract = topic.contract(lake)
    days = [DAY, DAY + timedelta(days=1), DAY]  # times go up and down along the partition
    for n, day in enumerate(days * 2):
        topic.send(event(n, day), partition=n % 2, day=day)
    lake.sync(contract)
    topic.send(event(50))  # not read yet: a rebuild leaves it to the increment
    rebuild(lake.spark, contract, [DAY], "test")
    assert held(lake, contract) == Counter(topic.sent[:-1])
    topic.expire(0, 1)
    before = lake.version(contract.bronze)
    with pytest.raises(SourceShrank, match="--force"):
        rebuild(lake.spark, contract, [DAY], "test")
    assert lake.version(contract.bronze) == before
    rebuild(lake.spark, contract, [DAY], "test", force=True)
    lake.sync(contract)
    del topic.sent[0]
    check(lake, contract, topic)
    assert lake.rows(contract.silver, "id") == sorted((json.loads(v or b"")["id"],) for _, _, v, _ in topic.sent)


def test_a_record_that_was_ahead_of_its_time_stays_without_a_day_and_single_when_that_day_is_rebuilt(lake: Lake, topic: Topic) -> None:
    contract = topic.contract(lake)
    topic.send(event(1))
    topic.send(event(2))
    lake.sync(contract)
    # As if the second record had been taken in when its day was still far ahead.
    lake.spark.sql(f"update {contract.bronze.sql} set _source_date = null where _source_position = 1").collect()
    rebuild(lake.spark, contract, [DAY], "test")
    assert lake.rows(contract.bronze, "_source_position", "_source_date") == [(0, DAY), (1, None)]


def test_after_a_restore_the_same_records_are_read_again(lake: Lake, topic: Topic) -> None:
    contract = topic.contract(lake)
    for n in range(3):
        topic.send(event(n), partition=n % 2)
        lake.sync(contract)
    lake.spark.sql(f"restore table {contract.bronze.sql} to version as of 1").collect()
    topic.send(event(3))
    lake.sync(contract)
    check(lake, contract, topic)
    assert lake.rows(contract.silver, "id") == [(f"k{n}",) for n in range(4)]


def test_progress_that_no_note_tells_is_read_from_the_rows(lake: Lake, topic: Topic) -> None:
    contract = topic.contract(lake)
    for n in range(4):
        topic.send(event(n), partition=n % 2)
    lake.sync(contract)
    lake.spark.sql(f"insert into {contract.bronze.sql} select * from {contract.bronze.sql} limit 0").collect()  # somebody else's commit
    topic.send(event(4), partition=1)
    ingested, _ = lake.sync(contract)
    assert ingested.amount.records == 1
    check(lake, contract, topic)


def test_what_a_transaction_did_not_commit_is_not_read(lake: Lake, topic: Topic) -> None:
    contract = topic.contract(lake)
    producer = Producer({"bootstrap.servers": topic.brokers, "transactional.id": topic.name})
    producer.init_transactions(30)
    for n, commit in enumerate((True, False, True)):
        producer.begin_transaction()
        value = json.dumps(event(n)).encode()
        producer.produce(topic.name, value, partition=0, timestamp=int(datetime(2026, 1, 5, tzinfo=UTC).timestamp() * 1000))
        if commit:
            topic.sent.append((0, None, value, DAY))
            producer.commit_transaction(30)
        else:
            producer.flush(30)
            producer.abort_transaction(30)
    lake.sync(contract)
    check(lake, contract, topic)
    assert pending(contract).portions == ()


def test_a_broker_that_is_killed_is_an_error_and_nothing_is_lost_or_doubled_once_it_is_back(lake: Lake, topic: Topic, home: Path) -> None:
    contract = topic.contract(lake)
    topic.send(event(1))
    lake.sync(contract)
    topic.send(event(2))
    os.kill(kafka.start(home).pid, signal.SIGKILL)
    with pytest.raises(SourceError, match="does not answer") as caught:
        pending(contract)
    assert "LAKEHOUSE_KAFKA_OPTIONS_FILE" in str(caught.value)
    kafka.start(home)
    topic.send(event(3))
    lake.sync(contract)
    check(lake, contract, topic)


def test_every_topic_whose_whole_name_matches_a_pattern_is_read_also_one_that_comes_later(lake: Lake, brokers: str) -> None:
    stem = f"p{uuid.uuid4().hex[:8]}"
    topics = [Topic(brokers, f"{stem}.{n}") for n in range(2)]
    other = Topic(brokers, f"x{stem}.1")
    contract = lake.events(source=KafkaSource(brokers, topic_pattern=f"{stem}\\.\\d"))
    for n, one in enumerate((topics[0], other, topics[1])):
        one.create(1)
        one.send(event(n))
        if one is not other:
            lake.sync(contract)
    assert held(lake, contract) == Counter(topics[0].sent + topics[1].sent)
    build.increment(lake.spark, replace(contract), "test")
    assert lake.rows(contract.bronze, "_source") == [(f"{stem}.0/0",), (f"{stem}.1/0",)]


def _until(condition: Any) -> None:
    end = datetime.now(UTC) + timedelta(seconds=30)
    while not condition():
        assert datetime.now(UTC) < end
