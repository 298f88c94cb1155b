"""`lakehouse lineage`: what it takes for a name, and what it prints."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from lakehouse.cli.lineage import app
from lakehouse.errors import ContractError


def said(*words: str) -> str:
    done = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def test_up_goes_to_the_fields_of_the_sources_and_says_what_decides_on_rows() -> None:
    assert said("dim_customer.segment", "--up").splitlines() == [
        "gold.dim_customer.segment is made of",
        "├── staging.stg_customer.segment",
        "│   └── silver.customer.segment",
        "│       └── bronze.customer._payload.segment",
        "│           └── segment in json files master/customer",
        "└── which rows gold.dim_customer has is decided by",
        "    ├── staging.stg_customer (its rows)",
        "    ├── staging.stg_customer.is_current",
        "    └── staging.stg_customer.is_deleted",
    ]


def test_down_goes_to_marts_and_exposures() -> None:
    assert said("silver.sales_order_line.status", "--down").splitlines() == [
        "silver.sales_order_line.status goes into",
        "├── staging.stg_sales_order_line.status",
        "│   ├── gold.fct_late_orders_daily (its rows)",
        "│   ├── gold.fct_sales_by_segment_daily (its rows)",
        "│   └── gold.fct_sales_daily (its rows)",
        "│       └── gold.fct_sales_vs_production_daily (its rows)",
        "└── exposures: sales_cockpit",
    ]


def test_a_table_shows_all_its_columns_both_ways() -> None:
    lines = said("silver/machine").splitlines()
    assert [line for line in lines if line.startswith("silver.machine")] == ["silver.machine is made of", "silver.machine goes into"]
    assert "├── temperature_max" in lines


@pytest.mark.parametrize("name", ["silver.machine.line", "silver/machine.line", "machine.line", "silver.machine.LINE"])
def test_a_column_has_several_names(name: str) -> None:
    assert said(name, "--up").startswith("silver.machine.line is made of")


def test_a_field_of_the_raw_record_is_a_column_too() -> None:
    assert "gold.dim_customer.segment" in said("bronze.customer._payload.segment", "--down")


def test_json_has_the_edges_that_lead_there() -> None:
    found = json.loads(said("fct_sales_vs_production_daily.units_produced", "--up", "--json"))
    assert found["columns"] == [{"table": "gold.fct_sales_vs_production_daily", "column": "units_produced"}]
    sources = {f"{e['from']['table']}.{e['from']['column']}" for e in found["made_of"]}
    assert {"gold.fct_production_daily.good_units", "silver.production_run.scrap_units"} <= sources
    assert "goes_into" not in found


@pytest.mark.parametrize(("name", "meant"), [("silver.machin.line", "silver.machine"), ("machine.lin", "'line'"), ("nonsense", "There are: gold.dim_")])
def test_a_name_that_is_none_is_answered_with_what_there_is(name: str, meant: str) -> None:
    with pytest.raises(ContractError, match="There is no table|has no column") as raised:
        CliRunner().invoke(app, [name], catch_exceptions=False)
    assert meant in str(raised.value)
