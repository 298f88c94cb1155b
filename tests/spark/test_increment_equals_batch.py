"""P1, P2, P3, P5, P7: whatever mix of increments, rebuilds, changed files, RESTOREs and compactions came before, the tables hold what the files say."""

from __future__ import annotations

import json
import os
import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakehouse.bronze.ingest import ingest
from lakehouse.bronze.ingest import rebuild as rebuild_bronze
from lakehouse.contracts.model import Contract, Upkeep
from lakehouse.engine import metadata
from lakehouse.maintenance.plan import Kept, plan
from lakehouse.maintenance.work import carry_out
from lakehouse.silver import build
from tests.spark.conftest import Lake
from tests.spark.oracle import truth_of

FIRST = date(2026, 1, 10)


def records(rng: random.Random, bronze_day: date, n: int) -> list[str]:
    """Lines of a file: few keys, so that they meet; some late, some future, some broken, some repeated."""
    lines = []
    for _ in range(n):
        day = bronze_day + timedelta(days=rng.choice([0, 0, 0, -1, -2, -3, 1, 2]))
        value = rng.choice([1.5, -3.25, 99.0, 1000.0, None])
        row = {"id": f"k{rng.randrange(8)}", "seq": rng.choice([None, 1, 2, 3]), "at": f"{day}T12:00:00Z", "value": value, "note": rng.randrange(10**6)}
        lines.append(json.dumps(row) if rng.random() > 0.05 else json.dumps(row)[:-3])
    return lines + lines[:1] * (rng.random() < 0.3)


def check(lake: Lake, contract: Contract) -> None:
    """Catch up, then hold every table against the files."""
    ingested, built = lake.sync(contract)
    assert ingested.unreadable == ()
    assert built.unbalanced == ()
    truth = truth_of(lake.landing / lake.name, by_date=contract.event_date is not None)
    bronze = sorted(r[0] for r in lake.rows(contract.bronze, "_payload"))
    assert bronze == sorted(truth.payloads)
    if contract.event_date:
        found = {(r[0], r[1]): (r[2], r[3], r[4]) for r in lake.rows(contract.silver, "id", "day", "seq", "value", "_source")}
    else:
        found = {(r[0], None): (r[1], r[2], r[3]) for r in lake.rows(contract.silver, "id", "seq", "name", "_source")}
    assert found == truth.silver
    assert lake.count(contract.silver) == len(truth.silver)
    assert sorted(lake.rows(contract.quarantine, "_payload", "_source_date"), key=repr) == sorted(truth.refused, key=repr)


class History:
    """Operations on one table, chosen at random."""

    def __init__(self, lake: Lake, contract: Contract, seed: int) -> None:
        self.lake, self.contract, self.rng, self.files, self.clock = lake, contract, random.Random(seed), 0, 1_770_000_000_000

    def lines(self, day: date) -> list[str]:
        if self.contract.event_date:
            return records(self.rng, day, self.rng.randrange(1, 7))
        return [json.dumps({"id": f"k{self.rng.randrange(8)}", "seq": self.rng.choice([None, 1, 2]), "name": str(self.rng.randrange(10**6))}) for _ in range(4)]

    def write(self, path: str) -> None:
        self.clock += 60_000
        day = date.fromisoformat(path[3:13])
        self.lake.put(path, "\n".join(self.lines(day)), millis=self.clock)

    def new_file(self) -> None:
        self.files += 1
        self.write(f"dt={FIRST + timedelta(days=self.rng.randrange(5))}/f{self.files:03d}.json")

    def changed_file(self) -> None:
        files = sorted((self.lake.landing / self.lake.name).rglob("*.json"))
        self.write(self.rng.choice(files).relative_to(self.lake.landing / self.lake.name).as_posix())

    def bronze(self) -> None:
        ingest(self.lake.spark, self.contract, "h", full=True)

    def silver(self) -> None:
        build.increment(self.lake.spark, self.contract, "h")

    def rebuild(self) -> None:
        build.rebuild(self.lake.spark, self.contract, [FIRST + timedelta(days=self.rng.randrange(5))], "h")

    def rebuild_bronze(self) -> None:
        rebuild_bronze(self.lake.spark, self.contract, [FIRST + timedelta(days=self.rng.randrange(5))], "h")

    def restore(self) -> None:
        table = self.rng.choice([self.contract.bronze, self.contract.silver, self.contract.quarantine])
        version = self.lake.version(table)
        self.lake.spark.sql(f"RESTORE {table.sql} TO VERSION AS OF {self.rng.randrange(0, version + 1)}").collect()

    def maintain(self) -> None:
        for table in (self.contract.bronze, self.contract.silver, self.contract.quarantine):
            found = plan(Kept(table, Upkeep(compact_files=2, order_by=("id",) * (table.layer == "silver"))), datetime.now(UTC))
            if found is not None:
                carry_out(self.lake.spark, found)


