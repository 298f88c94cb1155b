"""`lakehouse demo --live`: a lake of its own whose sensors and web shop send to Kafka and whose sales system writes into PostgreSQL.

Dagster keeps every table current. The lake stands in the folder `live` below the usual home; every step is a command that anybody can give.
Not here: what is sent (`demo.live`).
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from lakehouse.cli.output import err, out
from lakehouse.errors import LakehouseError
from lakehouse.services import kafka, postgres
from lakehouse.settings import PROJECT, settings

_LAKEHOUSE = (sys.executable, "-m", "lakehouse")
_DEMO_LIVE = (sys.executable, "-m", "demo.live")
_DELIVERY = 35.0  # seconds that the sender may take to deliver its last events
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
    file = _environment_file(home, environment)
    _tell(file, rate)
    limit = [] if minutes is None else ["--seconds", str(minutes * 60)]
    with _beside(environment, *_SALES, "--rate", str(rate / 10), *limit) if database else nullcontext():
        _send(environment, *_DEMO_LIVE, "send", "--brokers", brokers, "--rate", str(rate), *limit)
    out.print(f"The sending has ended; the lake in {home} goes on running. Stop it with:", markup=False, soft_wrap=True)
    out.print(f"  . {file}; lakehouse down; lakehouse services stop", markup=False, soft_wrap=True)


def _environment_file(home: Path, environment: dict[str, str]) -> Path:
    """The file that makes a shell speak of this lake."""
    said = {**environment, "PATH": f"{Path(sys.executable).parent}{os.pathsep}"}
    file = home / "environment"
    lines = (f"export {name}={shlex.quote(value)}" + ('"$PATH"' if name == "PATH" else "") for name, value in said.items())
    file.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file


def _tell(file: Path, rate: float) -> None:
    """What to try while it runs."""
    out.print("\nIn another terminal:")
    out.print(f"  . {file}", markup=False, soft_wrap=True)
    out.print("  lakehouse status --watch", markup=False)
    out.print('  lakehouse query "select date_day, sum(sessions) from gold.fct_web_sessions_daily group by all"', markup=False)
    out.print(f"\nSending {rate:g} events a second; Ctrl-C ends it, and the lake goes on.", markup=False)


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


def _send(environment: dict[str, str], *command: str) -> None:
    """The sender, until its end or Ctrl-C, which the terminal tells it as well: it delivers what it has."""
    _say(command)
    running = subprocess.Popen(command, cwd=PROJECT, env={**os.environ, **environment})
    try:
        code = running.wait()
    except KeyboardInterrupt:
        with suppress(subprocess.TimeoutExpired):
            running.wait(_DELIVERY)
        running.kill()
        code = 0
    if code:
        raise _failed(command)


def _do(environment: dict[str, str], *command: str) -> None:
    """One step, with its words on this terminal. Raises `LakehouseError` when it fails."""
    _say(command)
    if subprocess.run(command, cwd=PROJECT, env={**os.environ, **environment}, check=False).returncode:
        raise _failed(command)


def _say(command: tuple[str, ...]) -> None:
    err.print(f"$ {' '.join(map(_spoken, command))}", style="dim", markup=False, soft_wrap=True)


def _failed(command: tuple[str, ...]) -> LakehouseError:
    return LakehouseError(
        f"`{' '.join(map(_spoken, command))}` failed; what it said stands above.",
        state="The lake keeps what it has.",
        next_step="When that is mended: lakehouse demo --live",
    )


def _spoken(word: str) -> str:
    return "python" if word == sys.executable else Path(word).name if word.startswith(str(settings().home)) else word
