"""`lakehouse engine …`: start, stop and look at the one Spark application.

Not here: what these do (`lakehouse.engine`).
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table as Grid

from lakehouse.engine import launcher
from lakehouse.engine.config import engine_config
from lakehouse.engine.jars import ensure_jars, ensure_s3_jars
from lakehouse.engine.launcher import Endpoints, EngineStatus
from lakehouse.errors import EngineError
from lakehouse.settings import settings

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Start, stop and look at the engine: one Spark application that all commands share and start on demand."
)
console = Console(highlight=False)
_FOLLOW_SECONDS = 0.3


@app.command(epilog="Example: lakehouse engine start")
def start() -> None:
    """Start the engine, or say where it runs. Other commands do this by themselves."""
    with _timed("Starting the engine") as took:
        endpoints = launcher.start_engine()
    console.print(f"The engine runs (process {endpoints.pid}, {took():.1f} s).")
    _print_doors(endpoints)


@app.command(epilog="Example: lakehouse engine stop")
def stop() -> None:
    """Stop the engine. Writes that have not committed leave no trace in the tables."""
    with _timed("Stopping the engine"):
        stopped = launcher.stop_engine()
    console.print("The engine has stopped." if stopped else "The engine was not running.")


@app.command(epilog="Example: lakehouse engine status --json")
def status(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")] = False) -> None:
    """Show whether the engine runs, where its doors are, and what it uses. Exit code 3 when it does not run."""
    found = launcher.engine_status()
    if as_json:
        console.print_json(json.dumps(asdict(found)))
    else:
        _print_status(found)
    if found.state not in ("running", "remote"):
        raise typer.Exit(3)


@app.command(epilog="Example: lakehouse engine logs --lines 200 --follow")
def logs(
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many lines from the end.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on printing what is written, until Ctrl-C.")] = False,
) -> None:
    """Print the end of the engine's log."""
    log = settings().home / "logs" / "engine.log"
    if not log.exists():
        raise EngineError(f"There is no engine log yet at {log}.", next_step="Start the engine: lakehouse engine start")
    with log.open(encoding="utf-8", errors="replace") as text:
        for line in text.readlines()[-lines:]:
            console.out(line.rstrip("\n"), highlight=False)
        while follow:
            fresh = text.readline()
            if fresh:
                console.out(fresh.rstrip("\n"), highlight=False)
            else:
                time.sleep(_FOLLOW_SECONDS)


@app.command(epilog="Example: lakehouse engine warm --background")
def warm(
    background: Annotated[bool, typer.Option("--background", help="Return at once; the work goes on at idle priority.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Make it again even if it is there.")] = False,
) -> None:
    """Make the AOT cache that lets the engine start about three times faster. Once per machine; takes one to three minutes."""
    from lakehouse.engine import training

    if background:
        log = training.train_in_background()
        console.print(f"Making the AOT cache in the background; its log: {log}" if log else "Nothing to do: the AOT cache is there, or memory is short.")
        return
    with _timed("Making the AOT cache") as took:
        made = training.train(lambda line: console.print(f"[dim]{took():6.1f} s[/dim]  {line}"), force=force)
    if made is None:
        raise typer.Exit(1)


@app.command("rebuild-catalog", epilog="Example: lakehouse engine rebuild-catalog")
def rebuild_catalog() -> None:
    """Register every table folder below the warehouse again. The catalogue is derived; the tables are the truth."""
    from lakehouse.engine import catalog

    with _timed("Registering tables"):
        added = catalog.rebuild()
    for table in added:
        console.print(f"  {table}")
    registered = f"{len(added)} tables registered that the catalogue did not know. Views come back with the next dbt build."
    console.print(registered if added else "The catalogue is complete.")


