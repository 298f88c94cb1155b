"""The jars that Spark's wheel lacks: which, where they lie, fetching them by coordinate, checking their sha256.

They lie beside the Python packages (`<prefix>/share/lakehouse`), since they must match the Spark and Java installed there: every lake of
one installation shares them, and a new environment starts with none. Not here: the class path and its order (`config`).
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lakehouse.errors import SetupError

LOCK = Path(__file__).with_name("jars.lock")
S3_LOCK = Path(__file__).with_name("s3.lock")  # only for lakes that name an object store
ATTEMPTS = 2
_LINE = re.compile(r"(?P<group>[\w.-]+):(?P<artifact>[\w.-]+):(?P<version>[\w.-]+)\s+(?P<sha256>[0-9a-f]{64})")

Progress = Callable[[str], None]


@dataclass(frozen=True, order=True)
class Jar:
    """One locked artifact."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def coordinate(self) -> str:
        """`group:artifact:version`."""
        return f"{self.group}:{self.artifact}:{self.version}"

    @property
    def filename(self) -> str:
        """The name Maven gives the file."""
        return f"{self.artifact}-{self.version}.jar"


def shared_folder() -> Path:
    """The folder of this Python environment that holds jars and AOT caches."""
    return Path(sys.prefix) / "share" / "lakehouse"


def jars_folder() -> Path:
    """Where the jars lie."""
    return shared_folder() / "jars"


def s3_folder() -> Path:
    """Where those for object stores lie."""
    return shared_folder() / "s3"


def read_lock(file: Path = LOCK) -> list[Jar]:
    """The locked jars, sorted. Raises `SetupError` naming file and line for anything that is not `group:artifact:version sha256`."""
    jars = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        match = _LINE.fullmatch(text)
        if not match:
            raise SetupError(f"{file}:{number}: `{text}` is not `group:artifact:version sha256`.", next_step="Restore the file from version control.")
        jars.append(Jar(**match.groupdict()))
    return sorted(jars)


def verify(jar: Jar, file: Path) -> None:
    """Raise `SetupError` unless the file has the locked sha256."""
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != jar.sha256:
        raise SetupError(
            f"{file} is not the jar that was locked for {jar.coordinate}: expected sha256 {jar.sha256}, got {found}.",
            state="It was not used. The download may be damaged, or the server may hold something else than it should.",
            next_step=f"Delete that file and run: make setup. If it happens again, compare with {LOCK.name} in version control.",
        )


def ensure_jars(progress: Progress | None = None, folder: Path | None = None, lock: Path = LOCK) -> list[Path]:
    """The verified jars of a lock file, sorted by file name; missing ones are fetched in parallel. Safe to repeat and to interrupt, also side by side.

    Raises `SetupError` for a wrong checksum and when a jar can't be fetched.
    """
    folder = folder or jars_folder()
    locked = read_lock(lock)
    missing = []
    for jar in locked:
        if (folder / jar.filename).exists():
            verify(jar, folder / jar.filename)
        else:
            missing.append(jar)
    if missing:
        _fetch_all(missing, folder, progress or (lambda _: None))
    return sorted(folder / jar.filename for jar in locked)


def ensure_s3_jars(progress: Progress | None = None) -> list[Path]:
    """The same for those that object stores need."""
    return ensure_jars(progress, s3_folder(), S3_LOCK)


def _fetch_all(jars: Sequence[Jar], folder: Path, progress: Progress) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as scratch, ThreadPoolExecutor(max_workers=8) as pool:
        for number, fetched in enumerate([pool.submit(_fetch, jar, folder, Path(scratch)) for jar in jars], start=1):
            fetched.result()
            if number % 10 == 0 or number == len(jars):
                progress(f"{number} of {len(jars)} jars fetched and verified")


def _fetch(jar: Jar, folder: Path, scratch: Path) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        cache = scratch / f"{jar.artifact}-{attempt}"
        try:
            file = _download(jar, cache)
            verify(jar, file)
        except SetupError:
            if attempt == ATTEMPTS:
                raise
            continue
        final = folder / jar.filename
        waiting = scratch / f"{jar.filename}.{attempt}"
        shutil.move(file, waiting)
        os.replace(waiting, final)  # noqa: PTH105  the same file system: whole or not at all
        return


def _download(jar: Jar, cache: Path) -> Path:
    """The artifact from a Maven repository, with the machine's own proxy and CA settings (a JVM's resolver would not know a private CA)."""
    import requests
    from jgo.maven import MavenContext

    try:
        found = MavenContext(repo_cache=cache, timeout=60).project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
    except (requests.RequestException, RuntimeError, OSError) as error:
        raise SetupError(
            f"{jar.coordinate} could not be fetched from the Maven repository: {_reason(error)}",
            state="Jars fetched before are kept; the next run continues there.",
            next_step="Check the network (HTTPS_PROXY, REQUESTS_CA_BUNDLE) and the free disk space, then run it again.",
        ) from error
    return Path(found)


def _reason(error: BaseException) -> str:
    text = str(error).splitlines()
    return f"{type(error).__name__}: {text[0][:200] if text else ''}"


def main(sets: list[str]) -> int:
    """Fetch and verify for set-up, a line for each ten jars, with those for object stores if `s3` is among the sets; errors as one message and exit code 1."""
    try:
        paths = ensure_jars(progress=lambda line: _say(f"  {line}"))
        if "s3" in sets:
            paths += ensure_s3_jars(lambda line: _say(f"  {line}"))
    except SetupError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    _say(f"  {len(paths)} jars verified")
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
