"""Reading an object store without Spark, against a real S3 server: listings, copies, errors with their mend, what `doctor` finds. No engine."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from s3fs import S3FileSystem
from typer.testing import CliRunner

from lakehouse.cli import status
from lakehouse.cli.findings import CHECKS
from lakehouse.contracts.model import FileSource
from lakehouse.engine.backup import copy_lake
from lakehouse.engine.lease import Owner, holder, take
from lakehouse.engine.metadata import actions, open_table
from lakehouse.errors import EngineError, SourceError, StorageError
from lakehouse.settings import settings
from lakehouse.sources.files.listing import list_files
from lakehouse.storage import check, delta_options, mirror
from lakehouse.storage.swap import Changed, Seen, keeps_its_word, look, swap
from lakehouse.tables import Table
from tests.fault_proxy import Faults, fault_proxy
from tests.s3_server import BUCKET, S3Server, s3_server

TABLE = Table("bronze", "orders")
Use = Callable[..., None]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as found:
        yield found


@pytest.fixture
def use(server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Use]:
    """Settings of a lake on the server, with what a test wants otherwise."""

    def chosen(**changes: str) -> None:
        for name in [n for n in os.environ if n.startswith(("LAKEHOUSE_", "AWS_"))]:
            monkeypatch.delenv(name)
        told = {"LAKEHOUSE_HOME": str(tmp_path / "home"), "LAKEHOUSE_WAREHOUSE": f"s3a://{BUCKET}/warehouse", "LAKEHOUSE_LANDING": f"s3a://{BUCKET}/landing"}
        for name, value in {**told, **server.env, **changes}.items():
            monkeypatch.setenv(name, value)
        settings.cache_clear()
        S3FileSystem.clear_instance_cache()  # it has looked for keys once

    chosen()
    yield chosen
    settings.cache_clear()


def test_a_folder_is_copied_once_and_listed_by_day_with_whole_seconds(use: Use, server: S3Server, tmp_path: Path) -> None:
    for name in ("orders/2026-01-02/a.json", "orders/2026-01-03/b c%.json", "orders/.writing/part"):
        file = tmp_path / name
        file.parent.mkdir(parents=True)
        file.write_text("{}\n")
    url = settings().landing
    assert (mirror(tmp_path, url), mirror(tmp_path, url)) == (2, 0)
    (tmp_path / "orders/2026-01-02/a.json").write_text('{"more": 1}\n')
    assert mirror(tmp_path, url) == 1
    for folder in ("", "2026-01-02/", "2026-01-03/"):  # as a console makes them
        server.client().put_object(Bucket=BUCKET, Key=f"landing/orders/{folder}", Body=b"")
    source = FileSource(path="orders", format="json", date_pattern=r"(\d{4}-\d{2}-\d{2})/")
    files = list_files(source, date(2026, 1, 1)).files
    assert [(f.path, f.size, f.day) for f in files] == [("2026-01-02/a.json", 12, date(2026, 1, 2)), ("2026-01-03/b c%.json", 3, date(2026, 1, 3))]
    assert not any(f.millis % 1000 for f in files)
    assert [f.path for f in list_files(source, date(2026, 1, 1), date(2026, 1, 3)).files] == ["2026-01-03/b c%.json"]


def test_a_folder_that_is_not_there_is_an_error_of_the_source(use: Use) -> None:
    with pytest.raises(SourceError, match="There is no folder s3a://lake/landing/nothing"):
        list_files(FileSource(path="nothing", format="json"), date(2026, 1, 1))


def test_a_table_that_was_never_made_is_none(use: Use) -> None:
    assert open_table(TABLE) is None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"LAKEHOUSE_WAREHOUSE": "s3a://nowhere/warehouse"}, "there is no bucket nowhere"),
        ({"AWS_ACCESS_KEY_ID": "unknown"}, "does not know the access key"),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "does not know the access key"),
        ({"LAKEHOUSE_S3_ENDPOINT": "http://127.0.0.1:9"}, "nobody answers"),
    ],
)
def test_what_is_wrong_is_said_with_its_mend_by_every_way_in_and_by_doctor(use: Use, changes: dict[str, str], says: str) -> None:
    use(**changes)
    for way in (lambda: check(settings().warehouse), lambda: open_table(TABLE)):
        with pytest.raises(StorageError, match=says) as told:
            way()
        assert told.value.next_step
    found = next(CHECKS["storage"]())
    assert found.level == "problem" and says in found.text and found.mend


def test_what_is_wrong_with_one_bucket_does_not_hide_the_other(use: Use) -> None:
    use(LAKEHOUSE_WAREHOUSE="s3a://nowhere/warehouse")
    assert [(f.name, f.level) for f in CHECKS["storage"]()] == [("storage", "problem"), ("landing", "ok")]
    use(LAKEHOUSE_WAREHOUSE="s3a://nowhere/warehouse", LAKEHOUSE_LANDING="s3a://nowhere/landing")
    assert len(list(CHECKS["storage"]())) == 1


def test_status_says_it_once_and_not_of_each_table(use: Use) -> None:
    use(LAKEHOUSE_WAREHOUSE="s3a://nowhere/warehouse")
    done = CliRunner().invoke(status.app, [])
    assert isinstance(done.exception, StorageError)
    assert "there is no bucket nowhere" in str(done.exception)
    assert not done.stdout


def test_a_clock_that_is_wrong_is_found_before_the_server_says_no(use: Use, server: S3Server) -> None:
    with fault_proxy(server.endpoint) as proxy, proxy.failing(Faults(clock=-300)):
        use(LAKEHOUSE_S3_ENDPOINT=proxy.endpoint)
        found = list(CHECKS["storage"]())
    assert [(f.level, f.mend) for f in found] == [("problem", "Set the clock (NTP).")] * 2
    assert "s apart" in found[0].text


def test_answers_that_break_off_again_and_again_are_told_and_not_taken_for_a_table_that_is_not_there(use: Use, server: S3Server) -> None:
    server.client().put_object(Bucket=BUCKET, Key="warehouse/bronze/orders/_delta_log/00000000000000000000.json", Body=b'{"commitInfo":{}}')
    with fault_proxy(server.endpoint) as proxy, proxy.failing(Faults(torn=1.0)):
        use(LAKEHOUSE_S3_ENDPOINT=proxy.endpoint)
        for way in (lambda: open_table(TABLE), lambda: actions(TABLE, 0)):
            with pytest.raises(StorageError, match="broke off"):
                way()
    server.client().delete_object(Bucket=BUCKET, Key="warehouse/bronze/orders/_delta_log/00000000000000000000.json")


def test_doctor_says_that_all_is_well(use: Use) -> None:
    assert [(f.name, f.level) for f in CHECKS["storage"]()] == [("warehouse", "ok"), ("landing", "ok")]


def test_a_lake_is_copied_from_there_with_folders_that_are_objects_of_their_own(use: Use, server: S3Server, tmp_path: Path) -> None:
    url = TABLE.location(settings().warehouse)
    write_deltalake(url, pa.table({"v": [1, 2]}), storage_options=delta_options(url))
    server.client().put_object(Bucket=BUCKET, Key="warehouse/bronze/orders/_delta_log/_staged_commits/", Body=b"")
    assert copy_lake(str(tmp_path / "copy"), lambda _: None).tables == 1
    assert DeltaTable(tmp_path / "copy" / "bronze" / "orders").to_pyarrow_table()["v"].to_pylist() == [1, 2]


def test_of_many_that_write_over_the_same_state_one_does(use: Use) -> None:
    url, start = f"{settings().warehouse}/swapped", threading.Barrier(6)

    def write(n: int, before: Seen | None) -> bool:
        start.wait()
        try:
            swap(url, f"by {n} over {before}", before)  # what is the same text again is the same state
        except Changed:
            return False
        return True

    for _ in range(3):
        before = look(url)
        with ThreadPoolExecutor(6) as pool:
            assert sum(pool.map(write, range(6), [before] * 6)) == 1
    found = look(url)
    assert found is not None
    assert 0 <= found.age < 10
    assert keeps_its_word(settings().warehouse)


def test_a_lease_is_held_renewed_and_released_there(use: Use) -> None:
    warehouse = settings().warehouse
    held = take(warehouse, Owner("/home/one"), print)
    with pytest.raises(EngineError, match="/home/one"):
        take(warehouse, Owner("/home/two"), print)
    held.renew()
    assert (holder(warehouse) or [None])[0] == held.owner
    held.release()
    take(warehouse, Owner("/home/two"), print)
    with pytest.raises(Changed):
        held.renew()
