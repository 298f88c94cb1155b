"""A real Kafka broker (KRaft, one node) on loopback, from jars that are locked like the engine's and fetched when first asked for.

For the demo and the tests: without replicas, TLS or users. Not here: topics and records (`lakehouse.sources.kafka`, `demo`).
"""

from __future__ import annotations

import re
import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path

from lakehouse.engine import jars, process
from lakehouse.engine.config import java
from lakehouse.errors import LakehouseError, SourceError
from lakehouse.services import background
from lakehouse.services.background import Running

NAME = "kafka"
LOCK = Path(__file__).with_name("kafka.lock")
PATIENCE = 120.0  # seconds until it must take connections; 4 are normal
_HEAP = "256m"


def address(home: Path) -> str:
    """Where the broker answers, or would. Raises `SourceError` when none was ever started."""
    ports = _ports(home)
    if ports is None:
        raise SourceError(
            "There is no Kafka broker: a contract reads from `services`, and none was started.",
            state="Nothing was read or written.",
            next_step="Start one: lakehouse services start kafka. Or name your own: LAKEHOUSE_KAFKA_BROKERS=host:port",
        )
    return f"{process.LOOPBACK}:{ports[0]}"


def start(home: Path, progress: Callable[[str], None] | None = None) -> Running:
    """The running broker; started when there is none, on the ports it had before. Raises `SetupError` for jars, `LakehouseError` when it does not start."""
    found = background.find(home, NAME)
    if found is not None:
        return found
    class_path = jars.ensure_jars(progress, jars.shared_folder() / NAME, LOCK)
    command = [str(java()), f"-Xmx{_HEAP}", "-cp", ":".join(map(str, class_path))]
    port, controller = _ports(home) or process.free_ports(2)
    if process.accepts(port):
        raise LakehouseError(f"Port {port}, where the Kafka broker had its place, is taken by another program.", next_step="End that program, then try again.")
    properties = _prepare(home, port, controller, command)
    running = background.start(home, NAME, [*command, "kafka.Kafka", str(properties)], port=port, stamp="", environment={})
    background.await_ready(home, running, lambda: process.accepts(port), PATIENCE, "lakehouse services start kafka")
    return running


def stop(home: Path) -> bool:
    """Stop it; its data and its address stay. Whether it ran."""
    return background.stop(home, NAME) >= 0


def _ports(home: Path) -> tuple[int, int] | None:
    """The broker's port and the controller's, which are part of its data."""
    try:
        found = re.search(r"^listeners=\D+[\d.]+:(\d+),\D+[\d.]+:(\d+)$", _properties(home).read_text("utf-8"), re.M)
    except FileNotFoundError:
        return None
    return (int(found[1]), int(found[2])) if found else None


def _properties(home: Path) -> Path:
    return home / "services" / NAME / "server.properties"


def _prepare(home: Path, port: int, controller: int, java_command: list[str]) -> Path:
    """The broker's settings; a new folder is formatted."""
    properties = _properties(home)
    folder = properties.parent
    folder.mkdir(parents=True, exist_ok=True)
    said = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.bootstrap.servers": f"{process.LOOPBACK}:{controller}",
        "listeners": f"PLAINTEXT://{process.LOOPBACK}:{port},CONTROLLER://{process.LOOPBACK}:{controller}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": folder / "data",
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
    }
    properties.write_text("".join(f"{key}={value}\n" for key, value in said.items()), "utf-8")
    if not (folder / "data" / "meta.properties").exists():
        cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        command = [*java_command, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", str(properties), "--standalone"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
        if done.returncode:
            raise LakehouseError(f"The Kafka broker has no folder: {done.stderr.strip()[-500:]}", next_step=f"Remove {folder}, then try again.")
    return properties
