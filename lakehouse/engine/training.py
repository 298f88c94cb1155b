"""The training run of the AOT cache: the example business on an engine of its own, in a lake that is thrown away; the JVM writes down what it used.

It runs at the lowest priority, once per machine and set of jars. Not here: using the cache (`aot`).
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil

from lakehouse.engine import aot, process
from lakehouse.engine.config import GIB, engine_config
from lakehouse.engine.jars import Progress, ensure_jars, shared_folder
from lakehouse.engine.launcher import start_process
from lakehouse.errors import EngineError
from lakehouse.settings import PROJECT, Settings, settings

NEEDED_MEMORY = 3 * GIB
START_TIMEOUT = 300.0
WRITE_PATIENCE = 600.0  # the JVM writes the cache after SIGTERM: 20 to 40 s with a processor to itself, longer at low priority
_LOG = logging.getLogger(__name__)


def train(progress: Progress, force: bool = False) -> Path | None:
    """Make the AOT cache for the present jars and settings, unless it is there; None when another training run is at work.

    Whatever fails here leaves the engine as it was: without a cache it starts slower. Raises `EngineError` when the training engine does not start.
    """
    cache = aot.cache_file(engine_config(settings()))
    if cache.is_file() and not force:
        progress(f"The AOT cache is there: {cache}")
        return cache
    cache.parent.mkdir(parents=True, exist_ok=True)
    with _only_one(cache.parent) as alone:
        if not alone:
            progress("Another process is making the AOT cache at this moment.")
            return None
        for left_over in cache.parent.glob(".train-*"):
            shutil.rmtree(left_over, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=".train-", dir=cache.parent, ignore_cleanup_errors=True) as scratch:
            return _train_in(Path(scratch), cache, progress)


def train_in_background() -> Path | None:
    """Start `train` as a process of its own at idle priority and return where it writes; None where the cache exists or memory is short."""
    if aot.cache_file(engine_config(settings())).is_file() or psutil.virtual_memory().available < NEEDED_MEMORY:
        return None
    log = shared_folder() / "aot" / "training.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        subprocess.Popen(
            [sys.executable, "-m", __name__], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=log.parent, start_new_session=True
        )
    return log


def _train_in(scratch: Path, cache: Path, progress: Progress) -> Path:
    ensure_jars()
    aot.share_classes(engine_config(settings()).java)
    home = scratch / "lake"
    here = {"s3_endpoint": "", "s3_region": "", "s3_path_style": None, "spark_master": "local[*]", "engine_host": process.LOOPBACK}
    nothing_else: dict[str, Any] = {**here, "event_log": "", "spark_options_file": None, "engine_java_options": ""}
    lake = Settings(home=home, landing=str(home / "landing"), warehouse=str(home / "warehouse"), engine="embedded", engine_heap="1g", **nothing_else)
    config = engine_config(lake)
    output = scratch / cache.name
    progress("Starting an engine that writes down which classes it uses …")
    state = start_process(config, START_TIMEOUT, aot.record_flags(output))
    found = psutil.Process(state.pid)
    try:
        progress("Building the example business on it, then a day more …")
        _exercise(lake)
        progress("Writing the cache (about 40 s) …")
    finally:
        process.end(found, WRITE_PATIENCE)
    if not output.is_file():
        lines = "\n".join(f"    {line}" for line in process.last_lines(config.log, 8))
        raise EngineError(f"The JVM ended without writing an AOT cache. Its last lines:\n{lines}", state="The engine works as before, only slower to start.")
    output.replace(cache)
    for outdated in cache.parent.glob("*.aot"):
        if outdated != cache:
            outdated.unlink(missing_ok=True)
    progress(f"The AOT cache is ready ({cache.stat().st_size // 1024**2} MB); the next start of the engine uses it.")
    return cache


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[bool]:
    with (folder / "training.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def _exercise(lake: Settings) -> None:
    """What people do: the example business from nothing, then a day more of it. Raises `EngineError` with what a command said last."""
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    generate = ["-m", "demo", "--target", lake.landing, "--scale", "0.1"]
    sync = ["-m", "lakehouse", "sync"]
    for arguments in ([*generate, "--days", "2", "--last-day", str(yesterday)], sync, [*generate, "--days", "3"], sync):
        done = subprocess.run([sys.executable, *arguments], cwd=PROJECT, env=_environment(lake), capture_output=True, text=True, check=False)
        if done.returncode:
            words = (done.stderr or done.stdout).strip().splitlines()
            raise EngineError(f"The training run failed: {words[-1] if words else arguments}", state="The engine works as before, only slower to start.")


def _environment(lake: Settings) -> dict[str, str]:
    """The environment of commands on the training run's lake: none of the settings that this process was given."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("LAKEHOUSE_")}
    return {**others, "LAKEHOUSE_HOME": str(lake.home), "LAKEHOUSE_LANDING": lake.landing, "LAKEHOUSE_ENGINE_HEAP": str(lake.engine_heap)}


def main() -> int:
    """The background process: as little in the way as the system allows."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("pyhive").setLevel(logging.WARNING)
    os.nice(19)
    if hasattr(os, "SCHED_IDLE"):
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    try:
        train(_LOG.info)
    except EngineError as error:
        _LOG.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    _LOG = logging.getLogger("lakehouse.engine.training")
    sys.exit(main())
