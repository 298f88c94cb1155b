"""What is known about the running engine: `engine.json` in the lake's home, and whether that process is still the one it names.

Not here: starting and stopping (`launcher`), the process itself (`process`).
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

import psutil

SAME_START = 1.0  # seconds; a process id is not used again that fast


@dataclass(frozen=True)
class EngineState:
    """One started engine."""

    phase: Literal["starting", "running"]
    pid: int
    pid_started: float  # seconds since the epoch, as the operating system tells it
    connect_port: int
    thrift_port: int
    fingerprint: str
    heap: str
    versions: dict[str, str]
    aot_cache: str | None = None


def state_file(home: Path) -> Path:
    """Where the state is kept."""
    return home / "engine.json"


def read_state(home: Path) -> EngineState | None:
    """The recorded state; None when there is none or it can't be understood (another version's, or damaged): then it is derived anew."""
    try:
        found = json.loads(state_file(home).read_text(encoding="utf-8"))
        return EngineState(**{field.name: found[field.name] for field in fields(EngineState)})
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def write_state(home: Path, state: EngineState) -> None:
    """Record it, whole or not at all."""
    home.mkdir(parents=True, exist_ok=True)
    scratch = home / f".engine.json.{os.getpid()}"
    scratch.write_text(json.dumps(asdict(state), indent=2) + "\n", encoding="utf-8")
    scratch.replace(state_file(home))


def clear_state(home: Path) -> None:
    """Forget it."""
    state_file(home).unlink(missing_ok=True)


def living(state: EngineState | None) -> psutil.Process | None:
    """The engine's process, unless it has ended: the same id with another start time is somebody else's process."""
    if state is None:
        return None
    try:
        process = psutil.Process(state.pid)
        if process.status() == psutil.STATUS_ZOMBIE or abs(process.create_time() - state.pid_started) > SAME_START:
            return None
    except psutil.NoSuchProcess:
        return None
    return process
