"""PostgreSQL as a source, against a real server: each row version once, deletes seen, types exact, moments consistent, secrets kept.

The oracles are plain Python.
"""

from __future__ import annotations

import json
import random
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from lakehouse.bronze.ingest import Ingested, ingest, pending, rebuild
from lakehouse.contracts.model import ChangeFeed, Column, Contract, PostgresSource
from lakehouse.engine import metadata
from lakehouse.errors import SourceError, SourceShrank
from lakehouse.settings import settings
from lakehouse.silver import build
from lakehouse.sources.postgres import snapshot
from tests.postgres_server import USER, Server, make_server, remove_server

START = date(2026, 1, 1)
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Server]:
    made = make_server()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PGUSER", USER)
        yield made
    remove_server(made)


@pytest.fixture
def name() -> str:
    return f"t{uuid.uuid4().hex[:10]}"


def orders(server: Server, name: str, **changes: Any) -> Contract:
    """A table with a key, a cursor and a text; made empty."""
    server.sql(f"create table if not exists {name} (id int primary key, note text, updated_at timestamptz)")
    columns = (
        Column("id", "int", "integer", required=True),
        Column("note", "string", "string"),
        Column("updated_at", "timestamp", "timestamp"),
    )
    source = PostgresSource("127.0.0.1", server.port, "postgres", "public", name, **{"cursor": "updated_at", "overlap": 60, "interval": 0, **changes})
    made = Contract(name, "1.0.0", "test", "entity", columns, ("id",), source, START, Path(f"{name}.odcs.yaml"), ("updated_at",) if source.cursor else ())
    return made if source.cursor else replace(made, feed=ChangeFeed())


def put(server: Server, name: str, id_: int, note: str, at: datetime | None) -> None:
    time = f"'{at.isoformat()}'" if at else "null"
    server.sql(f"insert into {name} values ({id_}, '{note}', {time}) on conflict (id) do update set note = excluded.note, updated_at = excluded.updated_at")


def held(spark: SparkSession, contract: Contract) -> Counter[tuple[Any, ...]]:
    """Bronze's rows: (id, note, operation where there is one)."""
    table = spark.table(contract.bronze.sql)
    columns = ["_payload", *(["_op"] if "_op" in table.columns else [])]
    found = Counter[tuple[Any, ...]]()
    for row in table.select(*columns).collect():
        record = json.loads(row[0])
        found[(record["id"], record["note"], *row[1:])] += 1
    return found


def present(spark: SparkSession, contract: Contract) -> dict[int, str]:
    """Silver's rows after an increment, without tombstones."""
    assert not build.increment(spark, contract, uuid.uuid4().hex).unbalanced
    return {r["id"]: r["note"] for r in spark.table(contract.silver.sql).where("not is_deleted").collect()}


def test_what_is_new_is_taken_in_once_and_nothing_is_looked_at_twice(spark: SparkSession, server: Server, name: str) -> None:
    contract = orders(server, name)
    put(server, name, 1, "a", NOW - timedelta(hours=3))
    put(server, name, 2, "b", NOW - timedelta(hours=2))
    ingest(spark, contract, "one")
    assert not pending(contract).portions and pending(contract).waited(NOW) == 0
    put(server, name, 1, "c", NOW - timedelta(hours=1))
    put(server, name, 3, "d", NOW)
    assert pending(contract).amount.records == 2 and pending(contract).waited(NOW) == 3600
    ingest(spark, contract, "two")
    assert held(spark, contract) == Counter({(1, "a"): 1, (2, "b"): 1, (1, "c"): 1, (3, "d"): 1})
    days = {r[0] for r in spark.table(contract.bronze.sql).select("_source_date").distinct().collect()}
    assert days == {(NOW - timedelta(hours=h)).date() for h in (3, 2, 1, 0)}


def test_a_commit_that_comes_late_is_seen_within_the_overlap(spark: SparkSession, server: Server, name: str) -> None:
    contract = orders(server, name, overlap=600)
    with server.connect(autocommit=False) as slow:
        slow.execute(f"insert into {name} values (1, 'late', '{(NOW - timedelta(seconds=300)).isoformat()}')")
        put(server, name, 2, "early", NOW)
        ingest(spark, contract, "one")
        assert held(spark, contract) == Counter({(2, "early"): 1})
        slow.commit()
    ingest(spark, contract, "two")
    assert held(spark, contract) == Counter({(2, "early"): 1, (1, "late"): 1})


