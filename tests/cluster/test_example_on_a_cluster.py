"""The example business, and a table by Kafka, on a Spark cluster and an object store: P1 to P3 with a worker, the engine and the storage failing in the middle
of writes; then upkeep, a copy, and going on from the copy on one machine. In this order on one lake: `make test-cluster`."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from deltalake import DeltaTable

from tests import pings
from tests.cluster_lake import DAGSTER, WORKERS, ClusterLake, cluster_lake
from tests.demo_truth import check_conservation, check_gold, check_tables, truth
from tests.fault_proxy import Faults
from tests.integration.conftest import ROOT, Lake
from tests.postgres_server import make_server, remove_server
from tests.s3_server import BUCKET

DAYS, SCALE = 2, "0.1"
FAULTS = Faults(busy=0.05, unsent=0.03, unanswered=0.03, torn=0.03, delay=0.05)
REMOTE = ("LAKEHOUSE_ENGINE", "LAKEHOUSE_CONNECT_URL", "LAKEHOUSE_THRIFT_HOST", "LAKEHOUSE_THRIFT_PORT")
KEPT = "  - {property: maintenance, value: {bronze: {compactFiles: 2}, silver: {compactFiles: 2}, quarantine: {compactFiles: 2}}}\n"


@dataclass
class Business:
    """The lake, and what was sent to Kafka."""

    lake: ClusterLake
    # Four times a day more, the last of them today: later ones would be refused.
    first: date = field(default_factory=lambda: datetime.now(UTC).date() - timedelta(days=DAYS + 3))
    sent: list[tuple[date, str]] = field(default_factory=list)
    rng: random.Random = field(default_factory=lambda: random.Random(12))

    def another_day(self) -> None:
        """The first days, or a day more, of files and records; brought to the object store by another client than the platform's."""
        days = truth(self.lake)["days"] + 1 if (self.lake.landing / "truth.json").exists() else DAYS
        last = self.first + timedelta(days=days - 1)
        command = [sys.executable, "-m", "demo", "--target", str(self.lake.landing), "--days", str(days), "--scale", SCALE, "--last-day", str(last)]
        subprocess.run(command, check=True, cwd=ROOT, env=self.lake.env, capture_output=True)
        store = self.lake.s3.client()
        pages = store.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="landing/")
        there = {entry["Key"]: entry["ETag"].strip('"') for page in pages for entry in page.get("Contents", ())}
        for file in self.lake.landing.rglob("*"):
            key = f"landing/{file.relative_to(self.lake.landing).as_posix()}"
            if file.is_file() and "/." not in key and there.get(key) != hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest():
                store.put_object(Bucket=BUCKET, Key=key, Body=file.read_bytes())
        self.send(days)

    def send(self, turn: int) -> None:
        """A portion of records."""
        made = list(pings.portion(turn, self.rng))
        pings.produce(self.lake.env["LAKEHOUSE_KAFKA_BROKERS"], made)
        self.sent += made

    def check(self, lake: Lake | None = None) -> None:
        """All tables against what was generated and sent."""
        lake = lake or self.lake
        check_tables(lake)
        check_gold(lake)
        check_conservation(lake)
        pings.check(lake, "pong", self.sent)


@pytest.fixture(scope="module")
def business(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Business]:
    with cluster_lake(tmp_path_factory.mktemp("cluster")) as lake:
        contracts = lake.home / "contracts"
        shutil.copytree(ROOT / "contracts", contracts)
        (contracts / "test").mkdir()
        (contracts / "test" / "pong.odcs.yaml").write_text(pings.BY_KAFKA + KEPT)
        lake.env["LAKEHOUSE_CONTRACTS"] = str(contracts)
        yield Business(lake)


@pytest.mark.timeout(1200)
def test_the_first_build_is_what_was_generated_and_sent(business: Business) -> None:
    business.another_day()
    business.lake.run("sync", check=False)
    business.check()
    assert business.lake.executors() == len(WORKERS)


def test_a_repeated_sync_does_nothing(business: Business) -> None:
    before = business.lake.keys("warehouse/")
    assert "othing" in business.lake.run("sync").stdout
    assert business.lake.keys("warehouse/") == before


