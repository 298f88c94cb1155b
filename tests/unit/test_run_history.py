"""Of many increments only the newest are remembered, and nothing that Dagster says of partitions or checks changes."""

import sqlite3
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from lakehouse.run_history import forget_runs
from lakehouse.runs import INCREMENTAL, MODE

DAYS = dg.DailyPartitionsDefinition("2026-03-01")
TABLE, ENTITY = dg.AssetKey(["silver", "table"]), dg.AssetKey(["silver", "entity"])


@dg.asset(key=TABLE, partitions_def=DAYS, check_specs=[dg.AssetCheckSpec("keys", asset=TABLE)])
def table(context: dg.AssetExecutionContext):  # type: ignore[no-untyped-def]  # noqa: ANN201 - Dagster reads the annotation, and wants none of two outputs
    if context.run.tags.get("broken"):
        raise ValueError
    context.log_event(dg.AssetMaterialization(TABLE, partition="2026-03-09", metadata={"late": 1})) if context.run.tags.get("late") else None
    return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=True, check_name="keys")])


@dg.asset(key=ENTITY)
def entity() -> None:
    return None


@pytest.fixture
def instance(tmp_path: Path) -> dg.DagsterInstance:
    return dg.DagsterInstance.local_temp(str(tmp_path))


def run(instance: dg.DagsterInstance, day: str | None, **tags: str) -> str:
    asset = table if day else entity
    every = {MODE: INCREMENTAL, **tags}
    return dg.materialize([asset], instance=instance, partition_key=day, tags={k: v for k, v in every.items() if v}, raise_on_error=False).run_id


def seen(instance: dg.DagsterInstance) -> dict[str, Any]:
    """What the UI says of the assets: of each partition its last event, the partitions, the check."""
    last = {
        day: instance.fetch_materializations(dg.AssetRecordsFilter(TABLE, asset_partitions=[day]), limit=1).records[0].run_id
        for day in instance.get_materialized_partitions(TABLE)
    }
    check = instance.event_log_storage.get_asset_check_execution_history(dg.AssetCheckKey(TABLE, "keys"), limit=1)[0]
    entity_event = instance.get_latest_materialization_event(ENTITY)
    return {"partitions": last, "check": (check.run_id, check.status), "entity": entity_event.run_id if entity_event else None}


def test_what_was_superseded_is_forgotten_and_everything_else_is_as_before(instance: dg.DagsterInstance) -> None:
    only_late = run(instance, "2026-03-01", late="yes")  # the last word on a day that it was not asked for
    person = run(instance, "2026-03-01", **{MODE: ""})
    superseded = [run(instance, "2026-03-01") for _ in range(3)]
    holds_entity = run(instance, None)
    failed = [run(instance, "2026-03-01", broken="yes") for _ in range(3)]
    holds_first = run(instance, "2026-03-01")
    newest = [run(instance, "2026-03-02") for _ in range(4)]
    before = seen(instance)
    assert before["partitions"] == {"2026-03-01": holds_first, "2026-03-02": newest[-1], "2026-03-09": only_late}

    assert forget_runs(instance, kept=2) == len(superseded) + 1 + 2  # of `failed` the oldest, of `newest` the first two

    assert seen(instance) == before
    left = {r.run_id for r in instance.get_runs()}
    assert left == {only_late, person, holds_entity, *failed[1:], holds_first, *newest[2:]}
    with sqlite3.connect(Path(instance.root_directory, "history", "runs", "index.db")) as index:
        assert {run for (run,) in index.execute("select distinct run_id from asset_check_executions")} <= left
    shards = {f.name.split(".")[0] for f in Path(instance.root_directory, "history", "runs").iterdir()} - {"index"}
    assert shards == left
    assert not any(Path(instance.root_directory, "storage", gone).exists() for gone in superseded)
    assert forget_runs(instance, kept=2) == 0


def test_few_runs_are_all_kept(instance: dg.DagsterInstance) -> None:
    for _ in range(3):
        run(instance, "2026-03-01")
    assert forget_runs(instance) == 0
    assert len(instance.get_runs()) == 3