@pytest.mark.parametrize(("seed", "kind"), [(1, "event"), (2, "event"), (3, "event"), (4, "entity")])
def test_after_a_random_history_the_tables_hold_what_the_files_say(lake: Lake, seed: int, kind: str) -> None:
    history = History(lake, lake.events() if kind == "event" else lake.entities(), seed)
    history.new_file()
    check(lake, history.contract)
    h = history
    operations = [h.new_file] * 4 + [h.changed_file, h.bronze, h.silver, h.rebuild, h.rebuild_bronze, h.restore, h.restore, h.maintain]
    done = []
    for _ in range(22):
        operation = history.rng.choice(operations)
        done.append(operation.__name__)
        operation()
    try:
        check(lake, history.contract)
    except AssertionError as error:
        raise AssertionError(f"after {done}") from error


@pytest.mark.timeout(1200)
@given(order=st.permutations(range(5)), splits=st.sets(st.integers(0, 4)))
@settings(max_examples=4, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_order_and_the_batches_in_which_files_come_make_no_difference(lake: Lake, order: list[int], splits: set[int]) -> None:
    rng = random.Random(5)
    files = {n: records(rng, FIRST + timedelta(days=n % 3), 6) for n in range(5)}
    name = f"{lake.name}_{abs(hash((tuple(order), tuple(sorted(splits))))):x}"
    other = replace(lake, name=name)
    contract = other.events()
    for n in order:
        other.put(f"dt={FIRST + timedelta(days=n % 3)}/f{n}.json", "\n".join(files[n]))
        if n in splits:
            other.sync(contract)
    check(other, contract)


def test_nothing_new_means_no_commit_and_no_spark_job(lake: Lake) -> None:
    contract = lake.events()
    lake.put(f"dt={FIRST}/a.json", "\n".join(records(random.Random(1), FIRST, 5)))
    lake.sync(contract)
    versions = [lake.version(t) for t in (contract.bronze, contract.silver, contract.quarantine)]
    ingested = ingest(None, contract, "again")  # type: ignore[arg-type]  # without a session, a Spark job would fail
    built = build.increment(None, contract, "again")  # type: ignore[arg-type]
    assert (ingested.amount.files, built.changed) == (0, False)
    assert [lake.version(t) for t in (contract.bronze, contract.silver, contract.quarantine)] == versions


def test_maintenance_is_nothing_new_for_the_tables_above(lake: Lake) -> None:
    contract = lake.events()
    for n in range(3):
        lake.put(f"dt={FIRST}/{n}.json", "\n".join(records(random.Random(n), FIRST, 5)))
        lake.sync(contract)
    for table in (contract.bronze, contract.silver):
        found = plan(Kept(table, Upkeep(compact_files=2)), datetime.now(UTC))
        assert found is not None and carry_out(lake.spark, found).into.count == len(found.partitions) > 0
    built = build.increment(None, contract, "again")  # type: ignore[arg-type]
    assert not built.changed
    check(lake, contract)


def test_an_increment_touches_only_its_own_partitions(lake: Lake) -> None:
    contract = lake.events()
    for n in range(4):
        lake.put(f"dt={FIRST + timedelta(days=n)}/a.json", [{"id": "a", "seq": 1, "at": f"{FIRST + timedelta(days=n)}T12:00:00Z"}])
    lake.sync(contract)
    before = {d: f for d, f in _files(contract)}
    lake.put(f"dt={FIRST + timedelta(days=3)}/b.json", [{"id": "a", "seq": 2, "at": f"{FIRST + timedelta(days=3)}T12:00:00Z"}])
    lake.sync(contract)
    after = {d: f for d, f in _files(contract)}
    assert {d for d in after if after[d] != before[d]} == {FIRST + timedelta(days=3)}


def _files(contract: Contract) -> list[tuple[date, str]]:
    table = metadata.open_table(contract.silver)
    assert table is not None
    return [(date.fromisoformat(os.path.dirname(f).rsplit("=", 1)[1]), f) for f in table.file_uris()]  # noqa: PTH120 - a URI, not a path


def test_a_vanished_file_changes_nothing_and_is_reported(lake: Lake) -> None:
    contract = lake.events()
    keep = lake.put(f"dt={FIRST}/a.json", [{"id": "a", "seq": 1, "at": f"{FIRST}T12:00:00Z"}])
    gone = lake.put(f"dt={FIRST}/b.json", [{"id": "b", "seq": 1, "at": f"{FIRST}T12:00:00Z"}])
    lake.sync(contract)
    gone.unlink()
    ingested, _ = lake.sync(contract)
    assert ingested.vanished == (f"dt={FIRST}/b.json",)
    lake.put(keep.relative_to(lake.landing / lake.name).as_posix(), [{"id": "a", "seq": 2, "at": f"{FIRST}T12:00:00Z"}], millis=1_800_000_000_000)
    lake.sync(contract)
    assert lake.rows(contract.silver, "id", "seq") == [("a", 2), ("b", 1)]


def test_a_rebuild_that_would_lose_records_is_refused_unless_forced(lake: Lake) -> None:
    contract = lake.events()
    for name in ("a", "b"):
        file = lake.put(f"dt={FIRST}/{name}.json", [{"id": name, "seq": 1, "at": f"{FIRST}T12:00:00Z"}])
    lake.sync(contract)
    file.unlink()
    with pytest.raises(Exception, match="no longer has") as caught:
        rebuild_bronze(lake.spark, contract, [FIRST], "test")
    assert "--force" in str(caught.value)
    assert len(lake.rows(contract.bronze, "_payload")) == 2
    rebuild_bronze(lake.spark, contract, [FIRST], "test", force=True)
    lake.sync(contract)
    assert lake.rows(contract.silver, "id") == [("a",)]


def test_of_two_runs_planned_from_one_state_one_commits_and_nothing_is_doubled(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    contract = lake.events()
    lake.put(f"dt={FIRST}/a.json", [{"id": "a", "seq": 1, "at": f"{FIRST}T12:00:00Z"}])
    lake.sync(contract)
    lake.put(f"dt={FIRST}/b.json", [{"id": "b", "seq": 1, "at": f"{FIRST}T12:00:00Z"}])
    from lakehouse.bronze import ingest as module

    original, raced = module._write, []

    def rival_first(*args: object) -> int:
        if not raced:
            raced.append(True)
            ingest(lake.spark, contract, "rival", full=True)
        return original(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "_write", rival_first)
    ingest(lake.spark, contract, "loser", full=True)
    assert raced
    check(lake, contract)


def test_a_run_that_commits_between_two_portions_of_another_doubles_nothing(lake: Lake) -> None:
    contract = lake.events()
    contract = replace(contract, source=replace(contract.source, max_files=1))
    for name in ("a", "b", "c"):
        lake.put(f"dt={FIRST}/{name}.json", [{"id": name, "seq": 1, "at": f"{FIRST}T12:00:00Z"}])
    rivals: list[str] = []

    def rival(_: str) -> None:
        if not rivals:
            rivals.append("rival")
            ingest(lake.spark, contract, "rival", full=True)

    ingest(lake.spark, contract, "loser", full=True, progress=rival)
    assert rivals
    assert len(lake.rows(contract.bronze, "_source")) == 3
    check(lake, contract)


def test_a_rule_that_must_fail_the_run_writes_nothing_and_says_so(lake: Lake) -> None:
    from tests.spark.conftest import rule

    contract = lake.events(rules=(rule("small", "value < 50", "fail"),))
    lake.put(f"dt={FIRST}/a.json", [{"id": "a", "seq": 1, "at": f"{FIRST}T12:00:00Z", "value": 60}])
    ingest(lake.spark, contract, "test")
    with pytest.raises(Exception, match='"small"') as caught:
        build.increment(lake.spark, contract, "test")
    assert "unchanged" in str(caught.value) and "lakehouse contract show" in str(caught.value)
    assert lake.count(contract.silver) == 0


def test_rows_that_warn_stay_and_rows_that_drop_leave_their_content(lake: Lake) -> None:
    from tests.spark.conftest import rule

    contract = lake.events(rules=(rule("warned", "value < 50", "warn"), rule("dropped", "value <> 7", "drop")))
    lake.put(f"dt={FIRST}/a.json", [{"id": str(v), "seq": 1, "at": f"{FIRST}T12:00:00Z", "value": v} for v in (7, 60, 1)])
    _, built = lake.sync(contract)
    assert lake.rows(contract.silver, "id") == [("1",), ("60",)]
    assert lake.rows(contract.quarantine, "_payload", "_disposition", "_reasons") == [(None, "dropped", ["dropped"])]
    assert built.by_rule == {"warned": 1, "dropped": 1}


def test_files_that_were_vacuumed_away_unread_cost_neither_table_a_record(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    contract = lake.events()

    def put(name: str, day: date) -> None:
        lines = [{"id": f"{name}{n}", "seq": 1, "at": f"{day}T10:00:00Z", "value": value} for n, value in enumerate((1.0, 1000.0))]
        lake.put(f"dt={day}/{name}.json", lines)

    def killed(*_: Any) -> None:
        raise RuntimeError("killed")

    put("a", date(2026, 1, 5))
    lake.sync(contract)
    put("b", date(2026, 1, 6))
    ingest(lake.spark, contract, "two")
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="killed"):
        patch.setattr(build, "_write_quarantine", killed)
        build.increment(lake.spark, contract, "two")
    for name in ("c", "d"):
        put(name, date(2026, 1, 7))
        ingest(lake.spark, contract, name)
    lake.spark.sql(f"OPTIMIZE {contract.bronze.sql}").collect()
    lake.spark.conf.set("spark.databricks.delta.retentionDurationCheck.enabled", "false")
    lake.spark.sql(f"VACUUM {contract.bronze.sql} RETAIN 0 HOURS").collect()
    build.increment(lake.spark, contract, "three")
    assert lake.rows(contract.silver, "id") == [("a0",), ("b0",), ("c0",), ("d0",)]
    assert [json.loads(r[0])["id"] for r in lake.rows(contract.quarantine, "_payload")] == ["a1", "b1", "c1", "d1"]