def test_a_second_engine_does_not_get_the_lake(business: Business, tmp_path: Path) -> None:
    env = {**business.lake.services.env("engine"), "LAKEHOUSE_HOME": str(tmp_path)}
    refused = Lake(tmp_path, env).run("engine", "start", check=False)
    assert refused.returncode == 1
    assert "belongs to the engine of" in " ".join(refused.stderr.split())


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("victim", [WORKERS[0], "engine"])
def test_lost_in_the_middle_of_a_write_it_costs_time_and_no_row(business: Business, victim: str) -> None:
    business.another_day()
    services = business.lake.services
    with business.lake.writing("silver/", "sync", "--full"):  # a day has a file of 1970
        services.kill(victim)
        services.start(victim)  # as Docker does
    if victim == "engine":
        services.until_the_engine_is_well()
        business.lake.run("sync", "--full", check=False)
    business.check()


@pytest.mark.timeout(1200)
def test_storage_that_is_slow_busy_and_cuts_connections_costs_time_and_no_row(business: Business) -> None:
    business.another_day()
    with business.lake.proxy.failing(FAULTS):
        business.lake.run("sync", "--full", check=False)
    business.lake.run("sync", "--full", check=False)  # what a run gave up is taken in by the next
    business.check()
    assert {"busy", "unsent", "unanswered", "torn"} <= set(business.lake.proxy.done)


@pytest.mark.timeout(1200)
def test_days_that_are_built_anew_are_what_the_increments_made(business: Business) -> None:
    last = business.first + timedelta(days=1)
    business.lake.run("materialize", "bronze/sensor_reading+", "--from", str(business.first), "--to", str(last), check=False)
    business.check()


@pytest.mark.timeout(1200)
def test_upkeep_makes_many_files_few_and_changes_no_row(business: Business) -> None:
    for turn in (97, 98):  # two files for a day at least
        business.send(turn)
        business.lake.run("sync", "pong", check=False)
    before = len(business.lake.table("bronze", "pong").file_uris())
    gained = {row["table"]: row for row in json.loads(business.lake.run("maintain", "--json").stdout)}
    assert gained["bronze.pong"]["files_after"] < gained["bronze.pong"]["files_before"]
    assert len(business.lake.table("bronze", "pong").file_uris()) < before
    business.check()
    business.send(99)
    business.lake.run("demo", "--scale", SCALE, "--days", "1", check=False)  # brings its days up to today by itself
    business.lake.run("sync", "--full", check=False)  # one of them has a file of 1970
    business.check()


@pytest.fixture
def database(business: Business) -> Iterator[None]:
    """PostgreSQL as the compose file's: its role and database."""
    server = make_server()
    server.for_dagster()
    business.lake.services.places["5432"] = str(server.port)
    yield
    remove_server(server)


@pytest.mark.timeout(1200)
def test_dagsters_services_are_well_and_take_in_what_comes(business: Business, database: None) -> None:
    services = business.lake.services
    services.image["LAKEHOUSE_CONTRACTS"] = business.lake.env["LAKEHOUSE_CONTRACTS"]
    services.start_dagster()
    business.send(100)
    wanted = sum(turn == 100 for turn in pings.truth(business.sent)[0].values())
    services.until("daemon", lambda: business.lake.sql("silver.pong", "select count(*) from t where seq = 100")[0][0] == wanted)
    for service in DAGSTER:
        services.stop(service)
    business.check()


@dataclass(frozen=True)
class Copy(Lake):
    """The copy of the lake, in a folder."""

    files: Path  # what the example wrote

    @property
    def landing(self) -> Path:
        return self.files

    def table(self, layer: str, name: str) -> DeltaTable:
        return DeltaTable(self.home / "warehouse" / layer / name)


@pytest.mark.timeout(1200)
def test_a_copy_is_a_lake_that_goes_on_by_itself_on_one_machine(business: Business, tmp_path: Path) -> None:
    business.lake.run("backup", str(tmp_path / "warehouse"))
    business.lake.services.stop("engine")
    env = {k: v for k, v in business.lake.env.items() if k not in REMOTE}
    env |= {"LAKEHOUSE_HOME": str(tmp_path), "LAKEHOUSE_WAREHOUSE": str(tmp_path / "warehouse"), "LAKEHOUSE_ENGINE_HEAP": "2g"}
    copy = Copy(tmp_path, env, business.lake.landing)
    try:
        business.check(copy)
        assert "othing" in copy.run("sync").stdout
        copy.run("materialize", "bronze/web_click+", "--partition", str(business.first), check=False)
        business.check(copy)
    finally:
        copy.run("engine", "stop", check=False)