def test_a_row_without_a_time_and_one_in_the_future_hide_nothing_and_are_told(spark: SparkSession, server: Server, name: str) -> None:
    contract = orders(server, name)
    put(server, name, 1, "future", datetime(2099, 1, 1, tzinfo=UTC))
    put(server, name, 2, "none", None)
    server.sql(f"insert into {name} values (3, 'never', 'infinity'), (4, 'always', '-infinity')")
    put(server, name, 5, "now", NOW)
    done = ingest(spark, contract, "one")
    assert done.unreadable[0].path.startswith("3 rows")
    put(server, name, 6, "later", NOW + timedelta(seconds=1))
    ingest(spark, contract, "two")
    assert held(spark, contract) == Counter({(n, t): 1 for n, t in ((1, "future"), (2, "none"), (3, "never"), (4, "always"), (5, "now"), (6, "later"))})
    build.increment(spark, contract, "three")
    refused = {tuple(r[0]) for r in spark.table(contract.quarantine.sql).select("_reasons").collect()}
    assert refused == {("source_date_out_of_range",), ("updated_at_type", "source_date_out_of_range")}
    assert {r[0] for r in spark.table(contract.silver.sql).select("id").collect()} == {5, 6}


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_is_committed_when_each_version_is_in_bronze_once(spark: SparkSession, server: Server, name: str, seed: int) -> None:
    """Random inserts, updates, late commits, restores and retries against the set of versions that were there to be seen at each look."""
    contract, rng = orders(server, name, overlap=3600), random.Random(seed)
    clock, expected, history = NOW - timedelta(days=2), Counter[tuple[Any, ...]](), {}
    open_: list[Any] = []
    for turn in range(8):
        for _ in range(rng.randrange(5)):
            clock += timedelta(minutes=rng.randrange(1, 20))
            put(server, name, rng.randrange(6), f"v{turn}.{rng.random()}", clock)
        if rng.random() < 0.5:
            slow = server.connect(autocommit=False)
            slow.execute(f"insert into {name} values ({100 + turn}, 'late', '{clock.isoformat()}')")
            open_.append((slow, clock))
        for slow, at in [o for o in open_ if clock - o[1] > timedelta(minutes=10) or rng.random() < 0.5]:
            slow.commit()
            slow.close()
            open_.remove((slow, at))
        now = Counter({(r[0], r[1]): 1 for r in server.sql(f"select id, note from {name}")})
        ingest(spark, contract, f"run{turn}", full=rng.random() < 0.2)
        state = metadata.state(contract.bronze)
        expected = expected | now
        history[state.version if state else -1] = expected
        assert held(spark, contract) == expected
        if turn == 5 and state:
            back = rng.choice(sorted(history))
            spark.sql(f"restore table {contract.bronze.sql} to version as of {back}").collect()
            expected = history[back]
    for slow, _ in open_:
        slow.close()


def test_two_runs_at_once_take_each_row_once(spark: SparkSession, server: Server, name: str) -> None:
    from lakehouse.engine.session import connect

    contract = orders(server, name)
    server.sql(f"insert into {name} select i, 'n', now() from generate_series(1, 500) i")
    ingest(spark, contract, "zero")
    server.sql(f"insert into {name} select i, 'n', now() from generate_series(501, 900) i")
    sessions = [connect(), connect()]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda s: ingest(s, contract, uuid.uuid4().hex), sessions))
    for session in sessions:
        session.stop()
    assert held(spark, contract) == Counter({(i, "n"): 1 for i in range(1, 901)})


def test_a_backlog_is_cut_into_portions_that_meet(spark: SparkSession, server: Server, name: str) -> None:
    contract = orders(server, name, max_records=500)
    server.sql(f"insert into {name} select i, 'n', now() - i * interval '1 minute' from generate_series(1, 3000) i", f"analyze {name}")
    look = pending(contract)
    assert len(look.portions) > 3
    ingest(spark, contract, "one")
    assert held(spark, contract) == Counter({(i, "n"): 1 for i in range(1, 3001)})


