"""Starting, finding and stopping the one Spark application of a lake.

Any client calls `ensure_engine()`; under a file lock one of them starts it and the others find it running. A process that was killed, a state file
that names somebody else's process and an engine that no longer answers are all mended here. Not here: its configuration (`config`), its process
(`process`), sessions (`session`).
"""

from __future__ import annotations

import fcntl
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import psutil

from lakehouse.engine import aot, process
from lakehouse.engine.config import EngineConfig, engine_config, metastore_folder, versions
from lakehouse.engine.jars import ensure_jars, ensure_s3_jars
from lakehouse.engine.state import EngineState, birth, clear_state, living, read_state, write_state
from lakehouse.errors import EngineError
from lakehouse.settings import Settings, settings
from lakehouse.storage import check

STARTS = 3  # attempts, when another program takes a port that was free a moment ago
STOP_PATIENCE = 30.0
_POLL = 0.05
_FOLLOW_SECONDS = 0.5
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Endpoints:
    """Where the two doors are; `pid` only for an engine of this machine."""

    connect_url: str
    thrift_host: str
    thrift_port: int
    pid: int | None


@dataclass(frozen=True)
class EngineStatus:
    """What `lakehouse engine status` shows."""

    state: Literal["running", "starting", "not answering", "stopped", "remote"]
    endpoints: Endpoints | None = None
    heap: str | None = None
    memory_bytes: int | None = None
    uptime_seconds: float | None = None
    versions: dict[str, str] | None = None
    aot_cache: bool = False
    current: bool = True  # False: the configuration changed since it was started
    log: str | None = None


def ensure_engine() -> Endpoints:
    """The doors of the engine, started now where it does not run. Takes milliseconds when it does. Raises `EngineError`, `SetupError`."""
    chosen = settings()
    if chosen.engine == "remote":
        return _remote(chosen)
    config = engine_config(chosen)
    state = read_state(chosen.home)
    if state and _serves(state) and state.fingerprint == config.fingerprint():
        return _endpoints(state)
    with _locked(chosen):
        return _endpoints(_start_or_adopt(chosen, config))


def stop_engine() -> bool:
    """Stop it; False when none was running. What it was writing is rolled back by Delta: an unfinished commit is none."""
    chosen = settings()
    _refuse_remote(chosen, "stopped")
    with _locked(chosen):
        state = read_state(chosen.home)
        found = [*filter(None, [living(state)]), *process.strays(engine_config(chosen))]
        for one in {p.pid: p for p in found}.values():
            process.end(one, STOP_PATIENCE)
        clear_state(chosen.home)
        return bool(found)


def restart_engine() -> Endpoints:
    """Stop it where it runs, and start it."""
    stop_engine()
    return ensure_engine()


def engine_status() -> EngineStatus:
    """What is known about the engine, without starting it."""
    chosen = settings()
    if chosen.engine == "remote":
        return EngineStatus(state="remote", endpoints=_remote(chosen))
    config = engine_config(chosen)
    state = read_state(chosen.home)
    found = living(state)
    if state is None or found is None:
        return EngineStatus(state="stopped", log=str(config.log))
    answers = process.accepts(state.connect_port) and process.accepts(state.thrift_port)
    phase: Literal["running", "starting", "not answering"] = "starting" if state.phase == "starting" else "running" if answers else "not answering"
    return EngineStatus(
        state=phase,
        endpoints=_endpoints(state),
        heap=state.heap,
        memory_bytes=found.memory_info().rss,
        uptime_seconds=time.time() - found.create_time(),
        versions=state.versions,
        aot_cache=aot.in_use(found, state.aot_cache),
        current=state.fingerprint == config.fingerprint(),
        log=str(config.log),
    )


