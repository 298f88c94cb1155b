"""What of a table's upkeep is worth doing, told by the logs of real Delta tables (written by delta-rs, which needs no Spark)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, write_deltalake

from lakehouse.contracts.loader import load_contracts
from lakehouse.contracts.model import Maintenance, Upkeep
from lakehouse.engine import metadata
from lakehouse.engine.metadata import Note
from lakehouse.maintenance.plan import Kept, Plan, crowded, kept_tables, plan
from lakehouse.settings import PROJECT, settings
from lakehouse.tables import Table

pytestmark = pytest.mark.usefixtures("home")

NOW = datetime.now(UTC)
TODAY = NOW.date()
PAST = TODAY - timedelta(days=3)
TABLE, READER = Table("silver", "t"), Table("gold", "m")
POLICY = Upkeep(compact_files=3)


def write(day: date | None, numbers: Sequence[int] = (1, 2), *, table: Table = TABLE, by_day: bool = True, consumed: int | None = None) -> None:
    """One commit of the platform's: one file of one day."""
    told: dict[str, Any] = {}
    if consumed is not None:
        source = metadata.state(TABLE)
        assert source is not None
        told = {"consumed": {str(TABLE): (source.id, consumed)}}
    commit = CommitProperties(custom_metadata={"userMetadata": Note("run", "1.0.0", -1, **told).to_json()})
    rows = pa.table({"day": pa.array([day] * len(numbers), pa.date32()), "n": list(numbers)})
    write_deltalake(location(table), rows, mode="append", partition_by=["day"] if by_day else None, commit_properties=commit)


def location(table: Table) -> str:
    return table.location(settings().warehouse)


def aged(version: int, days: float, table: Table = TABLE) -> None:
    """Make a commit so old."""
    file = Path(location(table)) / "_delta_log" / f"{version:020d}.json"
    actions = [json.loads(line) for line in file.read_text().splitlines()]
    for action in actions:
        if "commitInfo" in action:
            action["commitInfo"]["timestamp"] = int((NOW - timedelta(days=days)).timestamp() * 1000)
    file.write_text("\n".join(json.dumps(a) for a in actions) + "\n")


def planned(policy: Upkeep = POLICY, consumers: tuple[Table, ...] = (), statistics: tuple[str, ...] = ()) -> Plan:
    found = plan(Kept(TABLE, policy, consumers, statistics), NOW)
    assert found is not None
    return found


def test_a_table_that_is_not_there_needs_nothing() -> None:
    assert plan(Kept(TABLE, POLICY), NOW) is None


def test_days_with_many_small_files_are_compacted_and_others_are_not() -> None:
    for day, commits in ((PAST, 3), (PAST - timedelta(days=1), 2), (None, 4)):
        for _ in range(commits):
            write(day)
    found = planned()
    assert set(found.partitions) == {PAST, None}
    assert (found.column, found.files.count) == ("day", 7)
    assert found.files.bytes > 0
    assert planned(replace(POLICY, target_bytes=2)).partitions == ()  # then none of them is small


def test_days_that_are_seldom_written_to_any_more_end_as_one_file() -> None:
    week, older = TODAY - timedelta(days=7), TODAY - timedelta(days=8)
    for day, commits in ((week, 2), (older, 2), (older - timedelta(days=1), 1)):
        for _ in range(commits):
            write(day)
    assert planned().partitions == (older,)
    assert planned(replace(POLICY, target_bytes=2)).partitions == ()  # then none of them is small


def test_today_is_left_to_its_writer_who_tidies_it_once_files_are_very_many() -> None:
    for _ in range(30):
        write(TODAY)
    assert planned().nothing
    tidied = crowded(TABLE, replace(POLICY, order_by=("n",)), {TODAY})
    assert tidied is not None
    assert (tidied.partitions, tidied.files.count, tidied.kept.policy.order_by) == ((TODAY,), 30, ())
    assert crowded(TABLE, POLICY, {PAST}) is None
    assert crowded(TABLE, Upkeep(compact_files=4), {TODAY}) is None


def test_a_table_without_partitions_is_compacted_as_a_whole() -> None:
    for _ in range(3):
        write(PAST, by_day=False)
    found = planned()
    assert (found.column, found.partitions, found.files.count) == (None, (None,), 3)


def test_an_order_is_made_where_a_query_would_read_nearly_all_files_and_not_again() -> None:
    policy = Upkeep(compact_files=100, order_by=("n",))
    for n in range(8):
        write(PAST, [n, 1000 + n])
    assert planned(policy).partitions == (PAST,)
    for n in range(8):
        write(PAST - timedelta(days=1), [10 * n, 10 * n + 5])
    assert planned(policy).partitions == (PAST,)
    assert planned(Upkeep(compact_files=100)).partitions == ()


