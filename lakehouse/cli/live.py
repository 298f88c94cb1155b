"""`lakehouse demo --live`: a lake of its own whose sensors and web shop send to Kafka, while Dagster's sensors keep every table current.

The lake stands in the folder `live` below the usual home; every step is a command that anybody can give. Not here: what is sent (`demo.live`).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from lakehouse.cli.output import err, out
from lakehouse.errors import LakehouseError
from lakehouse.services import kafka
from lakehouse.settings import PROJECT, settings


def live(rate: float, minutes: float | None, seed: int) -> None:
    """Broker, lake and senders; returns when the sending ends (Ctrl-C, or after so many minutes). The lake goes on running."""
    home = settings().home / "live"
    environment = {"LAKEHOUSE_HOME": str(home), "LAKEHOUSE_CONTRACTS": str(home / "contracts"), "LAKEHOUSE_LANDING": str(home / "landing")}
    home.mkdir(parents=True, exist_ok=True)
    demo, lakehouse = (sys.executable, "-m", "demo"), (sys.executable, "-m", "lakehouse")
    _do(environment, sys.executable, "-m", "demo.live", "contracts", "--source", str(settings().contracts), "--target", str(home / "contracts"))
    _do(environment, *demo, "--target", str(home / "landing"), "--days", "1", "--scale", "0.1", "--seed", str(seed))
    _do(environment, *lakehouse, "services", "start", "kafka")
    brokers = kafka.address(home)
    _do(environment, sys.executable, "-m", "demo.live", "send", "--brokers", brokers, "--seconds", "1")  # the topics, and something in them
    _do(environment, *lakehouse, "up")
    out.print("\nIn another terminal:")
    out.print(f"  export {' '.join(f'{name}={value}' for name, value in environment.items())}", markup=False, soft_wrap=True)
    out.print("  lakehouse status", markup=False)
    out.print('  lakehouse query "select date_day, sum(sessions) from gold.fct_web_sessions_daily group by all"', markup=False)
    out.print(f"\nSending {rate:g} events a second; Ctrl-C ends it, and the lake goes on. Then: lakehouse down; lakehouse services stop", markup=False)
    limit = [] if minutes is None else ["--seconds", str(minutes * 60)]
    _do(environment, sys.executable, "-m", "demo.live", "send", "--brokers", brokers, "--rate", str(rate), *limit)


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