def serve_engine(ports: tuple[int, int], follow: Callable[[Path], None]) -> int:
    """Start it at these ports (Connect, Thrift) and stay with it, for containers and service managers; returns its exit code once it has ended.

    `follow` is called again and again with its log. A SIGTERM to this process ends the engine. Raises `EngineError` when it does not start, or runs already.
    """
    chosen = settings()
    _refuse_remote(chosen, "started")
    config = engine_config(chosen)
    signal.signal(signal.SIGTERM, _interrupt)
    with _locked(chosen):
        if living(read_state(chosen.home)):
            raise EngineError(f"The engine of {chosen.home} runs already.", next_step="Stop it: lakehouse engine stop")
        state = _start_or_adopt(chosen, config, ports)
    found = psutil.Process(state.pid)
    try:
        while not process.gone(found, _FOLLOW_SECONDS):
            follow(config.log)
    except KeyboardInterrupt:
        process.end(found, STOP_PATIENCE)
        clear_state(chosen.home)
        return 0
    finally:
        process.reap(STOP_PATIENCE)
        follow(config.log)
    return 1


def _interrupt(_: int, __: object) -> None:
    raise KeyboardInterrupt


def start_process(
    config: EngineConfig, timeout: float, java_flags: tuple[str, ...] = (), aot_cache: str | None = None, ports: tuple[int, int] | None = None
) -> EngineState:
    """Start an engine and wait until both doors are open. Its state is written before the wait, so that whoever comes next finds it."""
    for attempt in range(1, STARTS + 1):
        connect_port, thrift_port = ports or process.free_ports(2)
        started = process.spawn(config, connect_port, thrift_port, java_flags)
        threading.Thread(target=_import_client, daemon=True).start()
        state = EngineState("starting", started.pid, birth(started), connect_port, thrift_port, config.fingerprint(), config.heap, versions(), aot_cache)
        write_state(config.home, state)
        if _wait_for_doors(config, state, time.monotonic() + timeout):
            return state
        if attempt == STARTS or not any("BindException" in line or "in use" in line for line in process.last_lines(config.log, 200)):
            break
    clear_state(config.home)
    raise _failed(config, "The engine ended while it was starting.")


def _import_client() -> None:
    """PySpark's client takes a second to import: here while the engine starts, and not after it."""
    import pyspark.sql.connect.session  # noqa: F401


def _start_or_adopt(chosen: Settings, config: EngineConfig, ports: tuple[int, int] | None = None) -> EngineState:
    """Under the lock: the engine that another client has started meanwhile, or is about to have started, or a new one."""
    state = read_state(chosen.home)
    found = living(state)
    if state and found:
        adopted = _adopt(chosen, config, state, found)
        if adopted:
            return adopted
        process.end(found, STOP_PATIENCE)
    for stray in process.strays(config):
        _LOG.warning("Ending an engine of this lake that was left over from a start that did not finish: process %d", stray.pid)
        process.end(stray, STOP_PATIENCE)
    clear_state(chosen.home)
    check(chosen.warehouse)
    ensure_jars()
    if config.further:
        ensure_s3_jars()
    aot.share_classes(config.java)
    return _make_ready(chosen, config, _start(chosen, config, ports))


def _start(chosen: Settings, config: EngineConfig, ports: tuple[int, int] | None) -> EngineState:
    cache = aot.cache_file(config)
    usable = cache.is_file()
    return start_process(config, chosen.engine_start_timeout, aot.use_flags(cache) if usable else (), str(cache) if usable else None, ports)


def _adopt(chosen: Settings, config: EngineConfig, state: EngineState, found: psutil.Process) -> EngineState | None:
    """The living engine, made ready where its starter did not get that far; None when it must be replaced."""
    if state.fingerprint != config.fingerprint():
        others = process.clients(found, state.connect_port, state.thrift_port)
        if others and _serves(state):
            _LOG.warning("The engine's configuration or jars have changed, but %d connections are in use: restart it with `lakehouse engine stop`.", others)
            return state
        return None
    if state.phase == "running":
        return state if _serves(state) else None
    if not _wait_for_doors(config, state, time.monotonic() + chosen.engine_start_timeout):
        return None
    return _make_ready(chosen, config, state)


