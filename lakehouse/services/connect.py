"""Kafka Connect with Debezium's connector for PostgreSQL: one worker on loopback that writes to the broker of `lakehouse services`.

Its connectors, and how far each has read, are in topics of that broker, so that a worker that was killed goes on where it was. It knows the password of the
PostgreSQL of `lakehouse services`: a connector's own settings, which its REST API shows, need none. For the demo and the tests.
Not here: the connectors (docs/change-data.md has one), reading what they write (`lakehouse.sources.kafka`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from lakehouse.engine import jars, process
from lakehouse.engine.config import java
from lakehouse.errors import LakehouseError, SourceError
from lakehouse.services import background, kafka, postgres
from lakehouse.services.background import Running

NAME = "connect"
LOCK = Path(__file__).with_name("connect.lock")
PATIENCE = 120.0  # seconds until its API must answer; ten are normal
_HEAP = "256m"
_JSON = "org.apache.kafka.connect.json.JsonConverter"


def address(home: Path) -> str:
    """Where its REST API answers, or would. Raises `SourceError` when no worker was ever started."""
    port = _port(home)
    if port is None:
        raise SourceError("There is no Kafka Connect: none was started.", next_step="Start one: lakehouse services start connect")
    return f"http://{process.LOOPBACK}:{port}"


def start(home: Path, progress: Callable[[str], None] | None = None) -> Running:
    """The running worker; started when there is none, with its broker. Raises `SetupError` for jars, `LakehouseError` when it does not start."""
    kafka.start(home, progress)
    found = background.find(home, NAME)
    if found is not None:
        return found
    class_path = jars.ensure_jars(progress, jars.shared_folder() / kafka.NAME, LOCK)
    port = _port(home) or process.free_ports(1)[0]
    if process.accepts(port):
        raise LakehouseError(f"Port {port}, where Kafka Connect had its place, is taken by another program.", next_step="End that program, then try again.")
    said = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true"
    worker = "org.apache.kafka.connect.cli.ConnectDistributed", str(_prepare(home, port))
    command = [str(java()), f"-Xmx{_HEAP}", *said, "-cp", ":".join(map(str, class_path)), *worker]
    running = background.start(home, NAME, command, port=port, stamp="", environment={"PGPASSFILE": str(postgres.passfile(home))})
    background.await_ready(home, running, lambda: background.answers(running, "/health"), PATIENCE, "lakehouse services start connect")
    return running


def stop(home: Path) -> bool:
    """Stop it; its connectors stay. Whether it ran."""
    return background.stop(home, NAME) >= 0


def _port(home: Path) -> int | None:
    try:
        found = re.search(r"^listeners=\D+[\d.]+:(\d+)$", _properties(home).read_text("utf-8"), re.M)
    except FileNotFoundError:
        return None
    return int(found[1]) if found else None


def _properties(home: Path) -> Path:
    return home / "services" / NAME / "worker.properties"


def _prepare(home: Path, port: int) -> Path:
    """The worker's settings. Messages go without their schema, and numbers as numbers: a decimal would else be the base64 of its digits."""
    properties = _properties(home)
    properties.parent.mkdir(parents=True, exist_ok=True)
    said = {
        "bootstrap.servers": kafka.address(home),
        "listeners": f"http://{process.LOOPBACK}:{port}",
        "group.id": "lakehouse-connect",
        "scheduled.rebalance.max.delay.ms": 0,  # there is no other worker whose return could be waited for
        "offset.flush.interval.ms": 1000,
        "plugin.discovery": "only_scan",
        **{f"{what}.storage.topic": f"connect-{what}s" for what in ("config", "offset")},
        "status.storage.topic": "connect-status",
        **{f"{what}.storage.replication.factor": 1 for what in ("config", "offset", "status")},
        "offset.storage.partitions": 1,
        "status.storage.partitions": 1,
        **{f"{side}.converter": _JSON for side in ("key", "value")},
        **{f"{side}.converter.schemas.enable": "false" for side in ("key", "value")},
        **{f"{side}.converter.decimal.format": "NUMERIC" for side in ("key", "value")},
    }
    properties.write_text("".join(f"{key}={value}\n" for key, value in said.items()), "utf-8")
    return properties
