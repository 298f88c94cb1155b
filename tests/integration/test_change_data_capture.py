"""A database's changes through real servers: PostgreSQL's log, Debezium on Kafka Connect, Kafka, Bronze, and every version in Silver.

Each part is killed on the way. The oracle is the table itself, as PostgreSQL shows it after each transaction.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import psutil
import psycopg
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from lakehouse.services import background, connect, kafka, postgres
from tests.integration.conftest import Lake

CONTRACT = """\
apiVersion: v3.2.0
kind: DataContract
id: 00000000-0000-4000-8000-000000000001
name: item
version: 1.0.0
status: active
domain: test
description: {purpose: What there is.}
servers: [{server: landing, type: kafka, host: services, format: json}]
schema:
  - name: item
    physicalType: table
    properties:
      - {name: id, logicalType: integer, physicalType: int, required: true, primaryKey: true, primaryKeyPosition: 1, description: Number.}
      - {name: name, logicalType: string, description: Name.}
      - {name: price, logicalType: number, physicalType: 'decimal(20,4)', description: Price.}
      - {name: since, logicalType: date, description: First day.}
      - {name: seen_at, logicalType: timestamp, description: When it was seen last.}
      - name: committed_us
        logicalType: integer
        required: true
        customProperties: [{property: sourceField, value: __source_ts_us}]
      - name: lsn
        logicalType: integer
        required: true
        customProperties: [{property: sourceField, value: __source_lsn}]
      - {name: changed_at, logicalType: timestamp, required: true, transformLogic: timestamp_micros(committed_us), description: Time of the commit.}
customProperties:
  - {property: kind, value: entity}
  - {property: source, value: {topic: shop.public.item}}
  - {property: partition, value: {start: '2026-01-01'}}
  - {property: changeFeed, value: {form: debezium, sequence: [changed_at, lsn]}}
  - {property: scd, value: {type: 2}}
"""
SIZE = "      - {name: size, logicalType: string, description: Size.}\n"
COLUMNS = ("name", "price", "since", "seen_at")
Row = tuple[Any, ...] | None  # None: deleted


@dataclass
class Shop:
    """The database, with what each key was after each transaction; and the rest of the way to Kafka."""

    lake: Lake
    states: dict[int, list[Row]] = field(default_factory=lambda: defaultdict(list))
    columns: tuple[str, ...] = COLUMNS
    marks: int = 0

    def session(self) -> psycopg.Connection[Any]:
        at = postgres.address(self.lake.home)
        return psycopg.connect(host=at.host, port=at.port, user=at.user, passfile=str(at.passfile), dbname="postgres", autocommit=True)

    def commit(self, session: psycopg.Connection[Any], *statements: str) -> None:
        """One transaction; then look."""
        with session.transaction():
            for statement in statements:
                session.execute(statement)
        now = {row[0]: row[1:] for row in session.execute(f"select id, {', '.join(self.columns)} from item").fetchall()}
        for key in {*now, *self.states}:
            held = self.states[key]
            if (now.get(key) != held[-1]) if held else key in now:
                held.append(now.get(key))

    def do(self, *statements: str) -> None:
        with self.session() as session:
            self.commit(session, *statements)

    def mark(self) -> None:
        """Change a row, and wait until Kafka has that."""
        self.marks += 1
        name = f"mark {self.marks}"
        self.do(f"insert into item (id, name) values (-1, '{name}') on conflict (id) do update set name = excluded.name")
        consumer = Consumer({"bootstrap.servers": kafka.address(self.lake.home), "group.id": "test", "enable.auto.commit": False, "log_level": 0})
        consumer.assign([TopicPartition("shop.public.item", 0, OFFSET_BEGINNING)])
        until(lambda: name in _names(consumer))
        consumer.close()

    def kill(self, name: str) -> None:
        """kill -9, with its children."""
        running = background.find(self.lake.home, name)
        assert running is not None
        process = psutil.Process(running.pid)
        victims = [process, *process.children(recursive=True)]
        for victim in victims:
            victim.kill()
        psutil.wait_procs(victims, 30)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Kafka Connect's REST API."""
        data = json.dumps(body).encode() if body is not None else None
        request = Request(connect.address(self.lake.home) + path, data, {"Content-Type": "application/json"}, method=method)
        with build_opener(ProxyHandler({})).open(request, timeout=30) as answer:
            return json.loads(answer.read())

    def check(self) -> None:
        """Every version in Silver is a state that was committed, in that order, from the snapshot on; the current ones are the table."""
        found: dict[int, list[Row]] = defaultdict(list)
        current: dict[int, Row] = {}
        query = f"select id, is_current, is_deleted, {', '.join(self.columns)} from t where valid_to is null or valid_from < valid_to order by id, change_seq"
        for key, newest, deleted, *row in self.lake.sql("silver.item", query):
            found[key].append(None if deleted else tuple(row))
            if newest:
                current[key] = found[key][-1]
        with self.session() as session:
            table = {row[0]: row[1:] for row in session.execute(f"select id, {', '.join(self.columns)} from item").fetchall()}
        assert {key: row for key, row in current.items() if row is not None} == table
        for key, states in self.states.items():
            assert found[key] == states[-len(found[key]) :], key
        assert found.keys() == self.states.keys()