def _make_ready(chosen: Settings, config: EngineConfig, state: EngineState) -> EngineState:
    """Both doors are open: see that the databases exist, and that a new catalogue knows the tables that are there.

    A catalogue that says it has them is believed: a session that only asks takes as long as the first query of the client who waits.
    """
    from lakehouse.engine import catalog
    from lakehouse.engine.session import open_session

    def prepare() -> None:
        session = open_session(_endpoints(state))
        try:
            catalog.register_tables(session) if new_catalogue else catalog.create_databases(session)
        finally:
            session.stop()

    marker = metastore_folder(chosen) / "lakehouse.ready"
    new_catalogue, databases = not marker.exists(), " ".join(catalog.DATABASES)
    if new_catalogue or marker.read_text("utf-8") != databases:
        pool = ThreadPoolExecutor(max_workers=1)
        try:
            pool.submit(prepare).result(timeout=chosen.engine_start_timeout)
        except TooLate:
            raise _failed(config, "The engine's doors are open, but it does not answer.") from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        marker.write_text(databases, "utf-8")
    ready = replace(state, phase="running")
    write_state(chosen.home, ready)
    return ready


def _wait_for_doors(config: EngineConfig, state: EngineState, deadline: float) -> bool:
    """True when both accept, False when the process has ended. Raises `EngineError` (and ends the process) when time is up."""
    while living(state) is not None:
        if process.accepts(state.connect_port) and process.accepts(state.thrift_port):
            return True
        if time.monotonic() > deadline:
            found = living(state)
            if found:
                process.end(found, STOP_PATIENCE)
            clear_state(config.home)
            raise _failed(config, "The engine did not open its doors in time (LAKEHOUSE_ENGINE_START_TIMEOUT).")
        time.sleep(_POLL)
    return False


def _serves(state: EngineState) -> bool:
    return state.phase == "running" and living(state) is not None and process.accepts(state.connect_port) and process.accepts(state.thrift_port)


def _failed(config: EngineConfig, what: str) -> EngineError:
    lines = process.last_lines(config.log)
    said = "\n".join(f"    {line[:300]}" for line in lines) or "    (nothing)"
    return EngineError(
        f"{what} The last lines of its log:\n{said}",
        state="No table was changed.",
        next_step=f"The whole log: {config.log}. Then: lakehouse engine start. With too little memory, set LAKEHOUSE_ENGINE_HEAP (now {config.heap}).",
    )


@contextmanager
def _locked(chosen: Settings) -> Iterator[None]:
    """One starter or stopper at a time. The system drops the lock with its holder's process, so it can't go stale."""
    chosen.home.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + 2 * chosen.engine_start_timeout + STOP_PATIENCE
    with (chosen.home / "engine.lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise EngineError(
                        f"Another process has been starting or stopping the engine of {chosen.home} for too long.",
                        state="Nothing was started by this one.",
                        next_step="See who it is with `lakehouse engine status` and `lakehouse engine logs`, end it, and try again.",
                    ) from None
                time.sleep(_POLL)
        yield


def _endpoints(state: EngineState) -> Endpoints:
    return Endpoints(f"sc://{process.LOOPBACK}:{state.connect_port}", process.LOOPBACK, state.thrift_port, state.pid)


def _remote(chosen: Settings) -> Endpoints:
    return Endpoints(chosen.connect_url, chosen.thrift_host, chosen.thrift_port, None)


def _refuse_remote(chosen: Settings, verb: str) -> None:
    if chosen.engine == "remote":
        raise EngineError(
            f"LAKEHOUSE_ENGINE=remote: the engine at {chosen.connect_url} belongs to others and is not {verb} from here.",
            next_step="Unset LAKEHOUSE_ENGINE to work with the embedded engine.",
        )


def start_engine() -> Endpoints:
    """Like `ensure_engine`, for those who ask for a start: refuses a remote engine."""
    _refuse_remote(settings(), "started")
    return ensure_engine()
