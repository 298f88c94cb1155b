"""One small file that several machines write, each only over the state it has seen: compare-and-swap in a folder or an object store.

On S3 by conditional PUT, in a folder under a lock of the operating system. Not here: what stands in the file (`engine.lease`).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path

from lakehouse.storage import explained, filesystem
from lakehouse.storage.s3 import is_s3


@dataclass(frozen=True)
class Seen:
    """The file at one moment: its content, what tells this state from others, and its age in seconds by the store's own clock.

    In a folder that is 0: whose clock wrote a file's time, this machine's, another's or a file server's, can't be told.
    """

    content: str
    tag: str
    age: float


class Changed(Exception):  # noqa: N818 - not an error: the caller looks again
    """Another has written since; nothing was written."""


def look(url: str) -> Seen | None:
    """The file as it is; None when there is none."""
    return _look_remote(url) if is_s3(url) else _look_local(Path(url))


def swap(url: str, content: str, before: Seen | None) -> str:
    """Write it if it still is as it was `before` (None: not there); returns the new tag. Raises `Changed`.

    States are told apart by their content: who writes the same text again has changed nothing that others could see.
    """
    return _swap_remote(url, content, before) if is_s3(url) else _swap_local(Path(url), content, before)


def keeps_its_word(folder: str) -> bool:
    """Whether a write over what was not seen is refused there. A server that does not know conditional PUT takes it: then nothing can be owned."""
    url = f"{folder.rstrip('/')}/_lakehouse/probe"
    try:
        swap(url, "", Seen("", '"00000000000000000000000000000000"', 0.0))
    except Changed:
        return True
    system, path = filesystem(url)
    system.rm(path)
    return False


def _look_local(file: Path) -> Seen | None:
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return None
    return Seen(content.decode(), _tag(content), 0.0)


def _swap_local(file: Path, content: str, before: Seen | None) -> str:
    file.parent.mkdir(parents=True, exist_ok=True)
    with _locked(file.with_name(f".{file.name}.lock")):
        now = _look_local(file)
        if (now.tag if now else None) != (before.tag if before else None):
            raise Changed
        scratch = file.with_name(f".{file.name}.{os.getpid()}")
        scratch.write_text(content, "utf-8")
        scratch.replace(file)
    return _tag(content.encode())


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _tag(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _look_remote(url: str) -> Seen | None:
    system, path = filesystem(url)
    bucket, _, key = path.partition("/")
    try:
        with explained(url):
            # First the tag, then the content: if another writes in between, the tag is too old, and a swap on it fails as it should.
            head = system.call_s3("head_object", Bucket=bucket, Key=key)
            content = system.cat_file(path).decode()
    except FileNotFoundError:
        return None
    said = parsedate_to_datetime(head["ResponseMetadata"]["HTTPHeaders"]["date"])
    return Seen(content, head["ETag"], (said - head["LastModified"]).total_seconds())


def _swap_remote(url: str, content: str, before: Seen | None) -> str:
    system, path = filesystem(url)
    bucket, _, key = path.partition("/")
    condition = {"IfMatch": before.tag} if before else {"IfNoneMatch": "*"}
    try:
        with explained(url):
            return str(system.call_s3("put_object", Bucket=bucket, Key=key, Body=content.encode(), **condition)["ETag"])
    except FileNotFoundError:
        raise Changed from None  # what was to be replaced is gone
    except OSError as error:
        if any(word in f"{error} {error.__cause__}" for word in ("PreconditionFailed", "pre-conditions", "ConditionalRequestConflict", "conditional")):
            raise Changed from None
        raise
