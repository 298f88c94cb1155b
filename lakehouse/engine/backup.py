"""Copying a lake while it is written to, so that the copy is a lake: what a commit names is there before the commit is.

Files of Delta tables never change, so a second copy only brings what is new. Not here: the command (`cli.backup`).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from lakehouse.engine.catalog import table_folders
from lakehouse.errors import DataError
from lakehouse.settings import settings
from lakehouse.storage import explained, filesystem, stands_for_folder
from lakehouse.tables import LAYERS, Table

_LOG = "_delta_log/"
_AT_ONCE = 8


@dataclass(frozen=True)
class Copied:
    """What was copied."""

    tables: int
    files: int
    bytes: int


def copy_lake(target: str, progress: Callable[[str], None]) -> Copied:
    """Bring a copy of the warehouse at another folder or URL up to date.

    Tables that consume others come first: a copy that holds less than another says it consumed would only be built again.
    Raises `DataError` when the target is newer than the lake, `StorageError`.
    """
    tables = sorted(table_folders(), key=lambda table: (-LAYERS.index(table.layer), table.name))
    files = size = 0
    for table in tables:
        fresh = _copy_table(table, target)
        progress(f"{table}: {len(fresh):,} files")
        files, size = files + len(fresh), size + sum(fresh.values())
    return Copied(len(tables), files, size)


def _copy_table(table: Table, target: str) -> dict[str, int]:
    """The files that were copied, with their bytes."""
    source, copy = table.location(settings().warehouse), table.location(target)
    with explained(source):
        log = _files(source, _LOG)  # first: of what is committed from here on, the copy knows nothing
        data = {path: size for path, size in _files(source).items() if not path.startswith(_LOG)}
    with explained(copy):
        there = _files(copy)
    if _newest(there) > _newest(log):
        raise DataError(f"{copy} is newer than {source}.", state="It was left as it is.", next_step="Name another target.")
    # The newest commit last: whoever reads the copy meanwhile sees a version that is whole.
    fresh = {path: size for path, size in (*data.items(), *sorted(log.items())) if there.get(path) != size}
    with explained(source), explained(copy):
        names = [path for path in fresh if not path.startswith(_LOG)]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(lambda path: _copy_file(source, copy, path), names))
        for path in fresh:
            if path.startswith(_LOG):
                _copy_file(source, copy, path)
    return fresh


def _files(url: str, below: str = "") -> dict[str, int]:
    system, root = filesystem(url)
    found: dict[str, Any] = system.find(f"{root}/{below}", detail=True)
    files = {path: int(entry["size"]) for path, entry in found.items() if not stands_for_folder(path)}
    return {path[len(root) + 1 :]: size for path, size in files.items() if not path.rpartition("/")[2].startswith(".")}


def _newest(files: dict[str, int]) -> str:
    return max((path for path in files if path.startswith(_LOG) and path.endswith(".json")), default="")


def _copy_file(source: str, copy: str, path: str) -> None:
    (here, root), (there, base) = filesystem(source), filesystem(copy)
    there.makedirs(f"{base}/{path}".rpartition("/")[0], exist_ok=True)
    with here.open(f"{root}/{path}", "rb") as original, there.open(f"{base}/{path}", "wb") as written:
        shutil.copyfileobj(original, written, 1 << 20)
