"""Where files lie, a folder or an object store, for all who read them without Spark: fsspec's filesystem, delta-rs' options, errors with the mend.

The engine waits for its keeper, which keeps a lease here: so fsspec and the settings, half a second of imports, are loaded on first use.
Not here: what Spark is told (`s3.spark_conf`, for the engine), what the files are (`engine.metadata`, `sources.files`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from lakehouse.storage import s3


def filesystem(url: str) -> tuple[Any, str]:
    """fsspec's filesystem of a folder or URL, and the path on it. Nothing is asked of a server yet."""
    import fsspec

    from lakehouse.settings import settings

    options = s3.fsspec_options(settings()) if s3.is_s3(url) else {}
    found, path = fsspec.url_to_fs(url, **options)
    return found, path.rstrip("/")


def delta_options(url: str) -> dict[str, str] | None:
    """What delta-rs has to know beside the table's URL; credentials it takes from the environment or the machine's role, like all others."""
    from lakehouse.settings import settings

    return s3.delta_options(settings()) if s3.is_s3(url) else None


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Raise what an object store or the way to it says no with as `StorageError`. A file that isn't there stays a `FileNotFoundError`."""
    if not s3.is_s3(url):
        yield
        return
    try:
        yield
    except Exception as error:
        from lakehouse.settings import settings

        known = s3.explain(url, error, settings())
        if known is None:
            raise
        raise known from error


def stands_for_folder(path: str) -> bool:
    """Whether an object is no file: consoles and Hadoop keep a folder as an empty object whose name ends with a slash."""
    return path.endswith("/")


def check(url: str) -> float:
    """Raise `StorageError` when an object store can't be asked for what is below this URL. Returns by how many seconds its clock is ahead of ours."""
    if not s3.is_s3(url):
        return 0.0
    system, _ = filesystem(url)
    with explained(url):
        answer = system.call_s3("list_objects_v2", Bucket=s3.bucket_of(url), MaxKeys=1)
    return float(parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"]).timestamp() - time.time())


def mirror(folder: Path, url: str) -> int:
    """Copy the files below a local folder that the URL lacks, or has older or in another size; returns how many. Hidden ones stay."""
    system, root = filesystem(url)
    with explained(url):
        there = {path.removeprefix(f"{root}/"): entry for path, entry in system.find(root, detail=True).items()}
        here = {f.relative_to(folder).as_posix(): f for f in sorted(folder.rglob("*")) if f.is_file()}
        fresh = {path: f for path, f in here.items() if not f"/{path}".count("/.") and _outdated(f, there.get(path))}
        if fresh:
            system.put([str(f) for f in fresh.values()], [f"{root}/{path}" for path in fresh])
    return len(fresh)


def _outdated(file: Path, copy: dict[str, Any] | None) -> bool:
    return copy is None or copy["size"] != file.stat().st_size or copy["LastModified"].timestamp() < int(file.stat().st_mtime)
