"""`lakehouse contract plan`: contracts against deployed tables (real Delta logs, made without Spark) and against a git ref."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from typer.testing import CliRunner, Result

from lakehouse.cli.contract import app
from lakehouse.contracts.loader import load_contracts
from lakehouse.contracts.model import Column, Contract
from lakehouse.contracts.recorded import properties
from lakehouse.engine import metadata
from lakehouse.errors import ContractChanged, ContractError, ContractUnreadable
from lakehouse.governance.deployed import differences, raise_if_broken
from lakehouse.settings import PROJECT, settings
from lakehouse.tables import Table


@pytest.fixture
def contracts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with two contracts in a git repository, and settings that point there; the example's dbt project."""
    folder = tmp_path / "contracts"
    for name in ("factory/sensor_reading", "master/customer", "master/machine"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.odcs.yaml").write_text((PROJECT / "contracts" / f"{name}.odcs.yaml").read_text())
    for variable, value in (("CONTRACTS", folder), ("HOME", tmp_path / "lake")):
        monkeypatch.setenv(f"LAKEHOUSE_{variable}", str(value))
    monkeypatch.setenv("COLUMNS", "200")
    settings.cache_clear()
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", ".")
    git(folder, "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "-m", "Contracts")
    yield folder
    settings.cache_clear()


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], check=True)


def deploy(contract: Contract, days: dict[int, int]) -> None:
    """Bronze and Silver as a run under this contract leaves them, as far as their logs tell: so many rows of these days of November."""
    dates = pa.array([date(2026, 11, day) for day, rows in days.items() for _ in range(rows)], pa.date32())
    for table, column in ((contract.bronze, "_source_date"), (contract.silver, contract.event_date)):
        data = pa.table({"n": list(range(len(dates))), column or "day": dates})
        options: dict[str, Any] = {"partition_by": [column]} if column else {}
        location = table.location(settings().warehouse)
        write_deltalake(location, data, mode="overwrite", **options)
        DeltaTable(location).alter.set_table_properties(properties(contract), raise_if_not_exists=False)


def edit(folder: Path, name: str, *changes: tuple[str, str]) -> None:
    file = folder / f"{name}.odcs.yaml"
    text = file.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    file.write_text(text)


def run(*args: str) -> Result:
    return CliRunner().invoke(app, args)


def planned(*args: str) -> dict[str, Any]:
    return {p["table"]: p for p in json.loads(run("plan", "--json", *args).stdout)}


COMPATIBLE = ("factory/sensor_reading", ("physicalType: double", "physicalType: double\n        classification: internal"), ("M00 is the", "M00 is a"))
MASKING_GONE = ("          - {property: masking, value: {policy: sha256}}\n", "          - {property: onFail, value: quarantine}\n")


def test_what_is_not_deployed_and_what_is_as_deployed_is_said_in_a_line(contracts: Path) -> None:
    deploy(load_contracts(contracts)["sensor_reading"], {1: 2})
    result = run("plan")
    assert result.exit_code == 0
    assert "customer, machine: not deployed yet: the first run makes it" in result.stdout
    assert "1 table as deployed." in result.stdout


def test_a_compatible_change_is_shown_with_the_version_it_needs_and_what_to_do(contracts: Path) -> None:
    deploy(load_contracts(contracts)["sensor_reading"], {1: 2, 2: 3})
    edit(contracts, *COMPATIBLE)
    result = run("plan", "silver.sensor_reading")
    assert result.exit_code == 0
    assert "value: classification internal, was none" in result.stdout
    assert "1.1.0 is needed (minor); the contract says 1.0.0" in result.stdout
    assert "lakehouse contract apply sensor_reading" in result.stdout
    assert "fct_machine_health_hourly" in result.stdout and "factory_health" in result.stdout