def test_a_day_is_read_again_and_refused_when_the_table_has_moved_on(spark: SparkSession, server: Server, name: str) -> None:
    contract, day = orders(server, name), (NOW - timedelta(days=3)).date()
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    put(server, name, 1, "a", noon)
    put(server, name, 2, "b", noon)
    ingest(spark, contract, "one")
    server.sql(f"insert into {name} values (3, 'missed', '{(noon - timedelta(hours=5)).isoformat()}')")  # committed far too late
    put(server, name, 4, "e", NOW)
    ingest(spark, contract, "two")
    assert (3, "missed") not in held(spark, contract)
    rebuild(spark, contract, [day], "three")
    assert held(spark, contract) == Counter({(1, "a"): 1, (2, "b"): 1, (3, "missed"): 1, (4, "e"): 1})
    put(server, name, 1, "z", NOW + timedelta(seconds=1))
    with pytest.raises(SourceShrank, match="1 rows of these days"):
        rebuild(spark, contract, [day], "four")
    rebuild(spark, contract, [day], "five", force=True)
    assert held(spark, contract) == Counter({(2, "b"): 1, (3, "missed"): 1, (4, "e"): 1})
    ingest(spark, contract, "six")
    assert held(spark, contract) == Counter({(2, "b"): 1, (3, "missed"): 1, (4, "e"): 1, (1, "z"): 1})


def test_a_number_is_a_cursor_too(spark: SparkSession, server: Server, name: str) -> None:
    contract = orders(server, name, cursor="id", overlap=2)
    put(server, name, 10, "a", None)
    put(server, name, 12, "b", None)
    ingest(spark, contract, "one")
    put(server, name, 11, "late", None)
    put(server, name, 13, "c", None)
    ingest(spark, contract, "two")
    assert held(spark, contract) == Counter({(10, "a"): 1, (11, "late"): 1, (12, "b"): 1, (13, "c"): 1})
    with pytest.raises(SourceError, match="has no date"):
        rebuild(spark, contract, [NOW.date()], "three")


def test_rows_without_a_key_that_are_the_same_are_as_many_as_there_are(spark: SparkSession, server: Server, name: str) -> None:
    server.sql(f"create table {name} (id int, note text, updated_at timestamptz)")
    contract = orders(server, name)
    at = NOW.isoformat()
    server.sql(f"insert into {name} values (1, 'same', '{at}'), (1, 'same', '{at}')")
    ingest(spark, contract, "one")
    server.sql(f"insert into {name} values (1, 'same', '{at}'), (2, 'other', '{at}')")
    ingest(spark, contract, "two")
    assert held(spark, contract) == Counter({(1, "same"): 3, (2, "other"): 1})


def test_snapshots_tell_inserts_updates_and_deletes(spark: SparkSession, server: Server, name: str) -> None:
    contract = orders(server, name, cursor=None)
    put(server, name, 1, "a", NOW)
    put(server, name, 2, "b", NOW)
    ingest(spark, contract, "one")
    assert not pending(contract).portions
    put(server, name, 1, "c", NOW)
    server.sql(f"delete from {name} where id = 2")
    put(server, name, 3, "d", NOW)
    ingest(spark, contract, "two")
    put(server, name, 1, "a", NOW)
    put(server, name, 2, "b", NOW)
    ingest(spark, contract, "three")
    assert present(spark, contract) == {1: "a", 2: "b", 3: "d"}
    server.sql(f"truncate {name}")
    ingest(spark, contract, "four")
    assert present(spark, contract) == {}
    assert held(spark, contract) == Counter({
        (1, "a", "insert"): 1, (2, "b", "insert"): 2, (1, "c", "update"): 1, (2, "b", "delete"): 2, (3, "d", "insert"): 1,
        (1, "a", "update"): 1, (1, "a", "delete"): 1, (3, "d", "delete"): 1,
    })  # fmt: skip


