"""`lakehouse sync --follow` as a real process: what arrives is in Gold, a pass that fails ends nothing, a signal does. Then the same lake on a full disk."""

from __future__ import annotations

import contextlib
import json
import resource
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from pathlib import Path
from random import Random

import pytest
from deltalake.exceptions import TableNotFoundError

from tests.integration.conftest import ROOT, Lake
from tests.pings import BY_FILES

DAY = date(2026, 3, 1)
STRICT = BY_FILES.replace("ping", "pong").replace("000001", "000002").replace("description: Order.}", "description: Order., logicalTypeOptions: {minimum: 0}, "
                                                                             "customProperties: [{property: onFail, value: fail}]}")  # fmt: skip
MART = "select day as date_day, count(*) as pings from {{ source('silver', 'ping') }} where {{ in_dates('day') }} group by day\n"
SOURCES = "sources: [{name: silver, schema: silver, tables: [{name: ping}]}]\n"
COLUMNS = "models: [{name: pings_daily, columns: [{name: date_day, data_type: date}, {name: pings, data_type: bigint}]}]\n"
ROOM = 24  # MB of the small disk


@pytest.fixture(scope="module")
def small_disk(lake: Lake) -> Iterator[bool]:
    """The warehouse on a disk of its own that is soon full; False where nothing may be mounted."""
    warehouse = lake.home / "warehouse"
    warehouse.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM}m", "tmpfs", str(warehouse)], capture_output=True, check=False).returncode == 0
    yield mounted
    if mounted:
        lake.run("engine", "stop")
        subprocess.run(["umount", "-l", str(warehouse)], check=True)


@pytest.fixture(scope="module")
def pings(lake: Lake, small_disk: bool) -> Lake:
    """Two tables of files, the second of which takes no negative `seq`, and a mart over the first."""
    contracts, project = lake.home / "contracts" / "test", lake.home / "dbt"
    contracts.mkdir(parents=True)
    for name, text in (("ping", BY_FILES), ("pong", STRICT)):
        (contracts / f"{name}.odcs.yaml").write_text(text)
        (lake.landing / name).mkdir(parents=True)
    for kept in ("macros", "dbt_project.yml", "profiles.yml"):
        (shutil.copytree if (ROOT / "dbt_project" / kept).is_dir() else shutil.copy)(ROOT / "dbt_project" / kept, _parent(project) / kept)
    models = _parent(project / "models" / "marts")
    for file, text in (("pings_daily.sql", MART), ("pings_daily.yml", COLUMNS), ("sources.yml", SOURCES)):
        (models / file).write_text(text)
    lake.env.update(LAKEHOUSE_CONTRACTS=str(contracts.parent), LAKEHOUSE_DBT_PROJECT=str(project))
    return lake


def _parent(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def put(lake: Lake, table: str, name: str, ids: Iterable[object], seq: int = 1) -> None:
    """A file, moved into place whole."""
    folder = _parent(lake.landing / table / f"dt={DAY}")
    scratch = lake.home / f"{name}.part"
    scratch.write_text("".join(json.dumps({"id": f"{n}", "at": f"{DAY}T10:00:00Z", "seq": seq}) + "\n" for n in ids))
    scratch.replace(folder / f"{name}.json")


def rows(lake: Lake, table: str) -> int:
    try:
        return int(lake.sql(table, "select count(*) from t")[0][0])
    except TableNotFoundError:
        return 0


def until(condition: Callable[[], bool], follower: subprocess.Popen[str], what: str) -> None:
    end = time.monotonic() + 400
    while not condition():
        assert follower.poll() is None, "it ended"
        assert time.monotonic() < end, what
        time.sleep(0.2)


def test_what_comes_while_it_follows_is_in_gold_and_a_failed_pass_and_a_signal_do_no_harm(pings: Lake) -> None:
    put(pings, "ping", "a", range(10))
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a script's `&` has it
    follower = pings.start("sync", "--follow", "300", output=subprocess.PIPE)
    signal.signal(signal.SIGINT, handler)
    try:
        until(lambda: rows(pings, "gold.pings_daily") == 1, follower, "Gold was not built")
        put(pings, "pong", "bad", range(5), seq=-1)
        until(lambda: rows(pings, "bronze.pong") == 5, follower, "the bad file was not read")
        put(pings, "ping", "b", range(10, 25))
        until(lambda: pings.sql("gold.pings_daily", "select pings from t") == [(25,)], follower, "the table beside it did not go on")
        assert rows(pings, "silver.pong") == 0
        put(pings, "pong", "bad", range(7))
        until(lambda: rows(pings, "silver.pong") == 7, follower, "the mended file was not taken in")
        follower.send_signal(signal.SIGTERM)
        said, _ = follower.communicate(timeout=200)
    finally:
        follower.kill()
    assert follower.returncode == 130
    assert "Traceback" not in said
    payloads = Counter(line for file in pings.landing.rglob("*.json") for line in file.read_text().splitlines())
    held = Counter(payload for table in ("bronze.ping", "bronze.pong") for (payload,) in pings.sql(table, "select _payload from t"))
    assert held == payloads
    assert "Nothing is new" in pings.run("sync").stdout


@contextlib.contextmanager
def full(lake: Lake, small_disk: bool) -> Iterator[None]:
    """No room for more than some kilobytes: on the small disk by a file that fills it, elsewhere by a limit to what the engine may write into a file."""
    if small_disk:
        ballast = lake.home / "warehouse" / ".ballast"
        with ballast.open("wb") as file, contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 65_536)
                file.flush()
        with ballast.open("r+b") as file:
            file.truncate(ballast.stat().st_size - 131_072)
        yield
        ballast.unlink()
    else:
        pid = lake.engine_pid()
        assert pid is not None
        before = resource.prlimit(pid, resource.RLIMIT_FSIZE, (131_072, resource.RLIM_INFINITY))
        yield
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_told_leaves_nothing_half_written_and_a_retry_is_right(pings: Lake, small_disk: bool) -> None:
    versions = {layer: pings.table(layer, "ping").version() for layer in ("bronze", "silver")}
    put(pings, "ping", "noise", [Random(n).randbytes(200).hex() for n in range(3_000)])  # what nobody can compress
    with full(pings, small_disk):
        done = pings.run("sync", check=False)
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 1
    assert "no room" in said and "lakehouse sync" in said and "Traceback" not in said
    assert {layer: pings.table(layer, "ping").version() for layer in ("bronze", "silver")} == versions
    pings.run("sync")
    expected = 25 + 3_000
    assert [rows(pings, f"{layer}.ping") for layer in ("bronze", "silver")] == [expected, expected]
    assert pings.sql("silver.ping", "select count(distinct id) from t") == [(expected,)]
    assert pings.sql("gold.pings_daily", "select pings from t") == [(expected,)]