@app.command(epilog="Example: lakehouse engine serve --connect-port 15002 --thrift-port 10000")
def serve(
    connect_port: Annotated[int, typer.Option("--connect-port", min=1, max=65535, help="Port of Spark Connect.")] = 15002,
    thrift_port: Annotated[int, typer.Option("--thrift-port", min=1, max=65535, help="Port of Thrift/JDBC.")] = 10000,
) -> None:
    """Run the engine in the foreground at known ports, for containers and service managers. Its log is printed; exit code 1 when it ends by itself."""
    read = 0

    def follow(log: Path) -> None:
        nonlocal read
        if log.stat().st_size < read:  # what is supervised beside it has put its beginning aside
            read = 0
        with log.open(encoding="utf-8", errors="replace") as text:
            text.seek(read)
            console.out(text.read(), end="", highlight=False)
            read = text.tell()

    if launcher.serve_engine((connect_port, thrift_port), follow):
        raise typer.Exit(1)


@app.command(epilog="Example: lakehouse engine master --host spark-master")
def master(
    host: Annotated[str, typer.Option("--host", help="Name or address under which workers and the engine reach it.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Its port.")] = 7077,
) -> None:
    """Run the master of a Spark cluster in the foreground. The engine computes there with LAKEHOUSE_SPARK_MASTER=spark://host:port."""
    from lakehouse.engine import cluster

    config = engine_config(settings())
    _become(cluster.master_command(config, host, port), cluster.environment(config, host))


@app.command(epilog="Example: lakehouse engine worker spark://spark-master:7077 --host worker-1 --cores 4 --memory 12g")
def worker(
    master_url: Annotated[str, typer.Argument(metavar="MASTER", help="The master's address, such as spark://host:7077.")],
    host: Annotated[str, typer.Option("--host", help="Name or address under which others reach its executors.")] = "127.0.0.1",
    cores: Annotated[int, typer.Option("--cores", min=1, help="Processors to lend.")] = 2,
    memory: Annotated[str, typer.Option("--memory", help="Memory to lend.")] = "2g",
) -> None:
    """Run a worker of a Spark cluster in the foreground. Its packages and jars must lie where the engine's lie: the same image, or the same installation."""
    from lakehouse.engine import cluster

    config = engine_config(settings())
    ensure_jars()
    if config.further:
        ensure_s3_jars()
    _become(cluster.worker_command(config, master_url, host, cores, memory), cluster.environment(config, host))


def _become(command: list[str], environment: dict[str, str]) -> NoReturn:
    """Go on as another program, under the same process id: it gets the signals itself."""
    os.execve(command[0], command, environment)


@contextmanager
def _timed(doing: str) -> Iterator[_Clock]:
    clock = _Clock()
    with console.status(f"{doing} …"):
        yield clock


class _Clock:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self) -> float:
        return time.monotonic() - self._began


def _print_doors(endpoints: Endpoints) -> None:
    console.print(f"  Spark Connect  {endpoints.connect_url}")
    console.print(f"  Thrift/JDBC    jdbc:hive2://{endpoints.thrift_host}:{endpoints.thrift_port}")


def _print_status(found: EngineStatus) -> None:
    console.print(f"engine: {found.state}")
    if found.endpoints:
        _print_doors(found.endpoints)
    grid = Grid.grid(padding=(0, 2))
    for name, value in _facts(found):
        grid.add_row(f"  {name}", value)
    console.print(grid)
    if not found.current:
        console.print("Its configuration has changed since it was started. Restart it when nobody needs it: lakehouse engine stop")
    if found.state == "stopped":
        console.print("Start it with: lakehouse engine start")


def _facts(found: EngineStatus) -> Iterator[tuple[str, str]]:
    if found.endpoints and found.endpoints.pid:
        yield "process", str(found.endpoints.pid)
    if found.uptime_seconds is not None:
        yield "up for", str(timedelta(seconds=int(found.uptime_seconds)))
    if found.memory_bytes is not None:
        yield "memory", f"{found.memory_bytes / 1024**2:,.0f} MB (heap up to {found.heap})"
    if found.versions:
        yield "versions", ", ".join(f"{name} {version}" for name, version in found.versions.items())
        yield "AOT cache", "used" if found.aot_cache else "not used (make it with: lakehouse engine warm)"
    if found.log:
        yield "log", str(Path(found.log))
