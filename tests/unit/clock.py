"""The machine's clock, set to another time: all that the system tells in times since 1970 moves with it, of processes that run already too."""

from __future__ import annotations

import psutil
import pytest


def set_clock(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    moved = psutil.boot_time() + seconds
    for module in (psutil, psutil._psplatform):
        monkeypatch.setattr(module, "boot_time", lambda: moved)
