"""What follows from a contract: implied rules, the tables' columns, the dbt sources."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from lakehouse.contracts.dbt_sources import FILE, is_stale, lost, sources_yaml
from lakehouse.contracts.loader import Checked, load_contracts
from lakehouse.contracts.model import Contract
from lakehouse.contracts.rules import implied_names, implied_rules
from lakehouse.contracts.spark_schema import quarantine_ddl, quarantine_fields, silver_ddl, silver_fields

PROJECT = Path(__file__).resolve().parents[3]


@pytest.fixture
def contract(check: Callable[..., Checked], event_text: str) -> Contract:
    found = check(event_text).contract
    assert found is not None
    return found


def test_implied_rules_are_named_by_column_and_kind(contract: Contract) -> None:
    rules = {name: on_fail for name, _, on_fail in implied_rules(contract)}
    assert rules == dict.fromkeys(
        [
            "malformed", "invalid_utf8", "duplicate_field", "field_case", "source_date_out_of_range", "late", "future",
            "reading_id_required", "reading_id_pattern", "reading_id_length", "metric_in_set", "value_type", "value_not_nan", "value_in_range",
            "count_type", "price_type", "event_time_required", "event_time_type", "event_date_required",
        ],
        "quarantine",
    )  # fmt: skip
    assert set(rules) <= implied_names(contract.columns)


def test_implied_rules_follow_the_columns_on_fail_unless_the_row_could_not_be_kept(contract: Contract) -> None:
    columns = tuple(dataclasses.replace(c, on_fail="warn", required=True) if c.name == "value" else c for c in contract.columns)
    rules = {name: on_fail for name, _, on_fail in implied_rules(dataclasses.replace(contract, columns=columns))}
    assert (rules["value_in_range"], rules["value_required"], rules["value_type"]) == ("warn", "warn", "quarantine")


def test_typed_sources_have_no_rules_about_text(contract: Contract) -> None:
    parquet = dataclasses.replace(contract, source=dataclasses.replace(contract.source, format="parquet"))
    assert "malformed" not in {name for name, _, _ in implied_rules(parquet)}


def test_silver_has_the_contracts_columns_then_the_technical_ones(contract: Contract) -> None:
    fields = silver_fields(contract)
    assert [f.name for f in fields] == [
        *[c.name for c in contract.columns], "_source", "_source_position", "_source_time", "_source_date", "_ingested_at", "_record_hash",
    ]  # fmt: skip
    assert [f.name for f in fields if not f.nullable] == ["reading_id", "event_time", "event_date"]
    assert "`metric` string COMMENT 'One of: temperature, vibration.'" in silver_ddl(contract)


def test_quarantine_keeps_the_record_its_reasons_and_its_origin(contract: Contract) -> None:
    assert [(f.name, f.type) for f in quarantine_fields(contract)] == [
        ("_payload", "string"), ("_reasons", "array<string>"), ("_disposition", "string"), ("_event_date", "date"), ("_source", "string"),
        ("_source_position", "bigint"), ("_source_time", "timestamp"), ("_source_date", "date"), ("_ingested_at", "timestamp"),
        ("_record_hash", "bigint"), ("_contract_version", "string"), ("_quarantined_at", "timestamp"),
    ]  # fmt: skip
    assert "COMMENT 'Every rule that the record breaks.'" in quarantine_ddl(contract)


def test_quotes_in_descriptions_are_escaped_in_ddl(contract: Contract) -> None:
    column = dataclasses.replace(contract.columns[0], description="It's \\ here")
    assert "COMMENT 'It\\'s \\\\ here.'" in silver_ddl(dataclasses.replace(contract, columns=(column,)))


def test_the_dbt_sources_name_every_table_and_column(contract: Contract) -> None:
    read = yaml.safe_load(sources_yaml({contract.name: contract}))
    (source,) = read["sources"]
    (table,) = source["tables"]
    assert (source["name"], source["schema"], table["name"]) == ("silver", "silver", "reading")
    assert [c["name"] for c in table["columns"]] == [f.name for f in silver_fields(contract)]
    assert table["config"]["meta"]["event_date"] == "event_date"


def test_a_sources_file_is_stale_when_it_is_missing_or_differs(contract: Contract, tmp_path: Path) -> None:
    contracts, file = {contract.name: contract}, tmp_path / "_sources.yml"
    assert is_stale(file, contracts)
    file.write_text(sources_yaml(contracts))
    assert not is_stale(file, contracts)
    assert is_stale(file, {contract.name: dataclasses.replace(contract, version="1.1.0")})


def test_tables_that_models_read_and_no_contract_describes_would_be_lost(contract: Contract, tmp_path: Path) -> None:
    file = tmp_path / FILE
    file.parent.mkdir(parents=True)
    (tmp_path / "models/stg_reading.sql").write_text("select * from {{ source('silver', 'reading') }}")
    (tmp_path / "models/fct_readings.sql").write_text('select 1 from {{ source("silver", "reading") }}, {{ source("silver", "never_there") }}')
    assert lost(tmp_path, {}) == {}
    file.write_text(sources_yaml({n: dataclasses.replace(contract, name=n) for n in ("reading", "unread")}))
    assert lost(tmp_path, {}) == {"reading": ["fct_readings", "stg_reading"]}
    assert lost(tmp_path, {"reading": contract}) == {}


def test_the_projects_sources_file_says_what_its_contracts_say() -> None:
    assert not is_stale(PROJECT / "dbt_project" / FILE, load_contracts(PROJECT / "contracts")), "renew it with: lakehouse contract sources"
