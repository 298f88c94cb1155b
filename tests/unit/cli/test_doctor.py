"""`lakehouse doctor`: one finding does not hide another, and each problem comes with what mends it."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
from typer.testing import CliRunner

from lakehouse.cli import contract, doctor, findings
from lakehouse.cli.findings import CHECKS, Finding
from lakehouse.contracts.dbt_sources import FILE, sources_yaml
from lakehouse.contracts.loader import load_contracts
from lakehouse.engine.config import MEANING
from lakehouse.engine.lease import Owner, take
from lakehouse.errors import ContractError, SetupError
from lakehouse.settings import PROJECT, settings


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path / "lake"))
    settings.cache_clear()
    yield tmp_path / "lake"
    settings.cache_clear()


def test_a_check_that_fails_is_a_finding_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Iterator[Finding]:
        raise ZeroDivisionError("oh")
        yield

    def ours() -> Iterator[Finding]:
        raise SetupError("The jar is wrong.", next_step="make setup")
        yield

    checks = {"one": broken, "two": ours, "three": lambda: iter([Finding("three", "ok", "fine")])}
    monkeypatch.setattr(doctor, "CHECKS", checks)
    done = CliRunner().invoke(doctor.app, ["--json"])
    told = json.loads(done.stdout)
    assert done.exit_code == 1
    assert told["problems"] == 2
    assert [f["level"] for f in told["findings"]] == ["problem", "problem", "ok"]
    assert told["findings"][1] == {"name": "two", "level": "problem", "text": "The jar is wrong.", "mend": "make setup"}


def test_what_asks_the_same_place_in_vain_is_not_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def never() -> Iterator[Finding]:
        raise AssertionError

    asked = {"storage": lambda: iter([Finding("storage", "problem", "nobody answers")]), "tables": never, "lease": never}
    monkeypatch.setattr(doctor, "CHECKS", asked)
    told = json.loads(CliRunner().invoke(doctor.app, ["--json"]).stdout)
    assert [f["level"] for f in told["findings"]] == ["problem", "note", "note"]
    assert "first mend storage" in told["findings"][1]["text"]


def test_a_note_is_not_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "CHECKS", {"one": lambda: iter([Finding("one", "note", "slower")])})
    done = CliRunner().invoke(doctor.app, [])
    assert done.exit_code == 0
    assert "Nothing is wrong." in done.stderr


def test_missing_contracts_and_a_stale_process_file_are_problems_with_a_command(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKEHOUSE_CONTRACTS", str(tmp_path / "none"))
    settings.cache_clear()
    (home / "run").mkdir(parents=True)
    (home / "run" / "dagster-daemon.json").write_text('{"name": "dagster-daemon", "pid": 1, "birth": "x", "port": null, "stamp": ""}')
    (contracts,) = CHECKS["contracts"]()
    (processes,) = CHECKS["processes"]()
    assert contracts.level == processes.level == "problem"
    assert "lakehouse contract infer" in contracts.mend
    assert processes.mend == "lakehouse up"


@pytest.fixture
def second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lake with one contract, over the example's dbt project; the project."""
    (tmp_path / "contracts" / "web").mkdir(parents=True)
    shutil.copy(PROJECT / "contracts/web/web_click.odcs.yaml", tmp_path / "contracts/web")
    shutil.copytree(PROJECT / "dbt_project", tmp_path / "dbt", ignore=shutil.ignore_patterns("target", "logs"))
    monkeypatch.setenv("LAKEHOUSE_CONTRACTS", str(tmp_path / "contracts"))
    monkeypatch.setenv("LAKEHOUSE_DBT_PROJECT", str(tmp_path / "dbt"))
    settings.cache_clear()
    return tmp_path / "dbt"


def test_a_second_lake_over_the_examples_project_is_fine(second: Path) -> None:
    found = list(CHECKS["dbt"]())
    assert {dbt.level for dbt in found} == {"note"}
    texts = [dbt.text for dbt in found]
    assert "Left out: stg_customer, dim_customer. It reads silver.customer, and this lake has no such contract." in texts
    assert "web" not in "".join(texts)


def test_marts_that_nobody_can_follow_are_named_with_the_reason(second: Path) -> None:
    shutil.rmtree(second / "models")
    (second / FILE).parent.mkdir(parents=True)
    (second / FILE).write_text(sources_yaml(load_contracts(settings().contracts)))
    (second / "models/other.yml").write_text("sources: [{name: refused, schema: quarantine, tables: [{name: web_click}]}]")
    yml = "models: [{name: NAME, config: {group: null}, columns: [{name: n, data_type: int}]}]"
    for name, reads in (
        ("dim_refused", "{{ source('refused', 'web_click') }}"),
        ("dim_both", "{{ source('refused', 'web_click') }}, {{ source('silver', 'web_click') }}"),
    ):
        (second / f"models/marts/{name}.yml").parent.mkdir(parents=True, exist_ok=True)
        (second / f"models/marts/{name}.yml").write_text(yml.replace("NAME", name))
        (second / f"models/marts/{name}.sql").write_text("{{ config(materialized='table', partition_by=none) }} select 1 as n from " + reads)
    assert [(f.level, f.text) for f in CHECKS["dbt"]()] == [
        (
            "problem",
            "dim_refused is left out, and a table of it stays as it is. "
            "It reads quarantine.web_click and nothing of Silver, so that nobody could tell when it is stale.",
        ),
        ("note", "dim_both follows Silver alone: of a change of quarantine.web_click it notices nothing."),
    ]


