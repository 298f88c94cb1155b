"""A backfill in parts: requested as Dagster's own records, looked at as one, with what it left; on a real Dagster instance, without a daemon."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.asset_graph_subset import AssetGraphSubset
from dagster._core.execution.backfill import BulkActionStatus

from lakehouse.cli import backfill_group
from lakehouse.cli.undone import Todo
from lakehouse.errors import LakehouseError

DAYS = [f"2026-11-0{n}" for n in range(1, 8)]
KEY, WHOLE, OTHER = dg.AssetKey(["silver", "a"]), dg.AssetKey(["silver", "entity"]), dg.AssetKey(["silver", "other"])


@pytest.fixture(scope="module")
def graph() -> dg.AssetGraph:
    @dg.asset(key=KEY, partitions_def=dg.DailyPartitionsDefinition("2026-11-01", end_offset=1))
    def a() -> None: ...

    @dg.asset(key=WHOLE)
    def entity() -> None: ...

    @dg.asset(key=OTHER)
    def other() -> None: ...

    return dg.Definitions(assets=[a, entity, other]).resolve_asset_graph()


@pytest.fixture
def instance(graph: dg.AssetGraph) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        backfill_group.request(found, graph, "abc", Todo({KEY: frozenset(DAYS)}, (WHOLE, OTHER)).portions(3), {"lakehouse/force": "true"})
        yield found


def test_its_parts_share_a_name_and_go_oldest_first_after_what_sensors_ask_for(instance: dg.DagsterInstance) -> None:
    (group,) = backfill_group.groups(instance)
    assert (group.name, [p.backfill_id for p in group.parts]) == ("abc", ["1-abc", "2-abc", "3-abc"])
    assert [(p.tags or {})["dagster/priority"] for p in group.parts] == ["-1", "-2", "-3"]
    assert all((p.tags or {})["lakehouse/force"] == "true" for p in group.parts)
    assert (group.title, group.parts[1].title) == ("2026-11-01 to 2026-11-07", "2026-11-01 to 2026-11-07 (part 2 of 3: 2026-11-04 to 2026-11-06)")


def test_it_is_looked_at_as_one_and_cancelled_as_one_and_left_is_what_was_not_built(instance: dg.DagsterInstance, graph: dg.AssetGraph) -> None:
    group = backfill_group.find(instance, "abc")
    found = group.progress(instance, graph)
    assert (found.status, found.done, found.total, found.over) == ("REQUESTED", 0, len(DAYS) + 2, False)
    group.cancel(instance)
    assert {p.status for p in backfill_group.find(instance, "abc").parts} == {BulkActionStatus.CANCELING}
    assert backfill_group.find(instance, "abc").left(graph) == Todo({KEY: frozenset(DAYS)}, (WHOLE, OTHER))


def test_what_was_built_is_counted_with_tables_without_days_and_without_days_that_nobody_asked_for(instance: dg.DagsterInstance, graph: dg.AssetGraph) -> None:
    first, *others = backfill_group.find(instance, "abc").parts
    days = graph.get(KEY).partitions_def
    assert days is not None
    asked = first.get_asset_backfill_data(graph)
    more = AssetGraphSubset({KEY: days.subset_with_partition_keys([*DAYS[:3], "2026-11-09"])}, {WHOLE, OTHER})
    assert {WHOLE, OTHER} <= asked.target_subset.non_partitioned_asset_keys
    built = asked._replace(materialized_subset=more)
    instance.update_backfill(first.with_asset_backfill_data(built, dynamic_partitions_store=instance, asset_graph=graph))
    found = backfill_group.find(instance, "abc").progress(instance, graph)
    assert (found.done, found.total) == (3 + 2, len(DAYS) + 2)


def test_it_is_over_when_every_part_is_and_then_there_is_nothing_to_cancel(instance: dg.DagsterInstance, graph: dg.AssetGraph) -> None:
    first, *others = backfill_group.find(instance, "abc").parts
    for part in others:
        instance.update_backfill(part.with_status(BulkActionStatus.COMPLETED_SUCCESS))
    assert not backfill_group.find(instance, "abc").progress(instance, graph).over
    instance.update_backfill(first.with_status(BulkActionStatus.CANCELED))
    found = backfill_group.find(instance, "abc")
    assert (found.progress(instance, graph).status, found.progress(instance, graph).good) == ("CANCELED", False)
    with pytest.raises(LakehouseError, match="that is going"):
        found.cancel(instance)
    with pytest.raises(LakehouseError, match="There is no backfill 'xyz'"):
        backfill_group.find(instance, "xyz")
