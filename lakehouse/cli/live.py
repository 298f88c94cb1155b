"""`lakehouse demo --live`: a lake of its own whose sensors and web shop send to Kafka and whose sales system writes into PostgreSQL.

Dagster keeps every table current. The lake stands in the folder `live` below the usual home; every step is a command that anybody can give.
Not here: what is sent (`demo.live`).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from lakehouse.cli.output import err, out
from lakehouse.errors import LakehouseError
from lakehouse.services import kafka, postgres
from lakehouse.settings import PROJECT, settings

_LAKEHOUSE = (sys.executable, "-m", "lakehouse")
_DEMO_LIVE = (sys.executable, "-m", "demo.live")
_SALES = (*_DEMO_LIVE, "sell")


def live(rate: float, minutes: float | None, seed: int) -> None:
    """Servers, lake and senders; returns when the sending ends (Ctrl-C, or after so many minutes). The lake goes on running."""
    database = postgres.installed()
    if not database:
        err.print("PostgreSQL is not installed here (apt-get install postgresql): orders come once, from files.", style="yellow")
    home = settings().home / "live"
    environment = {"LAKEHOUSE_HOME": str(home), "LAKEHOUSE_CONTRACTS": str(home / "contracts"), "LAKEHOUSE_LANDING": str(home / "landing")}
    home.mkdir(parents=True, exist_ok=True)
    places = ("--source", str(settings().contracts), "--target", str(home / "contracts"))
    _do(environment, *_DEMO_LIVE, "contracts", *places, *["--database"] * database)
    _do(environment, sys.executable, "-m", "demo", "--target", str(home / "landing"), "--days", "1", "--scale", "0.1", "--seed", str(seed))
    _do(environment, *_LAKEHOUSE, "services", "start", "kafka", *["postgres"] * database)
    brokers = kafka.address(home)
    _do(environment, *_DEMO_LIVE, "send", "--brokers", brokers, "--seconds", "1")  # the topics, and something in them
    if database:
        environment |= _libpq(home)
        _do(environment, *_SALES, "--seconds", "1")
    _do(environment, *_LAKEHOUSE, "up")
    _tell(environment, rate)
    limit = [] if minutes is None else ["--seconds", str(minutes * 60)]
    with _beside(environment, *_SALES, "--rate", str(rate / 10), *limit) if database else nullcontext():
        _do(environment, *_DEMO_LIVE, "send", "--brokers", brokers, "--rate", str(rate), *limit)


def _tell(environment: dict[str, str], rate: float) -> None:
    """What to try while it runs."""
    out.print("\nIn another terminal:")
    out.print(f"  export {' '.join(f'{name}={value}' for name, value in environment.items())}", markup=False, soft_wrap=True)
    out.print("  lakehouse status", markup=False)
    out.print('  lakehouse query "select date_day, sum(sessions) from gold.fct_web_sessions_daily group by all"', markup=False)
    out.print(f"\nSending {rate:g} events a second; Ctrl-C ends it, and the lake goes on. Then: lakehouse down; lakehouse services stop", markup=False)


def _libpq(home: Path) -> dict[str, str]:
    """The environment in which libpq's clients reach the lake's PostgreSQL."""
    at = postgres.address(home)
    return {"PGHOST": at.host, "PGPORT": str(at.port), "PGUSER": at.user, "PGPASSFILE": str(at.passfile)}


@contextmanager
def _beside(environment: dict[str, str], *command: str) -> Iterator[None]:
    """A sender that runs during the block."""
    running = subprocess.Popen(command, cwd=PROJECT, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        running.terminate()
        running.wait()


def _do(environment: dict[str, str], *command: str) -> None:
    """One step, with its words on this terminal. Raises `LakehouseError` when it fails."""
    err.print(f"$ {' '.join(_spoken(word) for word in command)}", style="dim", markup=False, soft_wrap=True)
    if subprocess.run(command, cwd=PROJECT, env={**os.environ, **environment}, check=False).returncode:
        raise LakehouseError(
            f"`{' '.join(_spoken(word) for word in command)}` failed; what it said stands above.",
            state="The lake keeps what it has.",
            next_step="When that is mended: lakehouse demo --live",
        )


def _spoken(word: str) -> str:
    return "python" if word == sys.executable else Path(word).name if word.startswith(str(settings().home)) else word
