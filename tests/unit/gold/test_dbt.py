"""dbt inside this process: what it leaves behind, and what it says when a project is wrong."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lakehouse.errors import SetupError
from lakehouse.gold import dbt

PROFILE = "shop: {target: t, outputs: {t: {type: spark, method: thrift, host: 127.0.0.1, schema: gold}}}\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    (tmp_path / "dbt_project.yml").write_text("name: shop\nversion: 1.0.0\nprofile: shop\n")
    (tmp_path / "profiles.yml").write_text(PROFILE)
    (tmp_path / "models/m.sql").write_text("select 1 as n")
    return tmp_path


def test_a_project_is_parsed_once_and_again_when_its_manifest_is_another(project: Path) -> None:
    here = Path.cwd()
    first = dbt.parsed(project)
    assert "model.shop.m" in first.nodes
    assert dbt.parsed(project) is first
    assert Path.cwd() == here
    (project / "models/n.sql").write_text("select * from {{ ref('m') }}")
    later = (project / "target/manifest.json").stat().st_mtime + 5
    os.utime(project / "target/manifest.json", (later, later))
    assert "model.shop.n" in dbt.parsed(project).nodes


def test_a_process_that_has_parsed_a_project_compiles_what_was_edited_since(project: Path) -> None:
    """What it writes is taken for current by every other process."""
    compiled = project / "target/compiled.json"

    def sql() -> str:
        dbt.compile_to(compiled, project)
        return str(json.loads(compiled.read_text())["nodes"]["model.shop.m"]["compiled_code"])

    assert sql() == "select 1 as n"
    (project / "models/m.sql").write_text("select 2 as n")
    later = (project / "target/manifest.json").stat().st_mtime + 1
    os.utime(project / "models/m.sql", (later, later))
    assert sql() == "select 2 as n"
    assert dbt.is_current(compiled)
    assert dbt.parsed(project) is dbt.parsed(project)
    (project / "models/o.sql").write_text("select 3 as n")
    dbt.parsed(project)
    (project / "models/o.sql").unlink()
    later += 2
    os.utime(project / "models", (later, later))
    assert not dbt.is_current(compiled)
    assert set(dbt.parsed(project).nodes) == {"model.shop.m"}


def test_what_dbt_says_of_a_broken_project_is_told(project: Path) -> None:
    (project / "models/m.sql").write_text("select * from {{ ref('nowhere') }}")
    with pytest.raises(SetupError, match="nowhere"):
        dbt.parse(project)
    with pytest.raises(SetupError, match="There is no dbt project"):
        dbt.parse(project / "models")


def test_what_was_compiled_for_some_days_is_not_taken_for_others(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process makes many builds on the manifest that it has parsed once."""
    (project / "models/m.sql").write_text("{{ config(materialized='ephemeral') }} select '{{ env_var('DAY', 'every day') if execute }}' as n")
    (project / "models/n.sql").write_text("select * from {{ ref('m') }}")
    for day in ("2026-01-01", "2026-01-02"):
        monkeypatch.setenv("DAY", day)
        dbt.compile_to(project / "target" / "compiled.json", project)
        assert f"select '{day}' as n" in json.loads((project / "target/compiled.json").read_text())["nodes"]["model.shop.n"]["compiled_code"]