def test_a_second_lake_leaves_the_sources_of_the_examples_project_alone(second: Path) -> None:
    before = (second / FILE).read_text()
    error = CliRunner().invoke(contract.app, ["sources"]).exception
    assert isinstance(error, ContractError)
    assert "silver.customer (read by stg_customer)" in error.what
    assert (error.state, "LAKEHOUSE_DBT_PROJECT" in (error.next_step or "")) == ("Nothing was written.", True)
    assert (second / FILE).read_text() == before


def test_a_project_that_dbt_cannot_parse_is_a_problem(second: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (second / FILE).write_text(sources_yaml(load_contracts(settings().contracts)))
    monkeypatch.setattr(doctor, "CHECKS", {"dbt": CHECKS["dbt"]})
    (found,) = json.loads(CliRunner().invoke(doctor.app, ["--json"]).stdout)["findings"]
    assert (found["level"], "silver.customer" in found["text"]) == ("problem", True)


def test_looking_at_the_engine_and_the_home_starts_and_makes_nothing(home: Path) -> None:
    for name in ("Python", "home", "engine", "catalogue", "Dagster", "processes"):
        assert all(f.level != "problem" for f in CHECKS[name]()), name
    assert not home.exists()


def test_little_room_where_the_tables_lie_is_a_problem(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKEHOUSE_WAREHOUSE", str(tmp_path / "volume"))
    settings.cache_clear()
    assert [f.level for f in CHECKS["tables"]()] == ["ok"]
    monkeypatch.setattr(findings.shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    full = next(iter(CHECKS["tables"]()))
    assert (full.level, str(tmp_path) in full.text, "lakehouse maintain" in full.mend) == ("problem", True, True)


def test_a_cluster_whose_engine_gets_no_worker_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def waits(*_: object) -> None:
        over.wait(10)

    over = threading.Event()
    session = MagicMock()
    session.range.return_value.repartition.return_value.count = waits
    session.interruptAll.side_effect = over.set
    monkeypatch.setattr("lakehouse.engine.session.connect", lambda: session)
    monkeypatch.setattr(findings, "WAITED_FOR_WORKERS", 0.1)
    monkeypatch.setattr(findings.launcher, "engine_status", lambda: SimpleNamespace(state="remote"))
    assert list(CHECKS["workers"]()) == []  # an engine that computes by itself needs none
    monkeypatch.setenv("LAKEHOUSE_SPARK_MASTER", "spark://master:7077")
    settings.cache_clear()
    (alone,) = CHECKS["workers"]()
    assert (alone.level, "lakehouse engine worker" in alone.mend) == ("problem", True)
    assert "restart the engine" in alone.mend
    session.stop.assert_called_once()
    over.set()
    assert [f.level for f in CHECKS["workers"]()] == ["ok"]


def test_an_engine_of_others_is_asked_what_it_would_do_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    own = {**MEANING, "spark.sql.ansi.enabled": "false"}
    untold = MagicMock(version="4.1.0")
    untold.conf.get = own.get
    builder = MagicMock()
    builder.remote.return_value.create.return_value = untold
    monkeypatch.setattr("lakehouse.engine.session.connect", MagicMock())
    monkeypatch.setattr("pyspark.sql.connect.session.SparkSession.builder", builder)
    there = SimpleNamespace(state="remote", endpoints=SimpleNamespace(connect_url="sc://spark:15002"))
    monkeypatch.setattr(findings.launcher, "engine_status", lambda: there)
    older, other = CHECKS["engine"]()
    assert (older.level, "Spark 4.1.0" in older.text) == ("problem", True)
    assert (other.level, "spark.sql.ansi.enabled=false" in other.text, other.mend) == ("problem", True, "Start it with: spark.sql.ansi.enabled=true")
    untold.version, own["spark.sql.ansi.enabled"] = findings.packages.version("pyspark"), "true"
    assert [f.level for f in CHECKS["engine"]()] == ["ok"]


def test_packages_are_held_against_the_lines_of_the_lock_that_concern_this_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "requirements").mkdir()
    lock = "typer==0.0.1 ; python_full_version < '3' \\\n    --hash=sha256:0\nrich==0.0.1 \\\n    --hash=sha256:0\nno-such-package==1 \\\n    --hash=sha256:0\n"
    (tmp_path / "requirements" / "runtime.txt").write_text("# comment\n" + lock)
    monkeypatch.setattr(findings, "PROJECT", tmp_path)
    (found,) = CHECKS["packages"]()
    assert found.level == "problem"
    assert "rich" in found.text
    assert "no-such-package" in found.text
    assert "typer" not in found.text


@pytest.mark.parametrize(("machine", "told"), [({"machine": "another/boot"}, 1), ({}, 0)])
def test_an_engine_of_another_container_has_the_same_home_and_is_named_even_so(machine: dict[str, str], told: int) -> None:
    take(settings().warehouse, Owner(str(settings().home), **machine), print)  # type: ignore[arg-type]
    assert len(list(CHECKS["lease"]())) == told
