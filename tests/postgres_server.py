"""A real PostgreSQL on loopback for tests: started, killed, started again. Its clients here are psycopg's; what the platform does with it is its own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

USER = "tester"


@dataclass
class Server:
    """One cluster in a folder of its own."""

    folder: Path
    port: int
    programs: Path

    def start(self) -> None:
        """Start it and wait until it answers; after a kill, its last children must have let go of its memory first."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off -c autovacuum_naptime=1"
        deadline = time.monotonic() + 200
        while not self._run("pg_ctl", "-D", str(self.folder / "data"), "-l", str(self.folder / "log"), "-o", options, "-w", "start", check=False):
            assert time.monotonic() < deadline, (self.folder / "log").read_text()[-2000:]
            time.sleep(0.2)

    def stop(self) -> None:
        """Stop it at once."""
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "-w", "stop", check=False)

    def kill(self) -> None:
        """kill -9, and wait until nobody listens."""
        pid = int((self.folder / "data" / "postmaster.pid").read_text().splitlines()[0])
        children = [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        for one in (pid, *children):
            os.kill(one, signal.SIGKILL)
        deadline = time.monotonic() + 100
        while any(Path(f"/proc/{p}").exists() and Path(f"/proc/{p}/cmdline").read_bytes() for p in (pid, *children)):
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def connect(self, **options: Any) -> psycopg.Connection[Any]:
        """A connection of a client that writes."""
        return psycopg.connect(host="127.0.0.1", port=self.port, dbname="postgres", user=USER, **{"autocommit": True, **options})

    def sql(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements; the rows of the last."""
        with self.connect() as connection:
            for statement in statements:
                cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def for_dagster(self) -> None:
        """The role and the database that the compose file's PostgreSQL is made with."""
        self.sql("create role dagster superuser login", "create database dagster owner dagster")

    def _run(self, program: str, *words: str, check: bool = True) -> bool:
        account: dict[str, Any] = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        done = subprocess.run([self.programs / program, *words], cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, **account)
        assert not check or done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"
        return done.returncode == 0


def make_server() -> Server:
    """A new cluster, running. As root it belongs to the account `postgres`, since PostgreSQL does not run as root."""
    found = [Path(p) for p in (shutil.which("initdb"),) if p] or sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found and not os.environ.get("CI"):
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    programs = found[-1].parent
    folder = Path(tempfile.mkdtemp(prefix="lakehouse-postgres-"))
    if os.geteuid() == 0:
        os.chown(folder, pwd.getpwnam("postgres").pw_uid, -1)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        server = Server(folder, probe.getsockname()[1], programs)
    server._run("initdb", "-D", str(folder / "data"), "-A", "trust", "-U", USER, "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions")
    server.start()
    return server


def remove_server(server: Server) -> None:
    """Stop it and remove its folder."""
    server.stop()
    shutil.rmtree(server.folder, ignore_errors=True)
