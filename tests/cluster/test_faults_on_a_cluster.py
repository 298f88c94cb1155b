"""P1 to P3 on a Spark cluster and an object store: with a worker that is lost in the middle of a write, and with storage that fails.

The smallest that shows it, without Kafka: one contract's three tables. Beside it the example business meets the same, and more.
"""

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
    """The lake, and what was sent to its landing zone."""

    lake: ClusterLake
    rng: random.Random = field(default_factory=lambda: random.Random(11))
    files: list[tuple[date, str]] = field(default_factory=list)

    def send(self, turn: int) -> None:
        """One portion."""
        store = self.lake.s3.client()
        for n, (day, lines) in enumerate(pings.portion(turn, self.rng)):
            store.put_object(Bucket=BUCKET, Key=f"landing/ping/dt={day}/t{turn}-{n}.json", Body=lines.encode())
            self.files.append((day, lines))


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sent]:
    with cluster_lake(tmp_path_factory.mktemp("cluster"), with_kafka=False) as lake:
        folder = lake.home / "contracts" / "test"
        folder.mkdir(parents=True)
        (folder / "ping.odcs.yaml").write_text(pings.BY_FILES)
        lake.env["LAKEHOUSE_CONTRACTS"] = str(lake.home / "contracts")
        yield Sent(lake)


@pytest.mark.timeout(1200)  # the set-up is in it, and everything is cold
def test_a_worker_that_is_lost_in_the_middle_of_a_write_costs_time_and_no_row(sent: Sent) -> None:
    sent.send(0)
    with sent.lake.writing("silver/", "sync"):
        assert sent.lake.executors() == len(WORKERS)
        sent.lake.services.kill(WORKERS[0])
    pings.check(sent.lake, "ping", sent.files)  # by this very run


@pytest.mark.timeout(1200)
def test_storage_that_is_slow_busy_and_cuts_connections_costs_time_and_no_row(sent: Sent) -> None:
    sent.send(1)
    with sent.lake.proxy.failing(FAULTS):
        sent.lake.run("sync", check=False)
    sent.lake.run("sync")  # what a run gave up is taken in by the next, whose checks hold
    pings.check(sent.lake, "ping", sent.files)
    assert len({"busy", "unsent", "unanswered", "torn"} & set(sent.lake.proxy.done)) > 1  # which of them, is chance with so few requests