def test_a_column_more_makes_the_days_stale_and_names_their_rows(contracts: Path) -> None:
    deploy(load_contracts(contracts)["sensor_reading"], {1: 2, 2: 3})
    edit(contracts, "factory/sensor_reading", ("      - name: firmware", "      - {name: gateway, logicalType: string}\n      - name: firmware"))
    plan = planned()["sensor_reading"]
    assert [(c["subject"], c["kind"], c["redo"]) for c in plan["changes"]] == [("gateway", "compatible", "rows")]
    assert plan["stale"] == {"days": ["2026-11-01", "2026-11-02"], "rows": 5, "records": 5}
    assert plan["touched"] == {"marts": {}, "exposures": []}, "no mart reads a column that is new"
    assert plan["next"][-1] == "lakehouse backfill silver/sensor_reading+ --from 2026-11-01 --only stale"


def test_a_column_that_is_gone_touches_the_columns_made_of_it_and_a_rule_the_rows_too(contracts: Path) -> None:
    contract = load_contracts(contracts)["sensor_reading"]
    deploy(replace(contract, columns=(*contract.columns, Column("gone", "string", "string"))), {1: 2})
    assert planned()["sensor_reading"]["touched"]["marts"] == {}, "no mart reads it"
    deploy(replace(contract, rules=contract.rules[1:]), {1: 2})
    marts = planned()["sensor_reading"]["touched"]["marts"]
    assert all("*" in columns for columns in marts.values()) and "gold.fct_machine_health_5min" in marts


def test_a_change_of_words_touches_nobody(contracts: Path) -> None:
    deploy(load_contracts(contracts)["sensor_reading"], {1: 2})
    edit(contracts, "factory/sensor_reading", ("M00 is the test bench, whose", "M00 is a test bench, whose"))
    plan = planned()["sensor_reading"]
    assert (plan["level"], plan["stale"], plan["touched"]) == ("patch", None, {"marts": {}, "exposures": []})


def test_masking_that_is_removed_is_breaking_and_needs_a_major_version(contracts: Path) -> None:
    deploy(load_contracts(contracts)["customer"], {1: 2})
    edit(contracts, "master/customer", MASKING_GONE)
    result = run("plan", "customer")
    assert result.exit_code == 1
    assert "email: masking none, was sha256: shows what was hidden" in result.stdout
    assert "3.0.0 is needed (major); the contract says 2.0.0" in result.stdout
    edit(contracts, "master/customer", ("version: 2.0.0", "version: 3.0.0"))
    announced = run("plan", "customer")
    assert announced.exit_code == 0
    assert "3.0.0 says it (major)" in announced.stdout
    assert "lakehouse contract apply customer --breaking" in announced.stdout


def test_another_key_asks_for_the_table_anew(contracts: Path) -> None:
    deploy(load_contracts(contracts)["sensor_reading"], {1: 2})
    edit(contracts, "factory/sensor_reading", ("value: {orderBy: [event_time]}", "value: {orderBy: [event_time, unit]}"), ("version: 1.0.0", "version: 2.0.0"))
    plan = planned()["sensor_reading"]
    assert plan["next"] == ["lakehouse materialize silver/sensor_reading --recreate"]
    assert plan["stale"]["days"] is None


def test_a_table_made_before_contracts_were_recorded_is_said_to_be_so(contracts: Path) -> None:
    location = Table("silver", "customer").location(settings().warehouse)
    write_deltalake(location, pa.table({"n": [1]}))
    assert planned()["customer"]["state"] == "unrecorded"


