"""A real PostgreSQL on loopback, from the system's package, with a password that only this lake's owner can read.

PostgreSQL does not run as root: then it and its data belong to the package's account `postgres`, below that account's home.
For the demo and the tests. Not here: reading tables (`lakehouse.sources.postgres`).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from lakehouse.engine import process
from lakehouse.errors import LakehouseError, SetupError, SourceError
from lakehouse.services import background
from lakehouse.services.background import Running

NAME = "postgres"
USER = "lakehouse"
ACCOUNT = "postgres"
PATIENCE = 60.0  # seconds until it must take connections; one is normal
_PROGRAMS = ("/usr/lib/postgresql", "/usr/pgsql", "/opt/homebrew/opt/postgresql", "/usr/local/opt/postgresql")


@dataclass(frozen=True)
class Address:
    """Where the server answers, or would, and the file with its password (libpq's `passfile`)."""

    host: str
    port: int
    user: str
    passfile: Path

    def __str__(self) -> str:
        return f"{self.host}:{self.port}, role {self.user}, password in {self.passfile}"


def address(home: Path) -> Address:
    """How to reach the server. Raises `SourceError` when none was ever started."""
    port = _port(home)
    if port is None:
        raise SourceError(
            "There is no PostgreSQL: a contract reads from `services`, and none was started.",
            state="Nothing was read or written.",
            next_step="Start one: lakehouse services start postgres. Or name your own server in the contract.",
        )
    return Address(process.LOOPBACK, port, USER, passfile(home))


def start(home: Path, progress: Callable[[str], None] | None = None) -> Running:
    """The running server; started when there is none, on the port it had before. Raises `SetupError` when PostgreSQL is not installed."""
    found = background.find(home, NAME)
    if found is not None:
        return found
    if not installed():
        raise SetupError(
            "PostgreSQL is not installed here: there is no `initdb`, neither on the PATH nor where packages put it.",
            state="Nothing was started.",
            next_step="Install it (Debian, Ubuntu: apt-get install postgresql; Fedora: dnf install postgresql-server; macOS: brew install postgresql), "
            "then run: lakehouse services start postgres",
        )
    programs, port = _programs()[0], _port(home) or process.free_ports(1)[0]
    if process.accepts(port):
        raise LakehouseError(f"Port {port}, where PostgreSQL had its place, is taken by another program.", next_step="End that program, then try again.")
    if not (_folder(home) / "data" / "PG_VERSION").exists() or _port(home) is None:
        if progress:
            progress("making a PostgreSQL cluster")
        _make(home, programs, port)
    said = f"listen_addresses={process.LOOPBACK}", "unix_socket_directories=", "wal_level=logical"  # the last lets Debezium read its log
    options = [*[word for setting in said for word in ("-c", setting)], "-p", str(port)]
    running = background.start(home, NAME, [*_as_account(), str(programs / "postgres"), "-D", str(_folder(home) / "data"), *options],
                               port=port, stamp="", environment={})  # fmt: skip
    background.await_ready(home, running, lambda: _answers(home), PATIENCE, "lakehouse services start postgres")
    return running


def installed() -> bool:
    """Whether PostgreSQL's programs are on this machine."""
    return bool(_programs())


def stop(home: Path) -> bool:
    """Stop it; its data, port and password stay. Whether it ran."""
    found = background.living(background.recorded(home, NAME))
    if found is not None:
        with contextlib.suppress(psutil.NoSuchProcess):
            found.send_signal(signal.SIGINT)  # SIGTERM would wait until every client has gone
            process.gone(found, PATIENCE)
    background.stop(home, NAME)
    return found is not None


def _programs() -> list[Path]:
    """The folders of its programs: what is on the PATH, then the newest that packages put somewhere."""
    on_path = shutil.which("initdb")
    others = [p.parent for root in _PROGRAMS for p in Path(root).parent.glob(f"{Path(root).name}*/**/bin/initdb")]
    newest = sorted(others, key=lambda p: [int(n) for n in re.findall(r"\d+", str(p))], reverse=True)
    return [*([Path(on_path).resolve().parent] if on_path else []), *newest]


def _as_account() -> list[str]:
    """What a command needs before it so that it does not run as root."""
    return ["setpriv", f"--reuid={ACCOUNT}", f"--regid={ACCOUNT}", "--clear-groups", "--"] if os.geteuid() == 0 else []


def _folder(home: Path) -> Path:
    """The server's own folder. As root it can't be below the lake's home, which other accounts need not be able to reach."""
    if os.geteuid() != 0:
        return home / "services" / NAME
    try:
        account = pwd.getpwnam(ACCOUNT)
    except KeyError:
        raise SetupError(
            f"PostgreSQL does not run as root, and there is no account {ACCOUNT!r} to run it as.",
            state="Nothing was started.",
            next_step=f"Install the system's package (apt-get install postgresql), or make one: useradd --system --create-home {ACCOUNT}",
        ) from None
    return Path(account.pw_dir) / f"lakehouse-{hashlib.sha256(str(home).encode()).hexdigest()[:12]}"


def passfile(home: Path) -> Path:
    """The file with its password (libpq's `passfile`), which only the owner reads."""
    return home / "services" / NAME / "pgpass"


def _port(home: Path) -> int | None:
    """The port it was made for, which its password file names."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(passfile(home).read_text("utf-8").split(":")[1])
    return None


def _make(home: Path, programs: Path, port: int) -> None:
    """A new cluster. What an interrupted try left behind is made anew: without its password file it never was used."""
    folder, password = _folder(home), secrets.token_urlsafe(24)
    shutil.rmtree(folder / "data", ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    told = folder / "password"
    told.touch(mode=0o600)
    told.write_text(password, "utf-8")
    if os.geteuid() == 0:
        for path in (folder, told):
            shutil.chown(path, ACCOUNT, ACCOUNT)
    words = ["-D", str(folder / "data"), "-U", USER, "-A", "scram-sha-256", f"--pwfile={told}", "-E", "UTF8", "--locale=C", "--no-instructions"]
    done = subprocess.run([*_as_account(), str(programs / "initdb"), *words], cwd="/", capture_output=True, text=True, check=False)
    told.unlink()
    if done.returncode:
        raise LakehouseError(f"The PostgreSQL cluster could not be made: {done.stderr.strip()[-500:]}", next_step=f"Look at {folder}, then try again.")
    file = passfile(home)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.write_text(f"{process.LOOPBACK}:{port}:*:{USER}:{password}\n", "utf-8")


def _answers(home: Path) -> bool:
    import psycopg

    at = address(home)
    try:
        with psycopg.connect(host=at.host, port=at.port, user=at.user, passfile=str(at.passfile), dbname="postgres", connect_timeout=5):
            return True
    except psycopg.OperationalError:
        return False
