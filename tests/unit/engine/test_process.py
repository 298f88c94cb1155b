"""Waiting for a process's end."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil

from lakehouse.engine.process import gone

PARENT = "import subprocess, sys; print(subprocess.Popen(['sleep', '0']).pid, flush=True); sys.stdin.read()"


def test_a_process_that_its_parent_has_not_reaped_has_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdin is not None and parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        began = time.monotonic()
        assert gone(child, 60)
        assert time.monotonic() - began < 30
        parent.stdin.close()
