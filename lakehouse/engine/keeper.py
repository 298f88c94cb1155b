"""The process that holds a lake's lease for its engine: takes it, starts the engine as its child, renews it, and ends the engine should it be lost.

Where this process is killed, the kernel ends the engine with it (Linux). It tells its starter the engine's process id, or why there is none, as lines
of JSON on a pipe. Not here: what a lease is (`lease`), the engine's command (`process`).
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

from lakehouse.engine.lease import RENEWED_EACH, SECONDS, Lease, Owner, take
from lakehouse.errors import LakehouseError
from lakehouse.storage.swap import Changed

SAFE = SECONDS - 15.0  # without a renewal for so long the engine must end: another may own the lake soon
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux' prctl
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


class Keeper:
    """One engine and its lease."""

    def __init__(self, lease: Lease, child: subprocess.Popen[bytes]) -> None:
        self._lease, self._child = lease, child
        self._renewed = time.monotonic()
        self._lost = ""
        self._over = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: child.terminate())

    def stay(self) -> int:
        """Until the engine has ended; returns its exit code."""
        renewing = threading.Thread(target=self._renew, daemon=True)
        renewing.start()
        while True:
            with suppress(subprocess.TimeoutExpired):
                code = self._child.wait(1.0)
                break
            silent = time.monotonic() - self._renewed
            if self._lost or silent > SAFE:
                _say(self._lost or f"The lease could not be renewed for {silent:.0f} s. The engine is ended, since another may own the lake soon.")
                self._child.kill()
        self._over.set()
        if not self._lost:
            renewing.join(RENEWED_EACH)
            try:
                self._lease.release()
            except (Changed, LakehouseError, OSError) as error:
                _say(f"The lease was not given back, and ends by itself after {SECONDS:.0f} s: {error}")
        return code

    def _renew(self) -> None:
        while not self._over.wait(RENEWED_EACH):
            began = time.monotonic()
            try:
                self._lease.renew()
                self._renewed = began
            except Changed:
                self._lost = "Another engine has taken the lake over. This one is ended."
                return
            except (LakehouseError, OSError) as error:
                _say(f"The lease was not renewed, and is tried again: {error}")


def main(warehouse: str, home: str, pipe: int, command: Sequence[str]) -> int:
    """Hold the lease of a warehouse while the command runs."""
    with os.fdopen(pipe, "w") as starter:

        def tell(**said: object) -> None:
            with suppress(BrokenPipeError):
                starter.write(json.dumps(said) + "\n")
                starter.flush()

        try:
            lease = take(warehouse, Owner(home), lambda text: tell(waiting=text))
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=_die_with_parent)
            lease.renew(lease.owner.with_process(child.pid))
        except LakehouseError as error:
            tell(what=error.what, state=error.state, next_step=error.next_step)
            return 1
        kept = Keeper(lease, child)
        tell(pid=child.pid)
    return kept.stay()


def _die_with_parent() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # Java leaves it ignored where whoever started us ignores it, as Dagster's runs may
    if _LIBC is not None:
        _LIBC.prctl(_DIE_WITH_PARENT, signal.SIGTERM, 0, 0, 0)


def _say(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%F %T', time.gmtime())} keeper: {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:]))
