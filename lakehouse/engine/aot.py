"""The JDK's AOT cache: classes and profiles of a training run, so that the engine starts three times faster. Missing or stale, it is only slower.

Not here: which flags make caches differ (`config.EngineConfig.aot_key`).
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

import psutil

from lakehouse.engine.config import EngineConfig
from lakehouse.engine.jars import shared_folder


def cache_file(config: EngineConfig) -> Path:
    """The cache that fits this Java, these jars and these flags, whether it exists or not."""
    return shared_folder() / "aot" / f"{config.aot_key()}.aot"


def use_flags(cache: Path) -> tuple[str, ...]:
    """The JVM flags to start with it. A cache that does not fit is ignored by the JVM with a warning."""
    return (f"-XX:AOTCache={cache}",)


def record_flags(output: Path) -> tuple[str, ...]:
    """The JVM flags of the training run; the cache is written when that JVM ends."""
    return (f"-XX:AOTCacheOutput={output}",)


def share_classes(java: Path) -> None:
    """Make the JDK's own class archive, which the wheel of this Java leaves out: a second's work once, and every start is faster."""
    archive = java.parent.parent / "lib" / "server" / "classes.jsa"
    if archive.exists():
        return
    scratch = archive.with_name(f".classes.{os.getpid()}.jsa")
    with contextlib.suppress(OSError):  # a read-only installation works without
        done = subprocess.run([str(java), "-Xshare:dump", f"-XX:SharedArchiveFile={scratch}"], capture_output=True, check=False)
        if done.returncode == 0:
            scratch.replace(archive)
        scratch.unlink(missing_ok=True)


def in_use(process: psutil.Process, cache: str | None) -> bool:
    """Whether the running JVM really mapped it."""
    if cache is None:
        return False
    try:
        return any(region.path == cache for region in process.memory_maps(grouped=True))
    except psutil.Error:
        return False
