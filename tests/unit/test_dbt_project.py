"""The dbt project keeps its own rules: grain, contracts, exact money, no personal data, only the days of the run. Read from its manifest, without Spark."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lakehouse.contracts.loader import load_contracts
from lakehouse.contracts.model import Contract

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ROOT / "dbt_project"
MONEY = ("revenue", "discount", "cost", "margin", "price")


Nodes = dict[str, dict[str, Any]]
Contracts = dict[str, Contract]
Parsed = tuple[str, dict[str, Any]]


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> Parsed:
    """What `dbt parse` says with every warning an error, and the manifest it writes. No engine is there."""
    target = tmp_path_factory.mktemp("target")
    return dbt(PROJECT, target, "--warn-error", "parse", "--show-all-deprecations"), json.loads((target / "manifest.json").read_text("utf-8"))


def dbt(project: Path, target: Path, *arguments: str, **variables: str) -> str:
    env = {**os.environ, "DBT_TARGET_PATH": str(target), "DBT_LOG_PATH": str(target), "DBT_PROJECT_DIR": str(project), "DBT_PROFILES_DIR": str(project)}
    command = [str(Path(sys.executable).with_name("dbt")), "--no-use-colors", *arguments]
    done = subprocess.run(command, env=env | variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def models(parsed: Parsed) -> Nodes:
    return {n["name"]: n for n in parsed[1]["nodes"].values() if n["resource_type"] == "model"}


@pytest.fixture(scope="module")
def marts(models: Nodes) -> Nodes:
    return {name: m for name, m in models.items() if m["schema"] == "gold"}


@pytest.fixture(scope="module")
def contracts() -> Contracts:
    return load_contracts(ROOT / "contracts")


def test_dbt_parses_the_project_with_no_warning_and_no_deprecation(parsed: Parsed) -> None:
    assert "warning" not in parsed[0].lower()
    assert "deprecat" not in parsed[0].lower()


def test_every_silver_table_has_exactly_one_staging_view(models: Nodes, contracts: Contracts) -> None:
    staged = {m["sources"][0][1]: (name, m["config"]["materialized"], m["schema"]) for name, m in models.items() if m["sources"]}
    assert staged == {table: (f"stg_{table}", "view", "staging") for table in contracts}


def test_only_staging_reads_silver(models: Nodes) -> None:
    assert [name for name, m in models.items() if m["sources"] and not name.startswith("stg_")] == []


def test_gold_has_facts_and_dimensions_in_the_schema_gold_and_nowhere_else(models: Nodes) -> None:
    assert {m["schema"] for m in models.values()} == {"staging", "gold"}
    assert {name for name, m in models.items() if m["schema"] == "gold"} == {
        "dim_customer",
        "dim_machine",
        "dim_product",
        "fct_late_orders_daily",
        "fct_machine_health_5min",
        "fct_machine_health_hourly",
        "fct_production_daily",
        "fct_sales_by_segment_daily",
        "fct_sales_daily",
        "fct_sales_vs_production_daily",
        "fct_web_sessions",
        "fct_web_sessions_daily",
    }


def test_facts_replace_their_days_and_dimensions_are_made_anew(marts: Nodes) -> None:
    for name, mart in marts.items():
        config = mart["config"]
        built = (config["materialized"], config.get("partition_by"), config["file_format"], config["contract"]["enforced"])
        assert built == (("incremental", "date_day", "delta", True) if name.startswith("fct_") else ("table", None, "delta", True)), name
        if name.startswith("fct_"):
            assert (config["incremental_strategy"], config["on_schema_change"]) == ("replace_where", "fail"), name


def test_everything_that_feeds_a_fact_by_day_is_filtered_by_the_days_of_the_run(models: Nodes, contracts: Contracts) -> None:
    daily = {f"stg_{c.name}" for c in contracts.values() if c.event_date} | {n for n, m in models.items() if m["config"]["materialized"] == "incremental"}
    for name, model in models.items():
        reads = [ref["name"] for ref in model["refs"] if ref["name"] in daily]
        around = bool(model["config"]["meta"].get("reads_days"))
        # Who reads neighbours too keeps only its own days of what they make.
        wanted = (len(reads), 1) if around else (0, len(reads))
        assert tuple(model["raw_code"].count(f"{{{{ {macro}('date_day') }}}}") for macro in ("in_dates_around", "in_dates")) == wanted, f"{name} reads {reads}"


def test_every_model_and_column_is_described_and_says_its_grain(models: Nodes) -> None:
    for name, model in models.items():
        assert "One row per" in model["description"], name
        assert model["columns"], name
        for column in model["columns"].values():
            assert column["description"].endswith("."), f"{name}.{column['name']}"
            assert column["data_type"], f"{name}.{column['name']}"


def test_the_grain_of_every_mart_is_tested(parsed: Parsed, marts: Nodes) -> None:
    tests = [n for n in parsed[1]["nodes"].values() if n["resource_type"] == "test" and (n.get("test_metadata") or {}).get("name") == "unique_combination"]
    assert {parsed[1]["nodes"][t["attached_node"]]["name"] for t in tests} == set(marts)
    assert {t["config"]["severity"].lower() for t in tests} == {"error"}


def test_money_is_decimal_in_every_model(models: Nodes) -> None:
    money = {f"{n}.{c['name']}": c["data_type"] for n, m in models.items() for c in m["columns"].values() if any(word in c["name"] for word in MONEY)}
    assert len(money) > 10
    assert {name: type_ for name, type_ in money.items() if not type_.startswith("decimal(")} == {}


def test_no_personal_data_and_no_technical_column_leaves_silver(models: Nodes, contracts: Contracts) -> None:
    for table, contract in contracts.items():
        staged = models[f"stg_{table}"]
        personal = [c.name for c in contract.columns if c.masking or "pii" in c.tags]
        words = set(staged["raw_code"].replace(",", " ").split())
        assert words & set(personal) == set(), table
        assert [c for c in staged["columns"] if c.startswith("_")] == [], table


def test_every_model_has_its_yml_beside_it_and_nothing_else_is_there() -> None:
    files = {f.relative_to(PROJECT / "models") for f in (PROJECT / "models").rglob("*") if f.is_file()}
    shared = {Path("groups.yml"), Path("exposures.yml"), Path("staging/_sources.yml")}
    sql = {f for f in files if f.suffix == ".sql"}
    assert files == sql | {f.with_suffix(".yml") for f in sql} | shared


def test_groups_and_owners_are_those_of_the_contracts(parsed: Parsed, marts: Nodes, contracts: Contracts) -> None:
    owners: dict[str, set[str]] = {}
    for contract in contracts.values():
        owners.setdefault(contract.domain, set()).update(contract.owners)
    groups = {g["name"]: g["owner"]["email"] for g in parsed[1]["groups"].values()}
    assert groups.keys() == owners.keys()
    assert {name: email for name, email in groups.items() if email not in owners[name]} == {}
    assert {m["group"] for m in marts.values()} == set(groups)


def test_every_mart_is_on_a_dashboard_to_be_and_dashboards_read_marts_only(parsed: Parsed, marts: Nodes) -> None:
    exposures = parsed[1]["exposures"].values()
    read = {parsed[1]["nodes"][i]["name"] for e in exposures for i in e["depends_on"]["nodes"]}
    assert {e["name"] for e in exposures} == {"factory_health", "sales_cockpit", "web_conversion"}
    assert read == set(marts)


def test_the_logic_that_matters_has_unit_tests(parsed: Parsed) -> None:
    tested = {t["model"] for t in parsed[1]["unit_tests"].values()}
    assert tested >= {"fct_sales_daily", "int_orders", "fct_web_sessions", "fct_machine_health_hourly", "fct_production_daily"}


def test_a_model_may_read_days_on_one_side_only(tmp_path: Path) -> None:
    project, target = tmp_path / "dbt_project", tmp_path / "target"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("target", "logs", "models"))
    (project / "models").mkdir()
    for side in ("before", "after"):
        text = "{{ config(meta={'reads_days': {'%s': 1}}) }} select 1 as n where {{ in_dates_around('day') }}"
        (project / f"models/{side}.sql").write_text(text % side, "utf-8")
    dbt(project, target, "compile", "--no-introspect", "--no-populate-cache", DBT_LAKEHOUSE_DATES='["2026-11-02"]')
    read = {f.stem: f.read_text("utf-8").partition("where ")[2] for f in target.rglob("compiled/**/models/*.sql")}
    assert read == {
        "before": "day in (date '2026-11-01', date '2026-11-02')",
        "after": "day in (date '2026-11-02', date '2026-11-03')",
    }