def test_what_only_older_versions_have_is_removed_once_it_is_old() -> None:
    for _ in range(4):
        write(PAST)
    DeltaTable(location(TABLE)).optimize.compact()
    assert planned().garbage.count == 0
    old = planned(Upkeep(keep_days=0)).garbage
    assert old.count == 4 and old.bytes > 0


def test_nothing_is_removed_while_a_consumer_needs_it_but_not_for_ever() -> None:
    for _ in range(3):
        write(PAST)
    write(None, table=READER, consumed=0)
    DeltaTable(location(TABLE)).optimize.compact()
    policy = Upkeep(compact_files=100, keep_days=0)
    for days, held in ((0.5, True), (20, True), (29.5, True), (31, False)):
        aged(1, days)
        found = planned(policy, (READER,))
        assert (found.garbage.count == 0) is held, days
        assert ("gold.m has not taken in version 1" in found.left) is held
    write(None, table=READER, consumed=2)
    aged(1, 20)
    assert planned(policy, (READER,)).garbage.count == 3


def test_a_consumer_that_will_build_anew_or_was_never_built_holds_up_nothing() -> None:
    for _ in range(3):
        write(PAST)
    DeltaTable(location(TABLE)).optimize.compact()
    policy = Upkeep(compact_files=100, keep_days=0)
    assert planned(policy, (READER,)).garbage.count == 3
    write(None, table=READER)
    assert planned(policy, (READER,)).garbage.count == 3


def test_a_table_at_rest_is_left_alone_before_its_record_of_progress_could_be_cleaned_away() -> None:
    for _ in range(4):
        write(PAST)
    aged(3, 28)
    assert planned().partitions == (PAST,)
    aged(3, 29.5)
    found = planned()
    assert found.nothing and "progress" in found.left
    write(PAST)
    assert planned().partitions == (PAST,)


def test_of_a_stream_s_thousands_of_commits_a_day_the_log_keeps_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lakehouse.maintenance.plan.COMMITS", 3)
    policy = Upkeep(compact_files=100)
    for _ in range(5):
        write(PAST)
    for oldest, kept in ((0.1, "2"), (1.5, "2"), (4.2, "5"), (29.5, None), (400, None)):
        aged(1, oldest)
        assert planned(policy).properties == ({"delta.logRetentionDuration": f"interval {kept} days"} if kept else {}), oldest
    aged(1, 0.1)
    write(None, table=READER, consumed=1)
    aged(2, 6.5)
    assert planned(policy, (READER,)).properties == {"delta.logRetentionDuration": "interval 8 days"}  # it has yet to read version 2
    few = Upkeep(compact_files=100, log_days=8)
    aged(2, 20)
    assert planned(few, (READER,)).properties == {"delta.logRetentionDuration": "interval 8 days"}


def test_a_stream_that_rests_is_left_alone_before_its_shorter_log_could_forget_its_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lakehouse.maintenance.plan.COMMITS", 3)
    for _ in range(5):
        write(PAST)
    DeltaTable(location(TABLE)).alter.set_table_properties({"delta.logRetentionDuration": "interval 2 days"})
    for version in range(5):
        aged(version, 1.2)
    found = planned()
    assert found.nothing and "nothing was written for 1 days" in found.left
    aged(4, 0.5)
    assert planned().partitions == (PAST,)


def test_properties_are_set_where_the_table_has_others() -> None:
    write(PAST)
    assert planned().properties == {}  # these are Delta's own defaults
    longer = planned(Upkeep(keep_days=14), statistics=("n",))
    assert longer.properties == {"delta.deletedFileRetentionDuration": "interval 14 days", "delta.dataSkippingStatsColumns": "n"}
    DeltaTable(location(TABLE)).alter.set_table_properties(dict(longer.properties))
    assert planned(Upkeep(keep_days=14), statistics=("n",)).properties == {}
    assert planned().properties == {"delta.deletedFileRetentionDuration": "interval 7 days"}


def test_every_table_of_a_lake_is_kept_with_its_policy_and_those_who_read_its_versions() -> None:
    contracts = load_contracts(PROJECT / "contracts")
    own = Maintenance(silver=Upkeep(keep_days=14, statistics=("city",), order_by=("segment",)))
    contracts["customer"] = replace(contracts["customer"], maintenance=own)
    kept = {str(k.table): k for k in kept_tables(contracts, [(Table("gold", "dim_customer"), {"customer"}), (Table("gold", "sales"), {"customer", "product"})])}
    assert len(kept) == 3 * len(contracts) + 2
    assert kept["bronze.customer"].consumers == (Table("silver", "customer"), Table("quarantine", "customer"))
    assert kept["silver.customer"].consumers == (Table("gold", "dim_customer"), Table("gold", "sales"))
    assert kept["silver.customer"].policy.keep_days == 14
    assert kept["silver.customer"].statistics == ("customer_id", "changed_at", "lsn", "segment", "city")
    assert kept["silver.product"].statistics == ()
    assert kept["gold.sales"].consumers == ()
