"""`lakehouse services`: servers on this machine that the demo and the tests read from. Not here: the servers themselves (`lakehouse.services`)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from lakehouse.cli.output import Clock, err, out, seconds
from lakehouse.cli.steps import Steps
from lakehouse.services import background, kafka, postgres
from lakehouse.settings import settings

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Start and stop servers to try things with: Kafka, PostgreSQL, on this machine.")


class Service(StrEnum):
    """The servers there are."""

    kafka = "kafka"
    postgres = "postgres"


MODULES = {Service.kafka: kafka, Service.postgres: postgres}
Named = Annotated[list[Service] | None, typer.Argument(help="Which. Default: all.", show_default=False)]


@app.command(epilog="Example: lakehouse services start kafka")
def start(names: Named = None) -> None:
    """Start servers on loopback, on the ports they had before; what they need is fetched the first time."""
    for name in names or Service:
        clock = Clock()
        with Steps.waiting(f"Starting {name}"):
            MODULES[name].start(settings().home, lambda line: err.print(line, style="dim", markup=False))
        out.print(f"{name} answers at {MODULES[name].address(settings().home)} ({seconds(clock())}). Contracts reach it by the host `services`.", markup=False)


@app.command(epilog="Example: lakehouse services stop")
def stop(names: Named = None) -> None:
    """Stop servers. Their data and addresses stay."""
    stopped = [name for name in names or Service if MODULES[name].stop(settings().home)]
    out.print(f"Stopped: {', '.join(stopped)}." if stopped else "Nothing was running.")


@app.command(epilog="Example: lakehouse services status")
def status(names: Named = None) -> None:
    """Say which servers run, and where. Exit code 3 when one that was asked for does not run."""
    missing = False
    for name in names or Service:
        running = background.find(settings().home, MODULES[name].NAME)
        missing |= running is None
        told = f"runs at {MODULES[name].address(settings().home)} (process {running.pid})" if running else f"stopped. Start it: lakehouse services start {name}"
        out.print(f"{name}: {told}", markup=False)
    if missing:
        raise typer.Exit(3)
