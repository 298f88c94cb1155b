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

FAULTS = Faults(busy=0.03, unsent=0.02, unanswered=0.02, torn=0.02, delay=0.02)


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


@pytest.mark.timeout(600)  # the set-up is in it, and everything is cold
def test_a_worker_that_is_lost_in_the_middle_of_a_write_costs_time_and_no_row(sent: Sent) -> None:
    sent.send(0)
    run = sent.lake.start("sync")
    sent.lake.until_it_writes("silver/p", run)
    assert sent.lake.executors() == len(WORKERS)
    sent.lake.services.kill(WORKERS[0])
    run.wait(timeout=200)
    sent.check()  # by this very run


@pytest.mark.timeout(600)
def test_storage_that_is_slow_busy_and_cuts_connections_costs_time_and_no_row(sent: Sent) -> None:
    sent.send(1)
    with sent.lake.proxy.failing(FAULTS):
        sent.lake.run("sync", check=False)
    sent.lake.run("sync", check=False)  # what a run gave up is taken in by the next
    sent.check()
    assert {"busy", "unsent", "unanswered", "torn"} <= set(sent.lake.proxy.done)
