"""Copying a lake while it is written to, so that the copy is a lake: what a commit names is there before the commit is.

Files of one Delta table never change, so a second copy only brings what is new; one of another table of that name is made anew. Not
here: the command (`cli.backup`).
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from lakehouse.engine.catalog import table_folders
from lakehouse.engine.lease import holder, lease_url
from lakehouse.engine.metadata import open_table
from lakehouse.errors import DataError, LakehouseError
from lakehouse.settings import settings
from lakehouse.storage import delta_options, explained, filesystem, stands_for_folder
from lakehouse.storage.swap import look
from lakehouse.tables import LAYERS, Table

_LOG = "_delta_log/"
_AT_ONCE = 8
_LOOKS = 5
_UNTOUCHED = "Nothing was copied, and nothing there was changed."
_LEFT, _OTHER_TARGET = "The copy was left as it is.", "Name another target, or remove the copy of this table."


@dataclass(frozen=True)
class Copied:
    """What was copied, and why some tables were not."""

    tables: int
    files: int
    bytes: int
    failed: tuple[LakehouseError | OSError, ...] = ()


def copy_lake(target: str, progress: Callable[[str], None]) -> Copied:
    """Bring a copy of the warehouse at another folder or URL up to date. A table that can't be copied holds up no other.

    Tables that consume others come first: a copy that holds less than another says it consumed would only be built again.
    Raises `DataError` when the target is a lake that an engine works in, `StorageError` when the lake can't be listed.
    """
    if (held := holder(target)) is not None:
        raise DataError(f"{target} is no copy: {held[0]} works there.", state=_UNTOUCHED, next_step="Name another target, or stop that engine first.")
    is_copy = look(lease_url(target)) is None  # no engine has ever had it
    tables = sorted(table_folders(), key=lambda table: (-LAYERS.index(table.layer), table.name))
    failed: list[LakehouseError | OSError] = []
    files = size = 0
    for table in tables:
        try:
            fresh, anew = _copy_table(table, target, is_copy)
        except (LakehouseError, OSError) as error:
            failed.append(error)
            progress(f"{table}: not copied")
            continue
        progress(f"{table}: {len(fresh):,} files{', the copy was made anew: it was of another table of this name' if anew else ''}")
        files, size = files + len(fresh), size + sum(fresh.values())
    return Copied(len(tables) - len(failed), files, size, tuple(failed))


def _copy_table(table: Table, target: str, is_copy: bool) -> tuple[dict[str, int], bool]:
    """The files that were copied, with their bytes; and whether a copy of another table had to go first, which only a copy's may."""
    source, copy = table.location(settings().warehouse), table.location(target)
    fresh, anew = dict[str, int](), False
    for _ in range(_LOOKS):
        if (here := open_table(table)) is None:
            return {}, False  # it was dropped
        with explained(copy):
            if _files(copy, _LOG) and _id(copy) != str(here.metadata().id):
                if not is_copy:
                    raise DataError(f"{copy} is another table than {source}, of a lake that had an engine.", state=_LEFT, next_step=_OTHER_TARGET)
                _clear(copy)
                anew = True
        with contextlib.suppress(FileNotFoundError):  # upkeep has removed a file since it was listed: the table is listed anew
            fresh |= _bring(source, copy)
            if _id(source) == str(here.metadata().id):
                return fresh, anew
    raise DataError(f"{table} lost files while it was copied, {_LOOKS} times.", state="Its copy is whole, but may be older.", next_step="Run it again.")


def _bring(source: str, copy: str) -> dict[str, int]:
    """Copy what the copy of this very table lacks."""
    with explained(source):
        log = _files(source, _LOG)  # first: of what is committed from here on, the copy knows nothing
        data = {path: size for path, size in _files(source).items() if not path.startswith(_LOG)}
    with explained(copy):
        there = _files(copy)
    newest = _newest(there)
    if newest > _newest(log):
        raise DataError(f"{copy} is newer than {source}.", state=_LEFT, next_step=_OTHER_TARGET)
    # The newest commit last: whoever reads the copy meanwhile sees a version that is whole.
    fresh = {path: size for path, size in (*data.items(), *sorted(log.items())) if there.get(path) != size}
    with explained(source), explained(copy):
        if newest in log and not _read(source, newest).startswith(_read(copy, newest)):  # of one that broke off there is a part
            raise DataError(f"{copy} has another history than {source}: one of them was restored.", state=_LEFT, next_step=_OTHER_TARGET)
        names = [path for path in fresh if not path.startswith(_LOG)]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(lambda path: _copy_file(source, copy, path), names))
        for path in fresh:
            if path.startswith(_LOG):
                _copy_file(source, copy, path)
    return fresh


def _id(url: str) -> str | None:
    """The Delta table's id, another one for each time that it was made; None when its log tells none."""
    try:
        with explained(url):
            return str(DeltaTable(url, storage_options=delta_options(url)).metadata().id)
    except DeltaError:
        return None


def _clear(url: str) -> None:
    """Remove a table. Its log goes first, from the newest commit back: who reads it meanwhile sees an older version that is whole, or none."""
    system, root = filesystem(url)
    for path in sorted(_files(url, _LOG), reverse=True):
        system.rm_file(f"{root}/{path}")
    system.rm(root, recursive=True)


def _read(url: str, path: str) -> bytes:
    system, root = filesystem(url)
    return bytes(system.cat_file(f"{root}/{path}"))


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
