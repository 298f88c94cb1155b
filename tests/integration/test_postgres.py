"""A database under load, read through the command line while it, the engine and the runs are killed: at the end Silver is the tables, row for row."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Iterator

import psycopg
import pytest

from tests.integration.conftest import Lake
from tests.postgres_server import USER, Server, make_server, remove_server

CONTRACT = """\
apiVersion: v3.2.0
kind: DataContract
id: 00000000-0000-4000-8000-00000000000{number}
name: {name}
version: 1.0.0
status: active
domain: test
description: {{purpose: Stock.}}
servers: [{{server: landing, type: postgresql, host: 127.0.0.1, port: {port}, database: postgres, schema: public}}]
schema:
  - name: {name}
    physicalType: table
    properties:
      - {{name: id, logicalType: integer, physicalType: int, required: true, primaryKey: true, primaryKeyPosition: 1, description: Number.}}
      - {{name: amount, logicalType: number, physicalType: 'decimal(12,2)', required: true, description: How much.}}
      - {{name: updated_at, logicalType: timestamp, required: true, description: When.}}
customProperties:
  - {{property: kind, value: entity}}
  - {{property: source, value: {source}}}
  - {{property: partition, value: {{start: '2026-01-01'}}}}
"""
SOURCES = {"grown": "{mode: cursor, cursor: updated_at, overlap: 60}", "seen": "{mode: snapshot, interval: 0}"}
ROWS = 300


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    made = make_server()
    yield made
    remove_server(made)


@pytest.fixture(scope="module")
def shop(lake: Lake, server: Server) -> Lake:
    folder = lake.home / "contracts" / "test"
    folder.mkdir(parents=True)
    for number, (name, source) in enumerate(SOURCES.items()):
        (folder / f"{name}.odcs.yaml").write_text(CONTRACT.format(name=name, source=source, number=number, port=server.port))
        server.sql(
            f"create table {name} (id int primary key, amount numeric(12,2) not null, updated_at timestamptz not null)", f"create index on {name} (updated_at)"
        )
    lake.env.update(LAKEHOUSE_CONTRACTS=str(lake.home / "contracts"), PGUSER=USER)
    return lake


def write(server: Server, stop: threading.Event, rng: random.Random) -> None:
    """One writer: some rows a transaction, which stays open for a moment now and then; whatever the server does, it goes on."""
    while not stop.is_set():
        with contextlib.suppress(psycopg.Error), server.connect(autocommit=False, connect_timeout=2) as connection:
            while not stop.is_set():
                for _ in range(rng.randrange(1, 6)):
                    row = (rng.randrange(ROWS), rng.randrange(10**6) / 100)
                    for name in SOURCES:
                        connection.execute(
                            f"insert into {name} values (%s, %s, clock_timestamp()) on conflict (id) do update set amount = excluded.amount, "
                            "updated_at = excluded.updated_at", row)  # fmt: skip
                connection.execute("delete from seen where id = %s", (rng.randrange(ROWS),))
                time.sleep(rng.choice([0.0, 0.0, 0.3]))
                connection.commit()


def kill(victim: str, shop: Lake, server: Server, run: subprocess.Popen[str]) -> None:
    """kill -9; a database is started again when the run has seen it gone."""
    if victim == "database":
        server.kill()
        run.wait(timeout=600)
        server.start()
    elif (pid := shop.engine_pid()) is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.timeout(1200)
def test_silver_is_the_tables_whatever_was_killed_meanwhile(shop: Lake, server: Server) -> None:
    rng, stop = random.Random(4), threading.Event()
    threads = [threading.Thread(target=write, args=(server, stop, random.Random(n))) for n in range(2)]
    for thread in threads:
        thread.start()
    try:
        shop.run("sync")
        for victim in ("database", "engine"):
            run = shop.start("sync")
            time.sleep(rng.uniform(2, 6))  # somewhere in the run: that is the point
            kill(victim, shop, server, run)
            run.wait(timeout=600)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    shop.run("sync")
    while "Nothing is new" not in shop.run("sync").stdout:
        pass  # a counter of the server may still have moved after the last look
    for name in SOURCES:
        kept = "" if name == "grown" else "where not is_deleted"
        columns = "id, amount::varchar, epoch_us(updated_at)"
        found = shop.sql(f"silver.{name}", f"select {columns} from t {kept} order by id")
        there = server.sql(f"select id, amount::text, (extract(epoch from updated_at) * 1000000)::bigint from {name} order by id")
        assert found == there
        repeated = shop.sql(f"bronze.{name}", "select _payload, _source_position, count(*) from t group by all having count(*) > 1")
        assert repeated == []


def test_a_database_that_is_away_is_one_clear_sentence(shop: Lake, server: Server) -> None:
    server.stop()
    done = shop.run("sync", check=False)
    server.start()
    assert done.returncode == 1
    said = " ".join((done.stdout + done.stderr).split())
    assert "The database postgres at 127.0.0.1" in said
    assert "Traceback" not in said