@pytest.mark.parametrize("layer", ["bronze", "silver"])
def test_a_record_that_cannot_be_read_stops_everything_but_a_person_who_says_so(contracts: Path, layer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    contract = load_contracts(contracts)["customer"]
    deploy(contract, {1: 2})
    table = contract.bronze if layer == "bronze" else contract.silver
    DeltaTable(table.location(settings().warehouse)).alter.set_table_properties({"lakehouse.contract": "{}"}, raise_if_not_exists=False)
    with pytest.raises(ContractUnreadable, match="lakehouse contract apply customer --breaking"):
        raise_if_broken(contract, metadata.state(table))
    for arguments in (["plan", "customer"], ["apply", "customer"]):
        assert isinstance(run(*arguments).exception, ContractUnreadable)
    applied: list[Contract] = []
    monkeypatch.setattr("lakehouse.cli.evolution._apply", applied.extend)
    assert run("apply", "customer", "--breaking").exit_code == 0
    assert [c.name for c in applied] == ["customer"]


def test_a_pull_request_is_compared_with_a_git_ref_without_any_lake(contracts: Path) -> None:
    edit(contracts, "master/customer", MASKING_GONE)
    (contracts / "factory" / "sensor_reading.odcs.yaml").unlink()
    result = run("plan", "--base", "main", "--json")
    found = {p["table"]: p for p in json.loads(result.stdout)}
    assert result.exit_code == 1
    assert (found["customer"]["state"], found["customer"]["breaks_unannounced"]) == ("changed", True)
    assert (found["sensor_reading"]["state"], found["sensor_reading"]["breaks_unannounced"]) == ("gone", True)
    assert found["customer"]["touched"]["marts"] == {}, "no mart reads the e-mail address"
    assert "gold.fct_machine_health_5min" in found["sensor_reading"]["touched"]["marts"]
    git(contracts, "checkout", "--quiet", ".")
    assert run("plan", "--base", "HEAD").exit_code == 0


def test_a_ref_that_git_does_not_know_is_an_error_that_says_so(contracts: Path) -> None:
    with pytest.raises(ContractError, match="'nowhere' can't be read: there is no commit 'nowhere'"):
        CliRunner().invoke(app, ["plan", "--base", "nowhere"], catch_exceptions=False)


def test_a_new_table_is_no_breach(contracts: Path) -> None:
    text = (PROJECT / "contracts/web/web_click.odcs.yaml").read_text()
    (contracts / "web").mkdir()
    (contracts / "web/web_click.odcs.yaml").write_text(text)
    result = run("plan", "--base", "main")
    assert result.exit_code == 0
    assert "web_click: is new" in result.stdout


def test_a_run_stops_before_it_writes_under_a_contract_that_breaks_the_deployed_one(contracts: Path) -> None:
    contract = load_contracts(contracts)["customer"]
    deploy(contract, {1: 2})
    unmasked = replace(contract, columns=tuple(replace(c, masking=None) for c in contract.columns), version="3.0.0")
    bronze, silver = metadata.state(contract.bronze), metadata.state(contract.silver)
    with pytest.raises(
        ContractChanged, match=r"(?s)silver.customer was made by version 2.0.0.*email: masking none.*unchanged.*lakehouse contract plan customer"
    ):
        raise_if_broken(unmasked, silver)
    raise_if_broken(unmasked, bronze)  # what arrives goes on arriving
    raise_if_broken(contract, silver)
    raise_if_broken(unmasked, None)
    raise_if_broken(replace(contract, owners=()), silver)
    assert differences(contract, silver) == ()


def test_a_process_that_has_loaded_an_older_contract_does_not_take_a_table_back(contracts: Path) -> None:
    contract = load_contracts(contracts)["customer"]
    deploy(contract, {1: 2})
    older = replace(contract, version="1.9.0", freshness=None)
    with pytest.raises(ContractChanged, match="version 2.0.0 of its contract, and this run knows 1.9.0, which is older"):
        raise_if_broken(older, metadata.state(contract.silver))
    raise_if_broken(older, metadata.state(contract.bronze))
    raise_if_broken(replace(older, version="2.0.1"), metadata.state(contract.silver))


def test_a_source_of_another_form_stops_bronze(contracts: Path) -> None:
    contract = load_contracts(contracts)["customer"]
    deploy(contract, {1: 2})
    other = replace(contract, source=replace(contract.source, format="csv"), version="3.0.0")  # type: ignore[arg-type]
    with pytest.raises(ContractChanged, match="bronze.customer was made by version 2.0.0"):
        raise_if_broken(other, metadata.state(contract.bronze))