@pytest.mark.parametrize("seed", [3])
def test_snapshots_replayed_give_the_table_whatever_happened(spark: SparkSession, server: Server, name: str, seed: int) -> None:
    """Random changes, of keys that stand several times too, and a RESTORE: the newest records of each key are the table's rows."""
    server.sql(f"create table {name} (id int, note text, updated_at timestamptz)")
    contract, rng, versions = orders(server, name, cursor=None), random.Random(seed), [0]
    for turn in range(6):
        for _ in range(rng.randrange(4)):
            key = rng.randrange(5)
            server.sql(rng.choice([
                f"insert into {name} values ({key}, 'n{rng.randrange(3)}', null)", f"delete from {name} where id = {key}",
                f"update {name} set note = 'n{rng.randrange(3)}' where id = {key}", f"update {name} set id = id + 1 where id = {key}",
            ]))  # fmt: skip
        ingest(spark, contract, f"run{turn}")
        newest: dict[Any, tuple[int, list[Any]]] = {}
        for payload, op, place in spark.table(contract.bronze.sql).select("_payload", "_op", "_source_position").collect():
            record = json.loads(payload)
            rows = [] if op == "delete" else [(record["id"], record["note"])]
            before = newest.get(record["id"], (0, []))
            newest[record["id"]] = (place, rows + (before[1] if before[0] == place else [])) if place >= before[0] else before
        assert Counter(r for _, rows in newest.values() for r in rows) == Counter(tuple(r) for r in server.sql(f"select id, note from {name}"))
        state = metadata.state(contract.bronze)
        versions.append(state.version if state else 0)
        if turn == 3:
            spark.sql(f"restore table {contract.bronze.sql} to version as of {rng.choice(versions)}").collect()


def test_a_snapshot_day_is_made_again_only_while_nothing_is_lost(spark: SparkSession, server: Server, name: str) -> None:
    contract = orders(server, name, cursor=None)
    put(server, name, 1, "a", NOW)
    ingest(spark, contract, "one")
    today = spark.table(contract.bronze.sql).first()["_source_date"]  # type: ignore[index]
    before = held(spark, contract)
    rebuild(spark, contract, [today], "two")
    assert held(spark, contract) == before
    put(server, name, 1, "b", NOW)
    ingest(spark, contract, "three")
    with pytest.raises(SourceShrank, match="can't tell again"):
        rebuild(spark, contract, [today], "four")
    rebuild(spark, contract, [today], "five", force=True)
    assert held(spark, contract) == Counter({(1, "b", "insert"): 1})