def _names(consumer: Consumer) -> set[str]:
    """The names that the next messages tell."""
    try:
        values = [m.value() for m in consumer.consume(500, 1.0) if not m.error()]
    except KafkaException:
        return set()
    return {str((json.loads(value)["after"] or {}).get("name")) for value in values if value}


def running(shop: Shop) -> bool:
    """Whether the connector runs; nothing is known of it (404), or of anything (409), while the workers find their places."""
    try:
        return [t["state"] for t in shop.call("GET", "/connectors/shop/status")["tasks"]] == ["RUNNING"]
    except HTTPError as answer:
        if answer.code in (404, 409):
            return False
        raise


def until(condition: Callable[[], bool], seconds: float = 200) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture(scope="module")
def shop(lake: Lake) -> Iterator[Shop]:
    if not postgres.installed() and not os.environ.get("CI"):
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    folder = lake.home / "contracts" / "test"
    folder.mkdir(parents=True)
    (folder / "item.odcs.yaml").write_text(CONTRACT)
    lake.env["LAKEHOUSE_CONTRACTS"] = str(lake.home / "contracts")
    lake.run("services", "start", "kafka", "postgres", "connect")
    yield Shop(lake)
    for service in (connect, postgres, kafka):
        service.stop(lake.home)
    shutil.rmtree(postgres._folder(lake.home))  # which is not below the lake where root runs this


def connector(shop: Shop) -> dict[str, Any]:
    at = postgres.address(shop.lake.home)
    return {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "plugin.name": "pgoutput",
        "database.hostname": at.host,
        "database.port": str(at.port),
        "database.user": at.user,
        "database.dbname": "postgres",
        "topic.prefix": "shop",
        "table.include.list": "public.item",
        "publication.autocreate.mode": "filtered",
        "decimal.handling.mode": "string",
        "time.precision.mode": "isostring",
        "skipped.operations": "none",
        "retriable.restart.connector.wait.ms": "1000",
    }


@contextmanager
def hammered(shop: Shop) -> Iterator[None]:
    """Commit while Debezium makes its snapshot: what is committed during it must come after it."""
    over = threading.Event()

    def hammer() -> None:
        with shop.session() as session:
            n = 0
            while not over.is_set():
                n += 1
                shop.commit(session, f"update item set name = 'h{n}', seen_at = clock_timestamp() where id = {n % 20}")

    writer = threading.Thread(target=hammer)
    writer.start()
    try:
        yield
    finally:
        over.set()
        writer.join()


@pytest.mark.timeout(1200)  # two cold engines, and four servers that are started again
def test_every_committed_state_is_a_version_whatever_is_killed_and_added_on_the_way(shop: Shop) -> None:
    lake = shop.lake
    shop.do("create table item (id int primary key, name text, price numeric(20,4), since date, seen_at timestamptz)")
    for n in range(20):
        shop.do(f"insert into item values ({n}, 'n{n}', {Decimal('1234567890123456.7891') + n}, '2026-01-05', '2026-01-05 10:00:00.123456+01')")
    with hammered(shop):
        shop.call("PUT", "/connectors/shop/config", connector(shop))
        until(lambda: running(shop))
        until(lambda: b"shop.public.item" in topics(shop))
    shop.mark()
    lake.run("sync")
    shop.check()

    shop.do(
        "insert into item values (20, null, null, null, null)", "update item set name = 'twice' where id = 20", "update item set price = -0.5 where id = 20"
    )
    shop.do("delete from item where id = 1")
    shop.kill(kafka.NAME)
    shop.do("update item set id = 102 where id = 2")
    shop.do("delete from item where id = 3", "insert into item (id, name) values (3, 'again')")
    kafka.start(lake.home)
    shop.do("update item set name = name where id = 4")
    shop.kill(connect.NAME)
    shop.do("update item set id = 2, name = 'back' where id = 102")
    connect.start(lake.home)
    shop.mark()
    shop.kill(postgres.NAME)
    postgres.start(lake.home)
    shop.do("insert into item (id, name) values (1, 'risen')")
    shop.do("alter table item add size text", "update item set size = 'L' where id < 3")
    shop.mark()
    os.kill(lake.engine_pid() or 0, signal.SIGKILL)
    told = lake.run("sync").stdout
    shop.check()
    assert "size" in told

    contract = lake.home / "contracts" / "test" / "item.odcs.yaml"
    contract.write_text(CONTRACT.replace("version: 1.0.0", "version: 1.1.0").replace("      - name: committed_us", f"{SIZE}      - name: committed_us", 1))
    lake.run("contract", "apply", "item")
    shop.do("update item set size = 'XL' where id = 5")
    shop.mark()
    lake.run("sync")
    assert lake.sql("silver.item", "select size from t where is_current and id = 5") == [("XL",)]
    assert lake.sql("quarantine.item", "select distinct _reasons from t") == [(["empty_message"],)]


def topics(shop: Shop) -> list[bytes]:
    """The topics there are."""
    from confluent_kafka.admin import AdminClient

    return [t.encode() for t in AdminClient({"bootstrap.servers": kafka.address(shop.lake.home)}).list_topics(timeout=10).topics]
