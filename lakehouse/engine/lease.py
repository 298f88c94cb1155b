"""The lease of a lake: a small file in its warehouse that says which engine owns it. Two engines that write to one Delta table on files lose data.

Taken and renewed by compare-and-swap. An owner that stopped renewing has lost it after `SECONDS`, measured by watching the file: no clocks are
compared but the store's with itself. On the same machine a dead owner is seen at once. Not here: the process that renews it (`keeper`).
"""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import psutil

from lakehouse.engine.state import birth, boot
from lakehouse.errors import EngineError
from lakehouse.storage.swap import Changed, Seen, look, swap

SECONDS = 60.0  # without renewal for so long, it may be taken over
RENEWED_EACH = 10.0
_POLL = 0.5


_PROCESSES = Path("/proc/self/ns/pid")


def _machine() -> str:
    """This machine since it was started, as far as one sees its processes: containers on it may share a host name, but not the numbers of processes."""
    return "/".join((socket.gethostname(), boot() or str(uuid.getnode()), *([str(_PROCESSES.readlink())] if _PROCESSES.is_symlink() else [])))


def _began(pid: int) -> str:
    """A process's birth; empty when there is none."""
    try:
        found = psutil.Process(pid)
        return "" if found.status() == psutil.STATUS_ZOMBIE else birth(found)
    except psutil.NoSuchProcess:
        return ""


@dataclass(frozen=True)
class Owner:
    """An engine: its id, machine, home, and its process with its birth. Until there is one, that is its keeper."""

    home: str
    engine: str = field(default_factory=lambda: uuid.uuid4().hex)
    machine: str = field(default_factory=_machine)
    pid: int = field(default_factory=os.getpid)
    began: str = field(default_factory=lambda: _began(os.getpid()))

    def with_process(self, pid: int) -> Owner:
        """The same with its process."""
        return replace(self, pid=pid, began=_began(pid))

    @property
    def seen(self) -> bool | None:
        """Whether its process lives; None when it is on another machine."""
        return _began(self.pid) == self.began if self.machine == _machine() else None

    def __str__(self) -> str:
        return f"the engine of {self.home} on {self.machine.partition('/')[0]} (process {self.pid})"


@dataclass
class Lease:
    """A lease that is held. Not for two threads at once."""

    url: str
    owner: Owner
    tag: str
    renewals: int = 0

    def renew(self, owner: Owner | None = None) -> None:
        """Say that the owner lives (and what is new about it). Raises `Changed` when another has taken it over."""
        self.owner = owner or self.owner
        self.renewals += 1
        text = _text(self.owner, self.renewals)
        try:
            self.tag = swap(self.url, text, Seen("", self.tag, 0.0))
        except Changed:
            now = look(self.url)  # still ours, when the answer to an earlier write was lost
            found = _owner(now) if now else None
            if found is None or found.engine != self.owner.engine:
                raise
            self.tag = swap(self.url, text, now)

    def release(self) -> None:
        """Leave it to whoever comes next. Raises `Changed` when another has it already."""
        swap(self.url, json.dumps({"released": True}), Seen("", self.tag, 0.0))


def lease_url(warehouse: str) -> str:
    """Where the lease of a lake is."""
    return f"{warehouse.rstrip('/')}/_lakehouse/engine.lease"


def take(warehouse: str, owner: Owner, waiting: Callable[[str], None]) -> Lease:
    """Take the lease: at once where it is free, after at most `SECONDS` where its owner does not renew it.

    `waiting` is told once when it has to wait. Raises `EngineError` when its owner lives, `StorageError`.
    """
    watch = _Watch(warehouse, waiting)
    while True:
        seen = look(watch.url)
        if not watch.free(seen):
            time.sleep(_POLL)
            continue
        try:
            return Lease(watch.url, owner, swap(watch.url, _text(owner, 0), seen))
        except Changed:
            continue


class _Watch:
    """A lease that somebody else may have, watched until it is free."""

    def __init__(self, warehouse: str, waiting: Callable[[str], None]) -> None:
        self.url = lease_url(warehouse)
        self._warehouse, self._waiting = warehouse, waiting
        self._first: Seen | None = None
        self._deadline = 0.0

    def free(self, seen: Seen | None) -> bool:
        """Whether it may be taken now. Raises `EngineError` when its owner lives."""
        other = _owner(seen) if seen else None
        if seen is None or other is None or other.seen is False:
            return True
        if other.seen or (self._first is not None and seen.tag != self._first.tag):
            raise _owned(self._warehouse, other)
        if self._first is None:
            self._first, self._deadline = seen, time.monotonic() + SECONDS - seen.age
            if seen.age < SECONDS:
                self._waiting(f"{self._warehouse} belongs to {other}. Waiting until it has been silent for {SECONDS:.0f} s …")
        return time.monotonic() >= self._deadline


def holder(warehouse: str) -> tuple[Owner, float] | None:
    """Who has the lease, and how many seconds ago he said so (0 in a folder: not known); None when it is free."""
    seen = look(lease_url(warehouse))
    owner = _owner(seen) if seen else None
    return (owner, seen.age) if seen and owner else None


def _text(owner: Owner, renewals: int) -> str:
    return json.dumps({**asdict(owner), "renewals": renewals}, indent=1)


def _owner(seen: Seen) -> Owner | None:
    """None for one that was released, or that nobody can understand: the latter is taken over like one that is silent."""
    try:
        said = json.loads(seen.content)
        return Owner(str(said["home"]), str(said["engine"]), str(said["machine"]), int(said["pid"]), str(said["began"]))
    except (ValueError, KeyError, TypeError):
        return None


def _owned(warehouse: str, other: Owner) -> EngineError:
    return EngineError(
        f"The lake {warehouse} belongs to {other}. Two engines that write to one lake lose data.",
        state="This one was not started.",
        next_step="Use that engine (LAKEHOUSE_ENGINE=remote, or the same LAKEHOUSE_HOME), or stop it where it runs: lakehouse engine stop",
    )
