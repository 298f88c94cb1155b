"""Rows that the engine keeps while a client works with them; and those that a killed client has left there, which no end of a session removes.

Each client that has rows kept holds a locked file meanwhile. The system drops the lock with the client's process: a file without a lock tells of one that
was killed. Then, once no other client has rows kept, all that the engine keeps is removed. (Rows that somebody kept by other means are read anew when they
are asked for: that is slower, and right.) Not here: what is kept (`lakehouse.silver`).
"""

from __future__ import annotations

import fcntl
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.storagelevel import StorageLevel

from lakehouse.settings import settings


@contextmanager
def kept(rows: DataFrame) -> Iterator[DataFrame]:
    """The same rows, computed once: kept in memory, on disk where that is short, until the block ends."""
    # For some seconds it is not worth compressing: that takes as long as reading it did.
    rows.sparkSession.conf.set("spark.sql.inMemoryColumnarStorage.compressed", "false")
    with _told():
        held = rows.persist(StorageLevel.MEMORY_AND_DISK)
        try:
            yield held
        finally:
            held.unpersist()
    _remove_left(rows.sparkSession)


@contextmanager
def _told() -> Iterator[None]:
    file = _folder() / f"{uuid.uuid4().hex}.lock"
    scratch = file.with_suffix(".new")
    with scratch.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        scratch.rename(file)  # nobody sees it without its lock
        try:
            yield
        finally:
            file.unlink(missing_ok=True)


def _remove_left(spark: SparkSession) -> None:
    """What killed clients have left, unless another one is at work."""
    files = sorted(_folder().glob("*.lock"))
    if not files or not all(map(_left, files)):
        return
    spark.sql("CLEAR CACHE").collect()
    for file in files:
        file.unlink(missing_ok=True)


def _left(file: Path) -> bool:
    """Whether the client that made this file is gone."""
    try:
        with file.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return True
    except BlockingIOError:
        return False
    return True


def _folder() -> Path:
    folder = settings().home / "run" / "kept"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
