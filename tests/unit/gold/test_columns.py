"""The lineage of the example's marts, some of it written out by hand from their SQL; and what a column of Silver ends in."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lakehouse.contracts.loader import load_contracts
from lakehouse.gold.columns import GoldColumns, gold_columns
from lakehouse.gold.project import compiled_path, manifest_path, models, served
from lakehouse.lineage import ROWS, Ref
from lakehouse.settings import PROJECT, settings

CONTRACTS = load_contracts(PROJECT / "contracts")

# What values are made of, in Silver. Of what counts rows, `*`.
EXPECTED = {
    # a name, renamed and computed in the view below
    "gold.dim_product.product_name": "product.name",
    "gold.dim_product.list_margin": "product.list_price product.unit_cost",
    # two ephemeral models, joins as of a moment (what joins decides which rows, not what they hold), sums, ratios
    "gold.fct_sales_daily.date_day": "sales_order_line.order_date",
    "gold.fct_sales_daily.product_id": "sales_order_line.product_id",
    "gold.fct_sales_daily.order_lines": "sales_order_line.* product.* customer.*",
    "gold.fct_sales_daily.orders": "sales_order_line.order_id",
    "gold.fct_sales_daily.unlisted_lines": "product.product_id",
    "gold.fct_sales_daily.list_revenue": "sales_order_line.quantity product.list_price",
    "gold.fct_sales_daily.margin_rate": "sales_order_line.quantity sales_order_line.unit_price sales_order_line.unit_cost sales_order_line.discount",
    "gold.fct_sales_by_segment_daily.segment": "customer.segment",
    "gold.fct_late_orders_daily.late_orders": "sales_order_line.shipped_at sales_order_line.promised_date",
    "gold.fct_late_orders_daily.late_order_rate": "sales_order_line.shipped_at sales_order_line.promised_date sales_order_line.*",
    # marts above marts
    "gold.fct_sales_vs_production_daily.product_id": "sales_order_line.product_id production_run.product_id",
    "gold.fct_sales_vs_production_daily.stock_change": "sales_order_line.quantity production_run.produced_units production_run.scrap_units",
    # windows over windows, cut by rules
    "gold.fct_web_sessions.started_at": "web_click.event_time",
    "gold.fct_web_sessions.is_converted": "web_click.action",
    "gold.fct_web_sessions_daily.visitors": "web_click.visitor_id",
    "gold.fct_web_sessions_daily.session_seconds": "web_click.event_time",
    # a window of time, `select <table>.*`, branches by the metric, `select *` with a column more
    "gold.fct_machine_health_5min.window_start": "sensor_reading.event_time",
    "gold.fct_machine_health_5min.mean_value": "sensor_reading.value",
    "gold.fct_machine_health_5min.lower_limit": "sensor_reading.metric machine.pressure_min",
    "gold.fct_machine_health_hourly.is_anomaly": (
        "sensor_reading.value sensor_reading.metric machine.pressure_min machine.pressure_max machine.temperature_max machine.vibration_max"
    ),
}


@pytest.fixture(scope="module")
def gold() -> GoldColumns:
    return gold_columns(CONTRACTS)


def values(gold: GoldColumns, ref: Ref) -> set[str]:
    """The Silver columns that a column's values are made of, at whatever distance."""
    sources: set[str] = set()
    for source in gold.lineage.made_of[ref]:
        inner = values(gold, source) if source in gold.lineage.made_of and source.column != ROWS else {str(source)}
        sources |= {str(s).replace("staging.stg_", "silver.") for s in inner}
    return sources


@pytest.mark.parametrize("column", EXPECTED)
def test_columns_of_the_example_are_made_of_what_their_sql_says(gold: GoldColumns, column: str) -> None:
    table, _, name = column.rpartition(".")
    assert values(gold, Ref(table, name)) == {f"silver.{c}" for c in EXPECTED[column].split()}


