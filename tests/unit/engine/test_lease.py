"""The lease of a lake in a folder: one owner, dead ones followed, living ones kept; and the process that keeps it, with `sleep` as its engine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from lakehouse.engine import lease
from lakehouse.engine.lease import Lease, Owner, holder, lease_url, take
from lakehouse.errors import EngineError
from lakehouse.storage import swap
from lakehouse.storage.swap import Changed, Seen, look
from tests.unit.clock import set_clock

ELSEWHERE = "another-host/another-boot"


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> float:
    monkeypatch.setattr(lease, "SECONDS", 1.0)
    monkeypatch.setattr(lease, "_POLL", 0.02)
    return 1.0


def none(text: str) -> None:
    raise AssertionError(f"it waited: {text}")


def elsewhere(warehouse: Path) -> Lease:
    return take(str(warehouse), Owner("/home/other", machine=ELSEWHERE), none)


def ended() -> int:
    child = subprocess.Popen(["true"])
    child.wait()
    return child.pid


def test_of_many_that_take_a_free_lease_at_once_one_gets_it(tmp_path: Path) -> None:
    start = threading.Barrier(8)

    def one(n: int) -> bool:
        start.wait()
        try:
            take(str(tmp_path), Owner(f"/home/{n}"), none)
        except EngineError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(one, range(8))) == 1


def test_a_living_owner_is_named_with_what_to_do(tmp_path: Path) -> None:
    take(str(tmp_path), Owner("/home/first"), none)
    with pytest.raises(EngineError, match=f"the engine of /home/first on .* \\(process {os.getpid()}\\)") as told:
        take(str(tmp_path), Owner("/home/second"), none)
    assert "lakehouse engine stop" in str(told.value)


def test_an_owner_still_lives_after_the_clock_was_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take(str(tmp_path), Owner("/home/first"), none)
    set_clock(monkeypatch, -3600)
    with pytest.raises(EngineError, match="/home/first"):
        take(str(tmp_path), Owner("/home/second"), none)


def test_an_owner_of_this_machine_that_is_dead_is_followed_at_once_and_so_is_one_whose_number_another_process_has(tmp_path: Path) -> None:
    take(str(tmp_path), Owner("/home/dead", pid=ended(), began="x"), none)
    take(str(tmp_path), Owner("/home/older", pid=os.getpid(), began="x"), none)
    take(str(tmp_path), Owner("/home/new"), none)


@pytest.mark.skipif(not Path("/proc/self/ns/pid").exists(), reason="only Linux has them")
def test_in_another_container_with_this_host_name_a_process_that_is_not_seen_here_is_not_dead(tmp_path: Path, short: float) -> None:
    here = Owner("/data").machine
    processes = str(Path("/proc/self/ns/pid").readlink())
    for machine in (here.replace(processes, "pid:[1]"), here.removesuffix(f"/{processes}")):  # the latter as an earlier version wrote it
        owner, said = Owner("/data", machine=machine, pid=ended(), began="x"), list[str]()
        assert owner.seen is None
        held = take(str(tmp_path), owner, none)
        take(str(tmp_path), Owner("/data"), said.append).release()  # not for ever
        assert said
        with pytest.raises(Changed):
            held.renew()


def test_a_released_lease_and_one_that_nobody_understands_are_free(tmp_path: Path) -> None:
    take(str(tmp_path), Owner("/home/first"), none).release()
    assert holder(str(tmp_path)) is None
    take(str(tmp_path), Owner("/home/second"), none).release()
    Path(lease_url(str(tmp_path))).write_text("{half")
    take(str(tmp_path), Owner("/home/third"), none)


def test_an_owner_elsewhere_that_is_silent_is_followed_after_its_time_and_learns_it(tmp_path: Path, short: float) -> None:
    held, said, began = elsewhere(tmp_path), list[str](), time.monotonic()
    take(str(tmp_path), Owner("/home/new"), said.append)
    assert 0.8 * short < time.monotonic() - began < short + 5
    assert len(said) == 1
    assert "/home/other" in said[0]
    with pytest.raises(Changed):
        held.renew()
    with pytest.raises(Changed):
        held.release()


def test_in_a_folder_a_files_time_says_nothing_since_another_clock_may_have_written_it(tmp_path: Path, short: float) -> None:
    elsewhere(tmp_path)
    os.utime(lease_url(str(tmp_path)), (time.time() - 2 * short,) * 2)  # just now, by a file server whose clock is behind
    said, began = list[str](), time.monotonic()
    take(str(tmp_path), Owner("/home/new"), said.append)
    assert time.monotonic() - began > 0.8 * short
    assert len(said) == 1


def test_an_owner_elsewhere_that_renews_keeps_its_lease(tmp_path: Path, short: float) -> None:
    held, over = elsewhere(tmp_path), threading.Event()

    def renew() -> None:
        while not over.wait(short / 5):
            held.renew()

    renewing = threading.Thread(target=renew)
    renewing.start()
    try:
        with pytest.raises(EngineError, match="another-host"):
            take(str(tmp_path), Owner("/home/new"), lambda _: None)
    finally:
        over.set()
        renewing.join()


def test_a_renewal_whose_answer_was_lost_is_no_loss_of_the_lease(tmp_path: Path) -> None:
    held = take(str(tmp_path), Owner("/home/a"), none)
    before = held.tag
    held.renew()
    held.tag = before  # as if the answer had never come
    held.renew()
    assert (look(held.url) or Seen("", "", 0.0)).tag == held.tag


def test_a_swap_over_what_was_not_seen_writes_nothing(tmp_path: Path) -> None:
    file = str(tmp_path / "x" / "file")
    tag = swap.swap(file, "one", None)
    for before in (None, Seen("", "not-the-tag", 0.0)):
        with pytest.raises(Changed):
            swap.swap(file, "two", before)
    swap.swap(file, "two", Seen("", tag, 0.0))
    assert (look(file) or Seen("", "", 0)).content == "two"


@contextmanager
def keeper(warehouse: Path, **environment: str) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, Any]]]:
    """The keeper of a `sleep`, and what it told its starter."""
    hear, tell = os.pipe()
    code = (
        "import sys; from lakehouse.engine import keeper as k; k.RENEWED_EACH = 0.2; sys.exit(k.main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:]))"
    )
    command = [sys.executable, "-c", code, str(warehouse), "/home/kept", str(tell), "sleep", "300"]
    child = subprocess.Popen(command, pass_fds=(tell,), stderr=subprocess.DEVNULL, env={**os.environ, **environment})
    os.close(tell)
    with os.fdopen(hear) as said:
        told: dict[str, Any] = json.loads(said.readline())
    try:
        yield child, told
    finally:
        for pid in (told.get("pid"), child.pid):
            if pid and psutil.pid_exists(pid):
                os.kill(pid, signal.SIGKILL)
        child.wait()


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_keeper_holds_the_lease_for_its_engine_and_releases_it_with_it(tmp_path: Path) -> None:
    with keeper(tmp_path) as (child, told):
        held = holder(str(tmp_path))
        assert held is not None
        assert held[0].pid == told["pid"]
        with keeper(tmp_path) as (second, refused):
            assert "/home/kept" in refused["what"]
            assert second.wait(20) == 1
        os.kill(told["pid"], signal.SIGKILL)
        child.wait(20)
        assert holder(str(tmp_path)) is None


def test_told_to_end_a_keeper_ends_its_engine_first(tmp_path: Path) -> None:
    with keeper(tmp_path) as (child, told):
        child.terminate()
        child.wait(20)
        assert gone(told["pid"])
        assert holder(str(tmp_path)) is None


def test_it_ends_its_engine_also_where_its_starter_ignores_the_signal(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with keeper(tmp_path) as (child, told):
            child.terminate()
            child.wait(20)
            assert gone(told["pid"])
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_an_engine_whose_keeper_was_killed_ends(tmp_path: Path) -> None:
    with keeper(tmp_path) as (child, told):
        child.kill()
        eventually(lambda: gone(told["pid"]))
    take(str(tmp_path), Owner("/home/next"), none)


def test_an_engine_whose_lease_was_taken_over_is_ended(tmp_path: Path) -> None:
    with keeper(tmp_path) as (child, told):
        file = lease_url(str(tmp_path))
        swap.swap(file, json.dumps({"home": "/home/thief", "engine": "other", "machine": ELSEWHERE, "pid": 1, "began": ""}), look(file))
        eventually(lambda: gone(told["pid"]))
        child.wait(20)
        assert "/home/thief" in Path(file).read_text()
