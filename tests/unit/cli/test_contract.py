"""`lakehouse contract`: what people and scripts get to see."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lakehouse.cli.contract import app
from lakehouse.errors import ContractError
from lakehouse.settings import settings

PROJECT = Path(__file__).resolve().parents[3]


@pytest.fixture
def contracts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one contract, and settings that point to it."""
    folder = tmp_path / "contracts"
    (folder / "web").mkdir(parents=True)
    (folder / "web" / "web_click.odcs.yaml").write_text((PROJECT / "contracts/web/web_click.odcs.yaml").read_text())
    monkeypatch.setenv("LAKEHOUSE_CONTRACTS", str(folder))
    monkeypatch.setenv("LAKEHOUSE_LANDING", str(tmp_path / "landing"))
    monkeypatch.setenv("LAKEHOUSE_DBT_PROJECT", str(tmp_path / "dbt"))
    monkeypatch.setenv("COLUMNS", "200")
    settings.cache_clear()
    yield folder
    settings.cache_clear()


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(app, [str(a) for a in args])


def break_it(contracts: Path) -> Path:
    file = contracts / "web" / "web_click.odcs.yaml"
    file.write_text(file.read_text().replace("logicalType: string", "logicalType: sting", 1).replace("kind, value: event", "kind, value: evnt"))
    return file


def test_lint_says_that_all_is_well(contracts: Path) -> None:
    result = run("lint")
    assert result.exit_code == 0
    assert "1 contract, no mistake." in result.output


def test_lint_lists_every_mistake_by_file_and_fails(contracts: Path) -> None:
    file = break_it(contracts)
    result = run("lint")
    assert result.exit_code == 1
    assert str(file) in result.output
    assert "Did you mean 'string'" in result.output
    assert "Did you mean 'event'" in result.output
    assert "2 mistakes in 1 of 1 contract." in result.output


def test_lint_speaks_json_to_scripts(contracts: Path) -> None:
    break_it(contracts)
    result = run("lint", "--json")
    told = json.loads(result.output)
    assert result.exit_code == 1
    assert (told["contracts"], told["mistakes"]) == (1, 2)
    assert {f["level"] for f in told["findings"]} == {"error"}
    assert all(isinstance(f["line"], int) and f["message"] for f in told["findings"])


def test_lint_of_one_file_knows_the_others(contracts: Path) -> None:
    (contracts / "shop").mkdir()
    twin = contracts / "shop" / "web_click.odcs.yaml"
    twin.write_text((contracts / "web" / "web_click.odcs.yaml").read_text().replace("domain: web", "domain: shop"))
    result = run("lint", twin)
    assert result.exit_code == 1
    assert "is the name of" in result.output


def test_lint_of_nothing_says_what_to_do(contracts: Path) -> None:
    (contracts / "web" / "web_click.odcs.yaml").unlink()
    assert "lakehouse contract infer" in run("lint").output
    assert isinstance(run("lint", contracts / "nowhere").exception, ContractError)


def test_show_tells_columns_rules_and_tables(contracts: Path) -> None:
    result = run("show", "web_click")
    assert result.exit_code == 0
    for part in ("bronze.web_click, silver.web_click, quarantine.web_click", "click_id_required", "event_date", "action_in_set", "implied"):
        assert part in result.output


def test_show_speaks_json_to_scripts(contracts: Path) -> None:
    told = json.loads(run("show", "silver.web_click", "--json").output)
    assert (told["name"], told["key"], told["event_date"]) == ("web_click", ["click_id"], "event_date")
    assert {"rule": "late"}.items() <= next(r for r in told["rules"] if r["rule"] == "late").items()


def test_show_of_an_unknown_table_names_the_nearest(contracts: Path) -> None:
    error = run("show", "web_clik").exception
    assert isinstance(error, ContractError)
    assert "Did you mean 'web_click'" in str(error)


def test_infer_prints_a_draft_or_writes_one_that_lints(contracts: Path, tmp_path: Path) -> None:
    sample = tmp_path / "landing" / "crm" / "customer" / "customers.csv"
    sample.parent.mkdir(parents=True)
    sample.write_text("customer_id,name\n" + "".join(f"C{i},N{i}\n" for i in range(30)))
    assert "name: customer" in run("infer", sample.parent).stdout
    out = contracts / "crm" / "customer.odcs.yaml"
    assert run("infer", sample.parent, "--out", out).exit_code == 0
    assert run("lint", out).exit_code == 0


def test_infer_never_writes_over_a_file(contracts: Path) -> None:
    file = contracts / "web" / "web_click.odcs.yaml"
    before = file.read_text()
    error = run("infer", file, "--out", file).exception
    assert isinstance(error, ContractError)
    assert "is there already" in str(error)
    assert file.read_text() == before


@pytest.mark.parametrize(
    ("out", "fit"),
    [
        ("shop/orders.yaml", "shop/orders.odcs.yaml"),
        ("shop/orders", "shop/orders.odcs.yaml"),
        ("Shop/Orders-2026.odcs.yaml", "shop/orders_2026.odcs.yaml"),
    ],
)
def test_infer_writes_nothing_that_would_not_be_read_as_a_contract(contracts: Path, out: str, fit: str) -> None:
    error = run("infer", contracts / "no such sample", "--out", contracts / out).exception
    assert isinstance(error, ContractError)
    assert f"Write it with: --out {contracts / fit}" in str(error)
    assert not (contracts / out).exists()


def test_infer_writes_a_table_under_its_own_name_only(contracts: Path) -> None:
    error = run("infer", contracts, "--name", "sale", "--domain", "crm", "--out", contracts / "shop/orders.odcs.yaml").exception
    assert f"Write it with: --out {contracts / 'crm/sale.odcs.yaml'}" in str(error)


def test_sources_are_written_once_and_checked(contracts: Path, tmp_path: Path) -> None:
    assert "no dbt project" in str(run("sources").exception)
    (tmp_path / "dbt").mkdir()
    error = run("sources", "--check").exception
    assert isinstance(error, ContractError)
    assert "lakehouse contract sources" in str(error)
    assert "written: 1 tables" in run("sources").output
    assert run("sources", "--check").exit_code == 0
    assert "up to date" in run("sources").output


@pytest.mark.parametrize("command", ["lint", "show", "infer", "sources"])
def test_every_command_has_help_with_an_example(command: str) -> None:
    assert "Example: lakehouse contract" in run(command, "--help").output
