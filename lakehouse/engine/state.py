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

_BOOT = Path("/proc/sys/kernel/random/boot_id")


def boot() -> str:
    """This start of this machine; empty where the system has no name for it."""
    return _BOOT.read_text("ascii").strip() if _BOOT.exists() else ""


def birth(process: psutil.Process) -> str:
    """What tells a process from another one that had its number: the start of the machine, and how many seconds after it the process began.

    Not a time since 1970: when the machine's clock is set, those of all processes move with it.
    """
    return f"{boot()}/{process.create_time() - psutil.boot_time():.2f}"


@dataclass(frozen=True)
class EngineState:
    """One started engine."""

    phase: Literal["starting", "running"]
    pid: int
    birth: str
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
    """The engine's process, unless it has ended: the same id with another birth is somebody else's process."""
    if state is None:
        return None
    try:
        process = psutil.Process(state.pid)
        if process.status() == psutil.STATUS_ZOMBIE or birth(process) != state.birth:
            return None
    except psutil.NoSuchProcess:
        return None
    return process