def test_which_rows_a_mart_has_is_decided_by_what_filters_joins_and_groups(gold: GoldColumns) -> None:
    lines, products, customers = "staging.stg_sales_order_line", "staging.stg_product", "staging.stg_customer"
    valid = ("*", "valid_from", "valid_to", "is_deleted")
    assert gold.lineage.made_of[Ref("gold.fct_sales_daily", ROWS)] == {
        *(Ref(lines, c) for c in ("*", "status", "ordered_at", "product_id", "customer_id", "date_day")),
        *(Ref(products, c) for c in (*valid, "product_id")),
        *(Ref(customers, c) for c in (*valid, "customer_id")),
    }
    assert gold.lineage.made_of[Ref("gold.dim_customer", ROWS)] == {Ref(customers, c) for c in ("*", "is_current", "is_deleted")}


def test_every_column_that_a_mart_promises_is_made_of_something(gold: GoldColumns) -> None:
    """Silver's columns or rows, at whatever distance: no mart of the example has a constant column."""
    assert gold.unreadable == {}
    manifest = manifest_path()
    for model in models(manifest, manifest.stat().st_mtime):
        for column in gold.lineage.columns[f"{model.schema}.{model.name}"]:
            sources = gold.lineage.sources_of([Ref(f"{model.schema}.{model.name}", column)])
            assert {s for s in sources if s.table.startswith("silver.")}, f"{model.name}.{column}"


def test_the_columns_are_those_that_the_models_declare(gold: GoldColumns) -> None:
    nodes = json.loads(manifest_path().read_text())["nodes"].values()
    declared = {
        f"{n['schema']}.{n['name']}": tuple(n["columns"]) for n in nodes if n["resource_type"] == "model" and n["config"]["materialized"] != "ephemeral"
    }
    assert gold.lineage.columns == declared


def test_a_column_of_silver_ends_in_columns_in_rows_and_on_dashboards(gold: GoldColumns) -> None:
    found = gold.touched([Ref("silver.customer", "segment")])
    assert found.marts == {"gold.dim_customer": ("segment",), "gold.fct_sales_by_segment_daily": ("*", "segment")}
    assert found.exposures == ("sales_cockpit",)


def test_a_filter_touches_the_rows_of_all_marts_above(gold: GoldColumns) -> None:
    found = gold.touched([Ref("silver.sales_order_line", "status")])
    assert set(found.marts) == {f"gold.fct_{m}_daily" for m in ("late_orders", "sales", "sales_by_segment", "sales_vs_production")}
    assert set(found.marts.values()) == {("*",)}


def test_rows_of_silver_touch_what_counts_them(gold: GoldColumns) -> None:
    assert gold.touched([Ref("silver.production_run", "*")]).marts["gold.fct_production_daily"] == ("*", "runs")


def test_a_column_that_nothing_reads_touches_nothing(gold: GoldColumns) -> None:
    found = gold.touched([Ref("silver.customer", "email"), Ref("silver.sensor_reading", "firmware")])
    assert (found.marts, found.exposures) == ({}, ())


@pytest.fixture
def compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """What dbt compiled, in a project of its own that a test may change."""
    copy = tmp_path / "target" / "compiled.json"
    copy.parent.mkdir()
    shutil.copyfile(compiled_path(), copy)
    monkeypatch.setenv("LAKEHOUSE_DBT_PROJECT", str(tmp_path))
    settings.cache_clear()
    yield copy
    settings.cache_clear()


def test_a_table_of_the_same_name_in_another_domain_is_another_table() -> None:
    manifest = manifest_path()
    every = models(manifest, manifest.stat().st_mtime)
    customer = CONTRACTS["customer"]
    assert {m.name for m in served(every, {"customer": customer})} >= {"dim_customer"}
    assert served(every, {"customer": replace(customer, domain="elsewhere")}) == ()


def test_sql_that_can_not_be_followed_counts_as_made_of_everything_and_is_named(compiled: Path) -> None:
    compiled.write_text(compiled.read_text().replace("select * from staging.stg_machine", "select * from staging.stg_machine natural join values (1)"))
    found = gold_columns(CONTRACTS)
    assert "gold.dim_machine" in found.unreadable
    touched = found.touched([Ref("silver.machine", "installed_on")]).marts
    assert touched["gold.dim_machine"] == tuple(sorted(("*", *found.lineage.columns["gold.dim_machine"])))
    assert len(touched["gold.dim_machine"]) == 1 + 9
