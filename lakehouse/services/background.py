"""A process that runs in the background, known by a file: started once, found again, ended; a file that outlived its process is seen through.

Not here: which processes there are (`kafka`, `lakehouse.cli.services`), the engine (`lakehouse.engine.launcher`).
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from lakehouse.engine import process
from lakehouse.engine.state import birth
from lakehouse.errors import LakehouseError

PATIENCE = 20.0
_POLL = 0.1
KEPT_BYTES = 10_000_000


@dataclass(frozen=True)
class Running:
    """One background process, as its file records it."""

    name: str
    pid: int
    birth: str
    port: int | None
    stamp: str  # what it was started for; another stamp means that it must be started again

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{process.LOOPBACK}:{self.port}"


def pid_file(home: Path, name: str) -> Path:
    """Where a process is recorded."""
    return home / "run" / f"{name}.json"


def recorded(home: Path, name: str) -> Running | None:
    """What the file says; None when there is none, or none that can be understood."""
    try:
        return Running(**json.loads(pid_file(home, name).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def living(running: Running | None) -> psutil.Process | None:
    """Its process, unless it has ended: the same id with another birth is somebody else's."""
    if running is None:
        return None
    try:
        found = psutil.Process(running.pid)
        if found.status() == psutil.STATUS_ZOMBIE or birth(found) != running.birth:
            return None
    except psutil.NoSuchProcess:
        return None
    return found


def find(home: Path, name: str) -> Running | None:
    """The process that runs under this name."""
    running = recorded(home, name)
    return running if living(running) else None


def start(home: Path, name: str, command: Sequence[str], *, port: int | None, stamp: str, environment: Mapping[str, str]) -> Running:
    """Start it as a session of its own, so that no Ctrl-C and no end of this process reaches it; output to `<home>/logs/<name>.log`."""
    log = log_file(home, name)
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > KEPT_BYTES:
        log.replace(log.with_name(f"{log.name}.1"))
    with log.open("ab") as output:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=home, env={**os.environ, **environment}, start_new_session=True
        )
    running = Running(name, child.pid, birth(psutil.Process(child.pid)), port, stamp)
    file = pid_file(home, name)
    file.parent.mkdir(parents=True, exist_ok=True)
    scratch = file.with_name(f".{file.name}.{os.getpid()}")
    scratch.write_text(json.dumps(asdict(running)) + "\n", "utf-8")
    scratch.replace(file)
    return running


def answers(running: Running, path: str) -> bool:
    """Whether a page of its can be had now."""
    from urllib.error import URLError
    from urllib.request import ProxyHandler, build_opener

    try:
        with build_opener(ProxyHandler({})).open(f"{running.url}{path}", timeout=5) as answer:  # loopback: never through a proxy
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def await_ready(home: Path, running: Running, ready: Callable[[], bool], patience: float, again: str) -> None:
    """Until it is ready. Raises `LakehouseError` with the end of its log, and the command to try `again`, when it ends, or takes too many seconds."""
    deadline = time.monotonic() + patience
    while not ready():
        gone = living(running) is None
        if gone or time.monotonic() > deadline:
            log = log_file(home, running.name)
            said = "\n".join(f"    {line[:300]}" for line in process.last_lines(log, 12)) or "    (nothing)"
            raise LakehouseError(
                f"{running.name} {'ended while it was starting' if gone else 'does not answer'}. The last lines of its log:\n{said}",
                state="No table was changed.",
                next_step=f"The whole log: {log}. What may be wrong: lakehouse doctor. Then: {again}",
            )
        time.sleep(_POLL)


def stop(home: Path, name: str, *, children_too: bool = True) -> int:
    """End it and (unless told otherwise) all it has started; returns how many children there were, or -1 when it did not run."""
    found = living(recorded(home, name))
    children: list[psutil.Process] = []
    if found is not None:
        children = _children(found)
        process.end(found, PATIENCE)
        for child in children if children_too else ():
            process.end(child, PATIENCE)
    pid_file(home, name).unlink(missing_ok=True)
    return len(children) if found is not None else -1


def _children(process_: psutil.Process) -> list[psutil.Process]:
    """The processes it started; Python's own housekeeper is none of them, and ends by itself."""
    try:
        return [child for child in process_.children(recursive=True) if not any("resource_tracker" in word for word in child.cmdline())]
    except psutil.NoSuchProcess:
        return []


def log_file(home: Path, name: str) -> Path:
    """Where its output goes."""
    return home / "logs" / f"{name}.log"


def shorten_logs(home: Path) -> None:
    """Put aside what has been logged beyond 10 MB. Running processes append to their logs, so one is copied and emptied, not moved away from under them."""
    for log in (home / "logs").glob("*.log"):
        with contextlib.suppress(OSError):  # its owner has moved it meanwhile, or the disk is full: at the next look
            if log.stat().st_size > KEPT_BYTES:
                shutil.copyfile(log, log.with_name(f"{log.name}.1"))
                os.truncate(log, 0)
