"""The process that brings back what `lakehouse up` has started and somebody killed: it looks every few seconds, and runs `lakehouse up` once more.
It also keeps their logs from growing without end.

Not here: what there is to start (`services`). Who ends this process as well has to run `lakehouse up` by hand; `status` and `doctor` say so.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from lakehouse.services import background
from lakehouse.settings import settings

NAME = "supervisor"
EACH = 5.0  # seconds between looks
LONGEST = 300.0  # what dies again and again is brought back more and more seldom


def gone(home: Path, names: Iterable[str]) -> list[str]:
    """The processes that were started, were not stopped, and do not run."""
    return [name for name in names if background.pid_file(home, name).exists() and not background.find(home, name)]


def supervise(home: Path, names: Iterable[str]) -> None:
    """Until it is ended."""
    wait = EACH
    while True:
        time.sleep(wait)
        background.shorten_logs(home)
        missing = gone(home, names)
        if not missing:
            wait = EACH
            continue
        print(f"{time.strftime('%F %T', time.gmtime())} {', '.join(missing)}: not there any more; lakehouse up", flush=True)  # noqa: T201 - its log
        subprocess.run([sys.executable, "-m", "lakehouse", "up"], stdin=subprocess.DEVNULL, check=False)
        wait = min(2 * wait, LONGEST)


if __name__ == "__main__":
    supervise(settings().home, sys.argv[1:])
