"""`lakehouse services`: servers on this machine that the demo and the tests read from. Not here: the servers themselves (`lakehouse.services`)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from lakehouse.cli.output import Clock, err, out, seconds
from lakehouse.cli.steps import Steps
from lakehouse.services import background, connect, kafka, postgres
from lakehouse.settings import settings

_HELP = "Start and stop servers to try things with, on this machine: Kafka, PostgreSQL, and Kafka Connect between them."
app = typer.Typer(no_args_is_help=True, add_completion=False, help=_HELP)


class Service(StrEnum):
    """The servers there are."""

    kafka = "kafka"
    postgres = "postgres"
    connect = "connect"


SOURCES = (Service.kafka, Service.postgres)
MODULES = {Service.kafka: kafka, Service.postgres: postgres, Service.connect: connect}
Named = Annotated[list[Service] | None, typer.Argument(help="Which. Default: all.", show_default=False)]


@app.command(epilog="Example: lakehouse services start kafka")
def start(names: Annotated[list[Service] | None, typer.Argument(help="Which. Default: kafka and postgres.", show_default=False)] = None) -> None:
    """Start servers on loopback, on the ports they had before; what they need is fetched the first time. Kafka Connect brings the broker with it."""
    for name in names or SOURCES:
        clock = Clock()
        with Steps.waiting(f"Starting {name}"):
            MODULES[name].start(settings().home, lambda line: err.print(line, style="dim", markup=False))
        known = " Contracts reach it by the host `services`." if name in SOURCES else ""
        out.print(f"{name} answers at {MODULES[name].address(settings().home)} ({seconds(clock())}).{known}", markup=False)


@app.command(epilog="Example: lakehouse services stop")
def stop(names: Named = None) -> None:
    """Stop servers. Their data and addresses stay."""
    stopped = [name for name in names or reversed(Service) if MODULES[name].stop(settings().home)]
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
