"""P1 to P3 on a Spark cluster and an object store, one table by files and one by Kafka: with a worker that is lost in the middle of a write, and with
storage that fails. `make test-cluster` does the same, and more, with the example business."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

import pytest

from tests import pings
from tests.cluster_lake import WORKERS, ClusterLake, cluster_lake
from tests.fault_proxy import Faults
from tests.s3_server import BUCKET

FAULTS = Faults(busy=0.05, unsent=0.03, unanswered=0.03, torn=0.03, delay=0.05)


@dataclass
class Sent:
    """The lake, and what was sent to its landing zone and its topic."""

    lake: ClusterLake
    rng: random.Random = field(default_factory=lambda: random.Random(11))
    files: list[tuple[date, str]] = field(default_factory=list)
    records: list[tuple[date, str]] = field(default_factory=list)

    def send(self, turn: int) -> None:
        """One portion of each."""
        store = self.lake.s3.client()
        for n, (day, lines) in enumerate(pings.portion(turn, self.rng)):
            store.put_object(Bucket=BUCKET, Key=f"landing/ping/dt={day}/t{turn}-{n}.json", Body=lines.encode())
            self.files.append((day, lines))
        made = list(pings.portion(turn, self.rng))
        pings.produce(self.lake.env["LAKEHOUSE_KAFKA_BROKERS"], made)
        self.records += made

    def check(self) -> None:
        """Both tables against what was sent."""
        pings.check(self.lake, "ping", self.files)
        pings.check(self.lake, "pong", self.records)


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sent]:
    with cluster_lake(tmp_path_factory.mktemp("cluster")) as lake:
        folder = lake.home / "contracts" / "test"
        folder.mkdir(parents=True)
        (folder / "ping.odcs.yaml").write_text(pings.BY_FILES)
        (folder / "pong.odcs.yaml").write_text(pings.BY_KAFKA)
        lake.env["LAKEHOUSE_CONTRACTS"] = str(lake.home / "contracts")
        yield Sent(lake)


def test_files_and_records_are_taken_in_once_by_two_workers(sent: Sent) -> None:
    sent.send(0)
    sent.lake.run("sync", check=False)  # the broken lines are told by a check
    sent.check()
    assert sent.lake.executors() == len(WORKERS)


def test_a_worker_that_is_lost_in_the_middle_of_a_write_costs_time_and_no_row(sent: Sent) -> None:
    sent.send(1)
    run = sent.lake.start("sync")
    sent.lake.until_it_writes("silver/p", run)
    sent.lake.services.kill(WORKERS[0])
    run.wait(timeout=150)
    sent.check()  # the same run, without a second one
    sent.lake.services.start(WORKERS[0])


def test_storage_that_is_slow_busy_and_cuts_connections_costs_time_and_no_row(sent: Sent) -> None:
    sent.send(2)
    with sent.lake.proxy.failing(FAULTS):
        sent.lake.run("sync", check=False)
        sent.check()
    assert {"busy", "unsent", "unanswered", "torn"} <= set(sent.lake.proxy.done)
    assert "othing" in sent.lake.run("sync").stdout
