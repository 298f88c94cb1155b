"""Files in a folder or an object store: listing them, and their date, size and time.

Listing goes through fsspec and touches no Spark. Not here: reading their records (`records`), what is already in (`ledger`).
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path

from fsspec.utils import glob_translate

from lakehouse.contracts.model import FileSource
from lakehouse.errors import SourceError
from lakehouse.settings import s3a, settings
from lakehouse.storage import explained, filesystem, stands_for_folder
from lakehouse.storage.s3 import is_s3

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, order=True)
class SourceFile:
    """A file of a source: path below the source's folder, bytes, modification time in milliseconds, and its Bronze day.

    `day` is None when the path or the time gives no date within the contract's range.
    """

    path: str
    size: int
    millis: int
    day: date | None

    @property
    def stamp(self) -> tuple[int, int]:
        """What must be equal for the file to be the one that was read."""
        return self.size, self.millis


@dataclass(frozen=True)
class Listing:
    """What a source's folder holds: data files, and files that match the pattern but that Spark would pass over without a word.

    `marks` are files that say that a snapshot is complete, whatever the pattern.
    """

    root: str
    files: tuple[SourceFile, ...]
    hidden: tuple[str, ...]
    marks: tuple[SourceFile, ...] = ()


def root_of(source: FileSource) -> str:
    """The source's folder as an absolute path or URL, without a slash at the end."""
    if "://" in source.path or Path(source.path).is_absolute():
        return s3a(source.path.rstrip("/"))
    return f"{settings().landing.rstrip('/')}/{source.path.strip('/')}"


def list_files(source: FileSource, start: date, since: date | None = None) -> Listing:
    """The files of a source whose days begin with `start`; with `since`, without descending into folders of earlier days.

    Raises `SourceError` when the folder is not there, or one that it has to look into can't be read.
    """
    root = root_of(source)
    match, files, hidden, marks = _compiled(source.pattern).match, [], [], []
    for path, size, millis in _walk(root, source, since):
        name = path.rsplit("/", 1)[-1]
        if name == source.complete:
            marks.append(SourceFile(path, size, millis, day_of(source, start, path, millis)))
            continue
        if not match(path):
            continue
        if name.startswith(("_", ".")):
            if size and not name.endswith(".crc"):
                hidden.append(path)
            continue
        day = day_of(source, start, path, millis)
        if since is None or day is None or day >= since:
            files.append(SourceFile(path, size, millis, day))
    return Listing(root, tuple(sorted(files, key=lambda f: (f.day or date.min, f.path))), tuple(sorted(hidden)), tuple(marks))


def day_of(source: FileSource, start: date, path: str, millis: int) -> date | None:
    """The Bronze day of a file: from its path or its modification time (UTC), None when it is out of the contract's range.

    The range is decided by the file alone, never by today: from the contract's start to the day after the file's own time.
    """
    modified = (EPOCH + timedelta(milliseconds=millis)).date()
    day = _path_day(source.date_pattern, path) if source.date_pattern else modified
    return day if day is not None and start <= day <= modified + timedelta(days=1) else None


def _path_day(pattern: str | None, path: str) -> date | None:
    found = re.search(pattern, path, re.ASCII) if pattern else None
    if not found:
        return None
    try:
        return date.fromisoformat("-".join(g or "" for g in found.groups()))
    except ValueError:
        return None


@lru_cache(maxsize=128)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(glob_translate(pattern))


def _walk(root: str, source: FileSource, since: date | None) -> Iterator[tuple[str, int, int]]:
    """(path below root, bytes, milliseconds) of every file; folders of days before `since` and hidden folders are not entered."""

    def enter(folder: str) -> bool:
        name = folder.rsplit("/", 1)[-1]
        if name.startswith(("_", ".")):
            return False  # by convention another writer's working space
        day = _path_day(source.date_pattern, folder + "/") if since and source.date_pattern else None
        return day is None or since is None or day >= since

    if "://" not in root or root.startswith("file://"):
        local = root.removeprefix("file://")
        with _readable(local):
            if not Path(local).is_dir():
                raise _no_folder(root)
        yield from _walk_local(local, "", enter)
    else:
        yield from _walk_remote(root, enter)


def _walk_local(root: str, below: str, enter: Callable[[str], bool]) -> Iterator[tuple[str, int, int]]:
    # os.scandir rather than fsspec: times must be whole milliseconds as the JVM reads them, which a float of seconds can't promise.
    with suppress(FileNotFoundError), _readable(f"{root}/{below}"), os.scandir(f"{root}/{below}") as entries:  # it went while we looked
        for entry in entries:
            path = f"{below}{entry.name}"
            if entry.is_dir():
                if enter(path):
                    yield from _walk_local(root, f"{path}/", enter)
            elif entry.is_file():
                with suppress(FileNotFoundError):  # likewise, such as one that got its name
                    stat = entry.stat()
                    yield path, stat.st_size, stat.st_mtime_ns // 1_000_000


@contextmanager
def _readable(folder: str) -> Iterator[None]:
    """Raise `SourceError` for a folder that the system does not let us read. One that isn't there stays a `FileNotFoundError`."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        where = folder.rstrip("/")
        raise SourceError(
            f"The folder {where} can't be read: {error.strerror}.",
            state="Nothing was read or written.",
            next_step=f"Let this user read it (chmod -R a+rX {shlex.quote(where)}, by its owner), then run the same command again, or: lakehouse sync",
        ) from error


def _walk_remote(root: str, enter: Callable[[str], bool]) -> Iterator[tuple[str, int, int]]:
    system, base = filesystem(root)
    system.invalidate_cache()
    pending = [base]
    grain = time_grain(root)
    while pending:
        folder = pending.pop()
        try:
            with explained(root):
                entries = system.ls(folder, detail=True)
        except FileNotFoundError as error:
            if folder == base:
                raise _no_folder(root) from error
            continue  # it went while we looked
        for entry in entries:
            path = entry["name"].rstrip("/")[len(base) + 1 :]
            if entry["type"] == "directory":
                if enter(path):
                    pending.append(entry["name"].rstrip("/"))
            elif path and not stands_for_folder(entry["name"]):  # read as a file, it would be all that is below it
                yield path, int(entry["size"] or 0), _millis(entry) // grain * grain


def time_grain(root: str) -> int:
    """Milliseconds that modification times are multiples of: an object store tells them finer in listings than of an object."""
    return 1000 if is_s3(root) else 1


def _millis(entry: dict[str, object]) -> int:
    value = next((entry[k] for k in ("mtime", "LastModified", "last_modified", "modified", "updated", "created") if entry.get(k)), 0)
    if isinstance(value, datetime):
        return int((value.astimezone(UTC) - EPOCH) / timedelta(milliseconds=1))
    return round(float(str(value)) * 1000) if value else 0


def _no_folder(root: str) -> SourceError:
    return SourceError(
        f"There is no folder {root}, where the contract's files should be.",
        state="Nothing was read or written.",
        next_step="Make the folder, correct `servers[0].path` in the contract, or set LAKEHOUSE_LANDING to where the files are.",
    )
