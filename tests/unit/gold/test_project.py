"""What the platform knows of dbt's models, read from small projects that dbt parses."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from lakehouse.automation import selection
from lakehouse.contracts.loader import load_contracts
from lakehouse.gold.progress import seen
from lakehouse.gold.project import Model, Reach, manifest_path, models, served, unserved
from lakehouse.pending import due
from lakehouse.settings import PROJECT, settings

Models = Mapping[str, Model]
BY_DAY = "{{ config(materialized='incremental', partition_by='date_day') }}\n"


@pytest.fixture
def project(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The example's project without its models, and with its sources."""
    folder = home / "dbt"
    shutil.copytree(PROJECT / "dbt_project", folder, ignore=shutil.ignore_patterns("target", "logs", "staging", "intermediate", "marts", "exposures.yml"))
    shutil.copy(PROJECT / "dbt_project/models/staging/_sources.yml", folder / "models")
    monkeypatch.setenv("LAKEHOUSE_DBT_PROJECT", str(folder))
    settings.cache_clear()
    return folder


def write(project: Path, **sql: str) -> None:
    """Models by name; those that begin with `dim_` are made whole."""
    for name, text in sql.items():
        folder = project / "models/marts" / ("master" if name.startswith("dim_") else "web")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.sql").write_text(text)
        columns = "[{name: date_day, data_type: date}, {name: n, data_type: bigint}]"
        (folder / f"{name}.yml").write_text(f"models: [{{name: {name}, columns: {columns}}}]")


def known() -> Models:
    """The models as the platform reads them now."""
    manifest = manifest_path()
    return {m.name: m for m in models(manifest, manifest.stat().st_mtime)}


def test_what_lies_beyond_a_mart_that_is_made_whole_is_reached_whole(project: Path) -> None:
    write(
        project,
        dim_first="select min(event_date) as date_day, count(*) as n from {{ source('silver', 'web_click') }}",
        fct_reads="select event_date as date_day, count(*) as n from {{ source('silver', 'sensor_reading') }} group by 1",
        fct_both="{{ config(materialized='ephemeral') }} select r.* from {{ ref('fct_reads') }} as r join {{ ref('dim_first') }} as f on r.n = f.n",
        fct_above="select * from {{ ref('fct_both') }}",
    )
    found = known()
    assert found["dim_first"].reach.whole == found["fct_reads"].reach.whole == frozenset()
    assert found["fct_above"].sources == {"web_click", "sensor_reading"}
    assert found["fct_above"].reach.whole == {"web_click"}


def test_the_code_of_a_mart_changes_with_whatever_decides_its_rows(project: Path) -> None:
    """Its SQL, macros at whatever distance, the days that it reads, the marts below it; and with nothing else."""
    macros, folder = project / "macros/own.sql", project / "models/marts/web"
    macros.write_text("{% macro limit() %}{{ return(number()) }}{% endmacro %}\n{% macro number() %}{{ return(1) }}{% endmacro %}")
    reads = "select event_date as date_day, count(*) as n from {{ source('silver', 'web_click') }} where {{ in_dates('event_date') }} group by 1"
    write(project, fct_lower=reads, fct_upper="select * from {{ ref('fct_lower') }} where n > {{ limit() }}", fct_other=reads)

    def changed(before: Models) -> set[str]:
        after = known()
        return {name for name in after if after[name].code != before[name].code}

    found = known()
    macros.write_text(macros.read_text().replace("return(1)", "return(2)"))
    assert changed(found) == {"fct_upper"}

    found = known()
    (folder / "fct_lower.yml").write_text((folder / "fct_lower.yml").read_text().replace("columns:", "meta: {reads_days: {before: 1, after: 0}}, columns:"))
    assert changed(found) == {"fct_lower", "fct_upper"}

    found = known()
    write(project, fct_lower=reads + " having count(*) > 1")
    assert changed(found) == {"fct_lower", "fct_upper"}

    found = known()
    (folder / "fct_lower.yml").write_text((folder / "fct_lower.yml").read_text().replace("columns:", "description: Clicks., columns:"))
    assert changed(found) == set()


def test_only_silver_is_followed_and_what_reads_nothing_of_it_is_left_out_or_made_once(project: Path) -> None:
    (project / "models/other.yml").write_text("sources: [{name: refused, schema: quarantine, tables: [{name: web_click}, {name: web_visit}]}]")
    (project / "seeds").mkdir()
    (project / "seeds/rates.csv").write_text("a,b\n1,2\n")
    both = "select r.event_date as date_day, 1 as n from {{ source('silver', 'sensor_reading') }} as r, {{ source('refused', 'web_click') }}"
    write(
        project,
        dim_date="select date '2026-01-01' as date_day, 1 as n",
        dim_week="select * from {{ ref('dim_date') }}",
        fct_both=both,
        fct_refused="select _source_date as date_day, count(*) as n from {{ source('refused', 'web_visit') }} group by 1",
        dim_refused="select * from {{ ref('fct_refused') }}",
        dim_rates="select date '2026-01-01' as date_day, a as n from {{ ref('rates') }}",
    )
    contracts = load_contracts(PROJECT / "contracts")
    found = known()
    assert found["fct_both"].sources == {"sensor_reading"}
    assert found["fct_both"].others == {"quarantine.web_click"}
    assert {m.name for m in served(found.values(), contracts)} == {"dim_date", "dim_week", "fct_both"}
    assert {name: unserved(m, contracts) for name, m in found.items() if name not in ("dim_date", "dim_week", "fct_both")} == {
        "fct_refused": "It reads quarantine.web_visit and nothing of Silver, so that nobody could tell when it is stale.",
        "dim_refused": "It reads quarantine.web_visit and nothing of Silver, so that nobody could tell when it is stale.",
        "dim_rates": "It reads seed rates and nothing of Silver, so that nobody could tell when it is stale.",
    }
    del contracts["sensor_reading"]
    assert unserved(found["fct_both"], contracts) == "It reads silver.sensor_reading, and this lake has no such contract."


@pytest.mark.usefixtures("home")
def test_a_mart_without_a_source_is_due_until_it_is_there_with_the_views_it_may_read() -> None:
    view, calendar = Model("stg_days", "staging", "view", None, Reach(), "code"), Model("dim_date", "gold", "table", None, Reach(), "code")
    work = due([], [view, calendar])
    assert work.models == ("dim_date",)
    contracts = load_contracts(PROJECT / "contracts")
    assert [k.path for k in selection(work, contracts, [view, calendar])] == [["staging", "stg_days"], ["gold", "dim_date"]]
    write_deltalake(calendar.table.location(settings().warehouse), pa.table({"n": [1]}))
    assert due([], [view, calendar]).nothing


@pytest.mark.usefixtures("home")
def test_a_mart_waits_for_one_without_a_source_that_is_not_there() -> None:
    calendar = Model("dim_date", "gold", "table", None, Reach(), "code")
    above = Model("fct_days", "gold", "incremental", "date_day", Reach(frozenset({"web_click"})), "code", parents=(calendar,))
    assert seen(above, {}) is None
    assert seen(above, {"dim_date": {}}) == {}
