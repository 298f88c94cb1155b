"""`lakehouse up` and `down`: the engine, Dagster's three processes, and who brings these back. One code server holds the definitions for web UI and daemon.

Not here: processes as such (`background`), Dagster's settings (`instance`), looking after them (`supervisor`).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr

from lakehouse.cli import supervisor
from lakehouse.cli.instance import environment, prepare
from lakehouse.cli.lake import read_lake
from lakehouse.cli.output import Clock, err, open_log, others_to, out, seconds
from lakehouse.cli.steps import Steps
from lakehouse.contracts.model import KafkaSource
from lakehouse.engine import launcher, process
from lakehouse.errors import LakehouseError
from lakehouse.services import FOLLOWER, background
from lakehouse.services.background import Running, find
from lakehouse.settings import PROJECT, Settings, settings

app = typer.Typer(add_completion=False)
CODE, WEB, DAEMON = "dagster-code", "dagster-webserver", "dagster-daemon"
SERVICES = (CODE, WEB, DAEMON, FOLLOWER)  # only lakes with streams have the last
DEFAULT_PORT = 3000
PATIENCE = 180.0  # seconds until a process must answer; a minute is normal on a busy machine
_AGAIN = "lakehouse up --restart"


@app.command(epilog="Example: lakehouse up --port 3001")
def up(
    port: Annotated[int | None, typer.Option("--port", min=1, max=65535, help="Port of the web UI. Default: 3000, or a free one.", show_default=False)] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Stop Dagster's processes first, where they run.")] = False,
) -> None:
    """Start the engine, Dagster's web UI and its daemon with the sensors on: new files flow to Gold by themselves.

    What is killed comes back by itself. Safe to repeat: what runs is left alone, and changed contracts or models are loaded.
    """
    clock = Clock()
    chosen = settings()
    lake = read_lake()  # a contract or a model with a mistake is told here, not in the code server's log
    streams = [c.name for c in lake.contracts.values() if isinstance(c.source, KafkaSource)]
    prepare()
    with _alone(chosen.home), open_log(chosen.home, "up.log") as log, others_to(log):
        if restart:
            _stop_all(chosen.home)
        with ThreadPoolExecutor(max_workers=1) as pool:
            engine = pool.submit(launcher.ensure_engine)
            web = _start_all(chosen, port)
            _keep_up(chosen, streams)
            _supervise(chosen)
            with Steps.waiting("Waiting for the engine"):
                engine.result()
    out.print(f"Dagster is at {web.url} (sensors on); the engine runs. {seconds(clock())}.")
    out.print("See the tables: lakehouse status. Stop everything: lakehouse down.")


@app.command(epilog="Example: lakehouse down --keep-engine")
def down(keep_engine: Annotated[bool, typer.Option("--keep-engine", help="Leave the engine running.")] = False) -> None:
    """Stop the daemon, the web UI and the engine.

    What a run has not committed leaves no trace; the next `up` or `sync` takes it up.
    """
    chosen = settings()
    with _alone(chosen.home), Steps.waiting("Stopping"):
        stopped = _stop_all(chosen.home)
        engine = not keep_engine and chosen.engine == "embedded" and launcher.stop_engine()
    names = [*stopped, *(["the engine"] if engine else [])]
    out.print(f"Stopped: {', '.join(names)}." if names else "Nothing was running.")


def _start_all(chosen: Settings, port: int | None) -> Running:
    """The code server, then those that ask it; returns the web UI."""
    stamp = _stamp(chosen)
    code = find(chosen.home, CODE)
    if code is None or code.stamp != stamp:
        background.stop(chosen.home, CODE, children_too=False)  # its children are runs: they go on
        _end_orphans()
        (code_port,) = [code.port] if code and code.port and not process.accepts(code.port) else process.free_ports(1)
        code = _launch(chosen, CODE, _code_command(code_port), code_port, stamp)
    with Steps.waiting("Loading the definitions"):
        background.await_ready(chosen.home, code, lambda: process.accepts(code.port or 0), PATIENCE, _AGAIN)
    workspace = _workspace(chosen.home, code.port or 0)
    daemon = find(chosen.home, DAEMON)
    if daemon is None or daemon.stamp != str(code.port):
        background.stop(chosen.home, DAEMON)
        _launch(chosen, DAEMON, _script("dagster-daemon", "run", "--log-level", "warning", "-w", str(workspace)), None, str(code.port))
    web = find(chosen.home, WEB)
    if web is None or web.stamp != str(code.port) or (port and web.port != port):
        before = background.recorded(chosen.home, WEB)  # of one that was killed, too
        background.stop(chosen.home, WEB)
        web_port = _web_port(port, before)
        command = _script("dagster-webserver", "-h", process.LOOPBACK, "-p", str(web_port), "-w", str(workspace))
        web = _launch(chosen, WEB, command, web_port, str(code.port))
    with Steps.waiting("Opening the web UI"):
        background.await_ready(chosen.home, web, lambda: background.answers(web, "/server_info"), PATIENCE, _AGAIN)
    return web


def _keep_up(chosen: Settings, streams: list[str]) -> None:
    """One warm process that follows the streams: a run by itself would pay for its start each time."""
    stamp, running = _stamp(chosen), find(chosen.home, FOLLOWER)
    if running is not None and running.stamp == stamp and streams:
        return
    background.stop(chosen.home, FOLLOWER)
    if streams:
        _launch(chosen, FOLLOWER, [sys.executable, "-m", "lakehouse", "sync", *streams, "--follow", "inf"], None, stamp)


def _supervise(chosen: Settings) -> None:
    """The process that repeats this `up` when one of the others is gone; a new one each time, since it hands on its environment."""
    running = find(chosen.home, supervisor.NAME)
    if running is not None and running.pid == os.getppid():
        return  # it is he who asks
    background.stop(chosen.home, supervisor.NAME)
    _launch(chosen, supervisor.NAME, [sys.executable, "-m", "lakehouse.cli.supervisor", *SERVICES], None, "")


def _launch(chosen: Settings, name: str, command: list[str], port: int | None, stamp: str) -> Running:
    return background.start(chosen.home, name, command, port=port, stamp=stamp, environment=environment(chosen))


def _code_command(port: int) -> list[str]:
    where = ["-h", process.LOOPBACK, "-p", str(port), "--location-name", "lakehouse"]
    return [sys.executable, "-m", "dagster", "api", "grpc", "-m", "lakehouse.definitions", *where, "--use-python-environment-entry-point"]


def _script(name: str, *arguments: str) -> list[str]:
    """A tool of this Python, whether or not its folder is on the PATH."""
    return [str(Path(sys.executable).with_name(name)), *arguments]


def _workspace(home: Path, port: int) -> Path:
    """The workspace that points at the code server."""
    file = home / "dagster" / "workspace.yaml"
    file.write_text(f"load_from:\n  - grpc_server: {{host: {process.LOOPBACK}, port: {port}, location_name: lakehouse}}\n", "utf-8")
    return file


def _web_port(asked: int | None, before: Running | None) -> int:
    """The port that was asked for; else the one it had; else the usual one; else a free one."""
    if asked is not None:
        if not _free(asked):
            raise LakehouseError(
                f"Port {asked} is taken by another program.", state="The web UI was not started.", next_step="Name another, or none: lakehouse up"
            )
        return asked
    usual = [p for p in ((before.port if before else None), DEFAULT_PORT) if p is not None and _free(p)]
    return usual[0] if usual else process.free_ports(1)[0]


def _free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((process.LOOPBACK, port))
        except OSError:
            return False
        return True


def _end_orphans() -> None:
    """The code server was not running, or is being replaced: runs whose process is gone are over, and must not hold their tables."""
    from lakehouse.cli.instance import open_instance

    with open_instance():
        pass


def _stop_all(home: Path) -> list[str]:
    """Who would bring them back first, then those who ask, the code server last; returns what ran."""
    stopped = [(name, background.stop(home, name)) for name in (supervisor.NAME, FOLLOWER, DAEMON, WEB, CODE)]
    runs = dict(stopped)[CODE]
    if runs > 0:
        err.print("A run was going: it was ended, and its unfinished commits leave no trace.")
    return [name for name, found in stopped if found >= 0]


def _stamp(chosen: Settings) -> str:
    """Changes when the definitions must be loaded again: contracts, dbt project, the platform's own code, the settings."""
    folders = [(chosen.contracts, "*.y*ml"), (chosen.dbt_project / "models", "*"), (chosen.dbt_project / "macros", "*"), (PROJECT / "lakehouse", "*.py")]
    files = sorted((str(f), f.stat().st_mtime_ns) for folder, pattern in folders if folder.is_dir() for f in folder.rglob(pattern) if f.is_file())
    told = json.dumps((files, chosen.model_dump()), default=lambda v: v.get_secret_value() if isinstance(v, SecretStr) else str(v))  # else it is stars
    return hashlib.sha256(told.encode()).hexdigest()[:16]


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """One `up` or `down` at a time; the system drops the lock with its holder's process."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            err.print("Waiting for another `lakehouse up` or `down` to finish …")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
