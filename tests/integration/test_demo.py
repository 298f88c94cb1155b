"""The example business through the command line and Dagster, held against the generator's truth (P1 to P4), then grown, repeated and rebuilt."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date, timedelta

import dagster as dg
import pytest

from tests.demo_truth import check_conservation, check_gold, check_tables, truth
from tests.integration.conftest import ROOT, Lake

DAYS = 3
TABLES = ("customer", "machine", "product", "production_run", "sales_order_line", "sensor_reading", "web_click")


@pytest.fixture(scope="module")
def demo(lake: Lake) -> Lake:
    lake.run("demo", "--days", str(DAYS), "--scale", "0.4")
    return lake


@pytest.mark.timeout(1800)  # a slow machine with a cold engine builds everything here
def test_the_first_build_is_what_the_generator_says(demo: Lake) -> None:
    check_tables(demo)
    check_gold(demo)


def test_every_bronze_day_is_accounted_for_in_the_tables_alone(demo: Lake) -> None:
    check_conservation(demo)


def test_a_repeated_sync_does_nothing(demo: Lake) -> None:
    versions = {t: _version(demo, f"silver/{t}") for t in TABLES}
    assert "othing" in demo.run("sync").stdout
    assert {t: _version(demo, f"silver/{t}") for t in TABLES} == versions


def _version(lake: Lake, table: str) -> int:
    return len(list((lake.home / "warehouse" / table / "_delta_log").glob("*.json")))


def test_more_days_come_in_as_increments_and_the_result_is_the_same(demo: Lake) -> None:
    first = truth(demo)["first_day"]
    last = date.fromisoformat(first) + timedelta(days=DAYS)
    command = [sys.executable, "-m", "demo", "--target", str(demo.landing), "--days", str(DAYS + 1), "--scale", "0.4", "--last-day", str(last)]
    subprocess.run(command, check=True, cwd=ROOT, env=demo.env, capture_output=True)
    demo.run("sync", check=False)
    check_tables(demo)
    check_gold(demo)


def test_rebuilding_a_day_changes_nothing(demo: Lake) -> None:
    day = truth(demo)["first_day"]
    demo.run("materialize", "bronze/sensor_reading+", "--partition", day, check=False)
    demo.run("materialize", "silver/product", check=False)
    demo.run("sync")  # marts by day look at what was written anew, once
    assert "Nothing is new" in demo.run("sync").stdout
    check_tables(demo)
    check_gold(demo)


def test_every_materialization_so_far_says_what_its_columns_are_made_of(demo: Lake) -> None:
    """The first build, increments and rebuilds, days that a run reported beyond its own, MERGE and replaced days."""
    made: dict[str, list[set[str]]] = {}
    with dg.DagsterInstance.from_config(str(demo.home / "dagster")) as instance:
        for key in instance.all_asset_keys():
            records = instance.fetch_materializations(key, limit=1000).records
            made[key.to_user_string()] = [set(r.asset_materialization.metadata) for r in records if r.asset_materialization]
    told = {name: events for name, events in made.items() if name.startswith(("silver/", "staging/", "gold/"))}
    assert len(told) == 7 + 7 + 12
    assert {name for name, events in told.items() if not all("dagster/column_lineage" in metadata for metadata in events)} == set()
    assert all("partition_row_count" in metadata for metadata in made["gold/fct_sales_daily"])
    assert any("dagster/row_count" in metadata for metadata in made["gold/fct_sales_daily"])


def test_status_and_queries_answer_as_scripts_read_them(demo: Lake) -> None:
    rows = json.loads(demo.run("query", "select count(*) as n from silver.product", "--format", "json").stdout)
    assert rows == [{"n": truth(demo)["tables"]["product"]["accepted"]}]
    refused = demo.run("query", "delete from silver.product", check=False)
    assert refused.returncode == 1 and "Nothing was sent to the engine" in refused.stdout + refused.stderr
    status = demo.run("status", "--json").stdout
    assert "silver" in status and json.loads(status)