@pytest.mark.parametrize("cursor", [None, "updated_at"])
def test_parallel_connections_read_one_moment(spark: SparkSession, server: Server, name: str, cursor: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer moves an amount between two rows far apart, always both in one transaction: every read sees them balanced."""
    monkeypatch.setattr(snapshot, "LEAST_BLOCKS", 8)
    server.sql(f"create table {name} (id int, note text, updated_at timestamptz, amount int)")
    contract = orders(server, name, cursor=cursor)
    server.sql(f"insert into {name} select i, repeat('x', 200), now() - (20000 - i) * interval '1 second', 0 from generate_series(1, 20000) i",
               f"analyze {name}", f"create index on {name} (updated_at)")  # fmt: skip
    stop, moved = threading.Event(), threading.Event()

    def move() -> None:
        with server.connect(autocommit=False) as writer:
            while not stop.is_set():
                writer.execute(f"update {name} set amount = amount + 1 where id = 1")
                writer.execute(f"update {name} set amount = amount - 1 where id = 20000")
                writer.commit()
                moved.set()

    thread = threading.Thread(target=move)
    thread.start()
    try:
        assert moved.wait(30)
        portions = pending(contract).portions
        rows = portions[0].read(spark)
        assert rows.rows is not None
        assert len(portions) == 1
        amounts = {json.loads(r[0])["id"]: json.loads(r[0])["amount"] for r in rows.rows.select("_payload").collect()}
        rows.close()
    finally:
        stop.set()
        thread.join()
    assert len(amounts) == 20000
    assert amounts[1] + amounts[20000] == 0
    assert amounts[1] > 0


def test_values_of_every_type_arrive_exactly_or_are_refused(spark: SparkSession, server: Server, name: str) -> None:
    server.sql("do $$ begin create domain price as numeric(20,4); exception when duplicate_object then null; end $$")
    server.sql(f"""create table {name} (id int primary key, small smallint, big bigint, money_ price, free numeric, real_ real, double_ float8, yes boolean,
        at timestamptz, local timestamp, day date, clock time, span interval, uid uuid, doc jsonb, raw json, numbers int[], prices numeric[], words text[],
        bytes bytea, "Mixed Case" text, label varchar(10))""")
    uid = uuid.uuid4()
    server.sql(rf"""insert into {name} values
        (1, -32768, 9223372036854775807, 1234567890123456.7891, 12345678901234567890123456789.123456789, 0.1, 0.1, true,
         '2026-03-29 02:30:00.123456+02', '2026-03-29 01:30:00.000001', '2026-02-28', '23:59:59.999999', '1 mon 2 days 03:04:05', '{uid}',
         '{{"a": [1, 1.10], "b": null}}', '{{"x": 1.10,  "x": 2}}', '{{1,null,3}}', '{{1.50,2}}', '{{"a,b","c\"d"}}', '\x00ff10',
         E'tab\tand "quote"\nline', 'é€😀'),
        (2{", null" * 21}),
        (3, 1, 1, 'NaN', 'NaN', 'NaN', 1, true, 'infinity', '2026-01-01', 'infinity', '00:00', '0', '{uid}', '1', '1', '{{}}', '{{NaN}}', '{{}}', '', '', ''),
        (4, 1, 1, 1, 1e60, 1, '-infinity', true, '10000-01-01', '2026-01-01', '0044-03-15 BC', '00:00', '0', '{uid}', '1', '1', '{{}}', '{{}}', '{{}}', '',
         '', '')""")  # fmt: skip
    types = {
        "id": "int", "small": "smallint", "big": "bigint", "money_": "decimal(20,4)", "free": "decimal(38,9)", "real_": "float", "double_": "double",
        "yes": "boolean", "at": "timestamp", "local": "timestamp", "day": "date", "clock": "string", "span": "string", "uid": "string", "doc": "string",
        "raw": "string", "numbers": "array<int>", "prices": "array<decimal(10,2)>", "words": "array<string>", "bytes": "binary", "mixed": "string",
        "label": "string",
    }  # fmt: skip
    columns = tuple(
        Column(n, t, "string", required=n == "id", source_field="Mixed Case" if n == "mixed" else "", timezone="Europe/Berlin" if n == "local" else None)
        for n, t in types.items()
    )
    contract = replace(orders(server, name, cursor="id"), columns=columns, sequence=())
    ingest(spark, contract, "one")
    build.increment(spark, contract, "two")
    rows = {r["id"]: r.asDict() for r in spark.table(contract.silver.sql).select(*types).collect()}
    assert rows[1] == {
        "id": 1, "small": -32768, "big": 9223372036854775807, "money_": Decimal("1234567890123456.7891"),
        "free": Decimal("12345678901234567890123456789.123456789"), "real_": pytest.approx(0.1, abs=1e-8), "double_": 0.1, "yes": True,
        "at": datetime(2026, 3, 29, 0, 30, 0, 123456), "local": datetime(2026, 3, 29, 0, 30, 0, 1), "day": date(2026, 2, 28), "clock": "23:59:59.999999",
        "span": "P1M2DT3H4M5S", "uid": str(uid), "doc": '{"a": [1, 1.10], "b": null}', "raw": '{"x": 1.10,  "x": 2}', "numbers": [1, None, 3],
        "prices": [Decimal("1.50"), Decimal("2.00")], "words": ["a,b", 'c"d'], "bytes": bytearray(b"\x00\xff\x10"), "mixed": 'tab\tand "quote"\nline',
        "label": "é€😀",
    }  # fmt: skip
    assert rows[2] == dict.fromkeys(types) | {"id": 2}
    assert set(rows) == {1, 2}
    refused = {json.loads(r[0])["id"]: set(r[1]) for r in spark.table(contract.quarantine.sql).select("_payload", "_reasons").collect()}
    assert refused == {
        3: {"money__type", "free_type", "real__not_nan", "at_type", "day_type", "prices_type"},
        4: {"free_type", "double__not_nan", "at_type", "day_type"},
    }


def test_a_server_that_dies_while_it_is_read_costs_a_clear_error_and_no_row(spark: SparkSession, server: Server, name: str) -> None:
    contract = orders(server, name)
    server.sql(f"insert into {name} select i, repeat('x', 500), now() from generate_series(1, 60000) i")
    portion = pending(contract).portions[0]
    assert portion.amount.records >= 0
    failed: list[Exception] = []

    def run() -> None:
        try:
            ingest(spark, contract, "one")
        except Exception as error:  # noqa: BLE001 - looked at below
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    with server.connect() as watcher:
        while (
            thread.is_alive()
            and not watcher.execute(
                "select 1 from pg_stat_activity where application_name = 'lakehouse' and query like '%_payload%' and pid <> pg_backend_pid()"
            ).fetchone()
        ):
            pass
    server.kill()
    thread.join()
    server.start()
    for error in failed:
        assert isinstance(error, SourceError), error
        assert "can't be read" in error.what
    ingest(spark, contract, "two")
    assert sum(held(spark, contract).values()) == 60000
    assert set(held(spark, contract).values()) == {1}


def test_the_password_is_in_no_message_no_log_and_no_table(spark: SparkSession, server: Server, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    contract, secret = orders(server, name), f"s3cret{uuid.uuid4().hex}"
    put(server, name, 1, "a", NOW)
    server.sql(f"create role {name} login password '{secret}'", f"grant select on {name} to {name}")
    access = server.folder / "data" / "pg_hba.conf"
    before = access.read_text()
    access.write_text(f"host all {name} 127.0.0.1/32 scram-sha-256\n{before}")
    server.sql("select pg_reload_conf()")
    monkeypatch.setenv("PGUSER", name)
    with pytest.raises(SourceError) as refused:
        pending(contract)
    monkeypatch.setenv("PGPASSWORD", secret)
    done = ingest(spark, contract, "one")
    assert isinstance(done, Ingested)
    server.sql(f"alter table {name} rename column note to other")
    batch = pending(contract, full=True).portions[0].read(spark)
    plan = batch.rows._explain_string(extended=True)  # type: ignore[union-attr]
    server.sql(f"revoke select on {name} from {name}")
    with pytest.raises(Exception) as failed:  # noqa: B017, PT011 - whatever it is, it must not say it
        batch.rows.collect()  # type: ignore[union-attr]
    batch.close()
    logs = "".join(p.read_text(errors="replace") for p in (settings().home / "logs").glob("*"))
    notes = str(metadata.state(contract.bronze)) + str(spark.sql(f"describe history {contract.bronze.sql}").collect())
    for text in (str(refused.value), str(failed.value), logs, notes, plan):
        assert secret not in text


def test_a_view_is_read_and_told_from_itself(spark: SparkSession, server: Server, name: str) -> None:
    orders(server, f"{name}_base")
    server.sql(f"create view {name} as select * from {name}_base")
    for cursor in (None, "updated_at"):
        contract = replace(orders(server, name, cursor=cursor), name=f"{name}_{cursor or 'snapshot'}")
        put(server, f"{name}_base", 1, "a", NOW)
        ingest(spark, contract, "one")
        assert {(k[0], k[1]) for k in held(spark, contract)} == {(1, "a")}
        assert not pending(contract).portions
        put(server, f"{name}_base", 2, "b", NOW)
        assert pending(contract).portions
        server.sql(f"delete from {name}_base where id = 2")


def test_a_day_that_is_read_again_leaves_what_was_taken_in_without_a_day_as_it_is(spark: SparkSession, server: Server, name: str) -> None:
    late, day = replace(orders(server, name), start=(NOW - timedelta(days=2)).date()), NOW - timedelta(days=3)
    put(server, name, 1, "a", day)
    put(server, name, 2, "b", NOW)
    ingest(spark, late, "one")
    rebuild(spark, replace(late, start=START), [day.date()], "two")
    assert held(spark, late) == Counter({(1, "a"): 1, (2, "b"): 1})
