"""The dbt project on real Delta tables: what its marts hold, that a run of some days touches these days only, and what its commits say of themselves."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import Row, SparkSession

from lakehouse.contracts.loader import load_contracts
from lakehouse.contracts.model import Column
from lakehouse.engine.metadata import changes, open_table
from lakehouse.tables import Table
from tests.spark.gold import ROOT, dbt, insert, make_silver, succeed

FACTS = (
    "fct_late_orders_daily",
    "fct_machine_health_5min",
    "fct_machine_health_hourly",
    "fct_production_daily",
    "fct_sales_by_segment_daily",
    "fct_sales_daily",
    "fct_sales_vs_production_daily",
    "fct_web_sessions",
    "fct_web_sessions_daily",
)
DAYS = (date(2026, 11, 1), date(2026, 11, 2), date(2026, 11, 3))
ROWS: dict[str, list[dict[str, Any]]] = {
    "product": [
        {"product_id": "TOY-001", "name": "Bär", "category": "plush", "unit_cost": "9.00", "list_price": price, "sold_from": "2026-01-01", **version}
        for price, version in (
            ("8.99", {"valid_from": "2026-01-01", "valid_to": "2026-11-01 12:00:00", "is_current": "false", "is_deleted": "false"}),
            ("9.99", {"valid_from": "2026-11-01 12:00:00", "valid_to": None, "is_current": "true", "is_deleted": "false"}),
        )
    ],
    "machine": [{"machine_id": "M01", "line": "A", "model": "x", "temperature_max": 80, "vibration_max": 5, "pressure_min": 90, "pressure_max": 120}],
    "customer": [
        {"customer_id": "C00001", "country": "DE", "segment": segment, **version}
        for segment, version in (
            ("family", {"valid_from": "2026-01-01", "valid_to": "2026-11-02", "is_current": "false", "is_deleted": "false"}),
            (None, {"valid_from": "2026-11-02", "valid_to": None, "is_current": "true", "is_deleted": "true"}),
        )
    ],
    "sensor_reading": [
        {"reading_id": f"R-{d}-{n}", "machine_id": "M01", "metric": "temperature", "value": 70 + 5 * n, "event_time": f"{d} 10:0{n}:00", "event_date": d}
        for d in DAYS
        for n in range(5)
    ],
    "production_run": [
        {"run_id": f"RUN-{d}", "machine_id": "M01", "product_id": "TOY-001", "planned_units": 100, "produced_units": 90, "scrap_units": 9, "run_date": d}
        for d in DAYS
    ],
    "sales_order_line": [
        {
            "order_id": f"SO-{d}",
            "line_no": n,
            "product_id": "TOY-001",
            "customer_id": "C00001",
            "ordered_at": f"{d} 1{n}:00:00",
            "quantity": n,
            "unit_price": "9.99",
            "unit_cost": "3.50",
            "discount": "1.00" if n == 1 else None,
            "order_date": d,
            "promised_date": "2026-11-03",
            "shipped_at": "2026-11-04 08:00:00" if n == 2 else None,
            "status": "cancelled" if n == 3 else "placed",
        }
        for d in DAYS
        for n in (1, 2, 3)
    ],
    "web_click": [
        {"click_id": f"K-{d}-{n}", "visitor_id": "V1", "action": "purchase" if n == 2 else "view", "event_time": f"{d} 1{n}:00:00", "event_date": d}
        for d in DAYS
        for n in range(3)
    ],
}


@pytest.fixture(scope="module")
def silver(spark: SparkSession) -> Iterator[None]:
    """Small Silver tables with the columns that the contracts give them, technical ones included."""
    contracts = load_contracts(ROOT / "contracts")
    for name, contract in contracts.items():
        make_silver(spark, contract)
        insert(spark, name, ROWS[name])
    yield
    for schema, names in (("gold", [*FACTS, "dim_customer", "dim_machine", "dim_product"]), ("silver", list(contracts))):
        for name in names:
            spark.sql(f"DROP TABLE IF EXISTS {schema}.{name}").collect()


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dbt_target")


@pytest.fixture(scope="module")
def built(silver: None, target: Path) -> str:
    """What the first build of everything says, unit tests of the logic included."""
    return succeed(dbt(target, "build"))


def rows(spark: SparkSession, mart: str) -> list[Row]:
    return sorted(spark.table(f"gold.{mart}").collect(), key=repr)


def scans_of_other_days(spark: SparkSession, query: Path, day: str) -> list[str]:
    """The reads of tables by day in a query's plan that are not bounded to the day by their partitions."""
    plan = str(spark.sql(f"EXPLAIN FORMATTED {query.read_text('utf-8')}").first()[0])  # type: ignore[index]
    scans = [block.strip() for block in plan.split("\n\n")]
    scans = [block for block in scans if block.startswith("(") and " Scan " in block.splitlines()[0]]
    scans = [block for block in scans if not re.search(r"silver\.(machine|product|customer)\b", block.splitlines()[0])]
    assert scans
    return [s for s in scans if not any(line.startswith("PartitionFilters") and day in line for line in s.splitlines())]


def test_everything_builds_and_its_unit_tests_and_data_tests_hold(built: str) -> None:
    assert "ERROR=0" in built
    assert "WARN=0" in built
    assert "PASS fct_sales_daily::margin_is_net_revenue_less_the_cost_of_the_lines" in built


def test_sales_have_the_margin_of_the_lines_own_cost(spark: SparkSession, built: str) -> None:
    first = rows(spark, "fct_sales_daily")[0].asDict()
    assert first == {
        "date_day": DAYS[0],
        "product_id": "TOY-001",
        "order_lines": 2,
        "orders": 1,
        "units_sold": 3,
        "unlisted_lines": 0,
        "list_revenue": Decimal("28.97"),  # one unit an hour before the price went up, two when it did
        "gross_revenue": Decimal("29.97"),
        "discount": Decimal("1.00"),
        "net_revenue": Decimal("28.97"),
        "cost": Decimal("10.50"),
        "margin": Decimal("18.47"),
        "margin_rate": Decimal("0.6376"),
    }


def test_a_sale_stays_with_the_segment_that_its_customer_had(spark: SparkSession, built: str) -> None:
    found = [(r["date_day"], r["country"], r["segment"], r["order_lines"]) for r in rows(spark, "fct_sales_by_segment_daily")]
    assert found == [(DAYS[0], "DE", "family", 2), (DAYS[1], "unknown", "unknown", 2), (DAYS[2], "unknown", "unknown", 2)]


def test_facts_are_partitioned_by_day_and_described_in_the_catalogue(spark: SparkSession, built: str) -> None:
    for fact in FACTS:
        table = open_table(Table("gold", fact))
        assert table is not None
        assert table.metadata().partition_columns == ["date_day"], fact
        assert "One row per" in table.metadata().description, fact
        assert all(f.metadata.get("comment") for f in table.schema().fields), fact


def test_a_run_of_some_days_reads_and_replaces_these_days_only(spark: SparkSession, built: str, target: Path) -> None:
    late, unasked = "2026-11-02", "2026-11-03"
    sold = {"line_no": 9, "product_id": "TOY-002", "quantity": 5, "unit_price": "2.00", "unit_cost": "1.00", "promised_date": late, "status": "placed"}
    insert(spark, "sales_order_line", [{"order_id": "SO-late", "order_date": late, **sold}, {"order_id": "SO-unasked", "order_date": unasked, **sold}])
    before = {fact: (open_table(Table("gold", fact)).version(), rows(spark, fact)) for fact in FACTS}  # type: ignore[union-attr]
    note = {"lakehouse": 1, "run": "it's; a `b` \\ {{ c }}", "consumed": {"silver.sales_order_line": ["id", 7]}}

    succeed(dbt(target, "run", "--select", "fct_*", dates=[late], commit_metadata={"fct_sales_daily": json.dumps(note)}))

    for fact, (version, old) in before.items():
        assert scans_of_other_days(spark, next(target.rglob(f"compiled/**/{fact}.sql")), late) == [], fact
        table = open_table(Table("gold", fact))
        assert table is not None
        assert table.version() == version + 1, fact
        touched = changes(Table("gold", fact), version, version + 1, "date_day")
        assert touched is not None
        assert touched.days == {date(2026, 11, 2)}, fact
        untouched = [r for r in old if r["date_day"] != date(2026, 11, 2)]
        assert [r for r in rows(spark, fact) if r["date_day"] != date(2026, 11, 2)] == untouched, fact
        written = table.history(1)[0].get("userMetadata")
        assert (json.loads(written) if written else None) == (note if fact == "fct_sales_daily" else None), fact
    assert [r["product_id"] for r in rows(spark, "fct_sales_daily")] == ["TOY-001", "TOY-001", "TOY-002", "TOY-001"]

    # A day of its own for each mart, sales from lines of both days: none takes a day that is another's.
    own = {fact: [unasked if n % 2 else late] for n, fact in enumerate(FACTS)}
    versions = {fact: open_table(Table("gold", fact)).version() for fact in FACTS}  # type: ignore[union-attr]
    succeed(dbt(target, "run", "--select", "fct_*", dates=own))
    for fact, (day,) in own.items():
        touched = changes(Table("gold", fact), versions[fact], versions[fact] + 1, "date_day")
        assert touched is not None
        assert touched.days == {date.fromisoformat(day)}, fact

    succeed(dbt(target, "run", "--select", "fct_*", dates=[unasked]))
    by_days = {fact: rows(spark, fact) for fact in FACTS}
    succeed(dbt(target, "run", "--select", "fct_*", "--full-refresh"))
    assert by_days == {fact: rows(spark, fact) for fact in FACTS}


def test_a_day_without_rows_any_more_is_emptied(spark: SparkSession, built: str, target: Path) -> None:
    spark.sql("DELETE FROM silver.web_click WHERE event_date = DATE'2026-11-01'").collect()
    succeed(dbt(target, "run", "--select", "fct_web_sessions*", dates=["2026-11-01"]))
    assert [r["date_day"] for r in rows(spark, "fct_web_sessions_daily")] == [DAYS[1], DAYS[2]]


def test_a_query_that_breaks_its_contract_writes_nothing_and_says_which_column(spark: SparkSession, built: str, target: Path, tmp_path: Path) -> None:
    project = tmp_path / "dbt_project"
    shutil.copytree(ROOT / "dbt_project", project, ignore=shutil.ignore_patterns("target", "logs"))
    yml = project / "models/marts/sales/fct_late_orders_daily.yml"
    yml.write_text(yml.read_text("utf-8").replace("decimal(9,4)", "decimal(9,3)"), "utf-8")
    version = open_table(Table("gold", "fct_late_orders_daily")).version()  # type: ignore[union-attr]

    for refresh in ((), ("--full-refresh",)):
        done = dbt(tmp_path / "target", "run", "--select", "fct_late_orders_daily", *refresh, project=project)
        assert done.returncode == 1
        assert "late_order_rate: the yml says decimal(9,3), the query gives decimal(9,4)" in done.stdout
    assert open_table(Table("gold", "fct_late_orders_daily")).version() == version  # type: ignore[union-attr]


def test_a_bad_cast_fails_through_dbt_since_ansi_mode_is_on(built: str, target: Path) -> None:
    done = dbt(target, "show", "--inline", "select cast('many' as int) as units")
    assert done.returncode != 0
    assert "CAST_INVALID_INPUT" in done.stdout


def test_an_empty_list_of_dates_stops_the_run_before_anything_is_written(built: str, target: Path) -> None:
    done = dbt(target, "run", "--select", "fct_web_sessions_daily", dates=[])
    assert done.returncode == 1
    assert "at least one ISO date" in done.stdout


def limits(column: Column) -> list[Decimal]:
    """The least, the next and the greatest number that a contract accepts."""
    digits, scale = (int(n) for n in re.findall(r"\d+", column.type)) if column.type.startswith("decimal") else (0, 0)
    least, step = Decimal(str(column.minimum)), Decimal(1).scaleb(-scale)
    return [least, least + step, Decimal(10) ** (digits - scale) - step if column.maximum is None else Decimal(str(column.maximum))]


def test_whatever_numbers_the_contracts_accept_no_mart_fails(spark: SparkSession, built: str, target: Path) -> None:
    day, contracts = "2026-12-01", load_contracts(ROOT / "contracts")
    line = {"line_no": 1, "customer_id": "C00001", "status": "placed", "ordered_at": f"{day} 10:00:00", "order_date": day, "promised_date": day}
    for table, columns, fixed in (
        ("sales_order_line", ("quantity", "unit_price", "unit_cost", "discount"), line),
        ("production_run", ("planned_units", "produced_units", "scrap_units"), {"machine_id": "M01", "run_date": day}),
        ("sensor_reading", ("value",), {"machine_id": "M01", "metric": "pressure", "event_time": f"{day} 10:00:00", "event_date": day}),
        ("product", ("list_price", "unit_cost"), {"valid_from": "2026-01-01", "is_current": "true", "is_deleted": "false"}),
    ):
        numbers = [limits(c) for name in columns for c in contracts[table].columns if c.name == name]
        met = [fixed | dict(zip(columns, values, strict=True)) for values in itertools.product(*numbers)]
        if table != "sensor_reading":
            met = [r | {"product_id": f"TOY-{n + 100}"} for n, r in enumerate(met)]
        if table == "sales_order_line":  # each also with the same for nothing beside it
            met = [r | own for r in met for own in ({"order_id": "SO-1"}, {"order_id": "SO-2", "unit_price": 0, "discount": 0})]
        insert(spark, table, met)
        for rule in contracts[table].rules:
            if rule.on_fail == "quarantine":
                spark.sql(f"DELETE FROM silver.{table} WHERE NOT ({rule.expression})").collect()
    succeed(dbt(target, "build", "--exclude-resource-type", "unit_test", "--select", "fct_*", "dim_product", dates=[day]))


def project_with(folder: Path, **marts: str) -> Path:
    """A project of its own with these marts, all of one number a day, and without the example's models."""
    project = folder / "dbt_project"
    shutil.copytree(ROOT / "dbt_project", project, ignore=shutil.ignore_patterns("target", "logs", "models"))
    (project / "models/marts").mkdir(parents=True)
    columns = [{"name": "date_day", "data_type": "date"}, {"name": "n", "data_type": "int"}]
    tests = [{"unique_combination": {"arguments": {"columns": ["date_day"]}}}]
    for name, text in marts.items():
        (project / f"models/marts/{name}.sql").write_text(text, "utf-8")
        (project / f"models/marts/{name}.yml").write_text(json.dumps({"models": [{"name": name, "data_tests": tests, "columns": columns}]}), "utf-8")
    return project


def test_the_column_of_days_may_be_a_list_of_one_and_of_no_more(spark: SparkSession, tmp_path: Path) -> None:
    query = "select explode(sequence(date '2026-11-01', date '2026-11-03')) as date_day, {}"
    one = "{{ config(partition_by=['date_day']) }} select * from (" + query.format("1 as n") + ") where {{ in_dates('date_day') }}"
    two = "{{ config(partition_by=['date_day', 'n']) }} " + query.format("1 as n")
    project, target = project_with(tmp_path, fct_listed=one, fct_two=two), tmp_path / "target"
    succeed(dbt(target, "build", "--select", "fct_listed", project=project))
    listed = project / "models/marts/fct_listed.sql"
    listed.write_text(listed.read_text("utf-8").replace("1 as n", "2 as n"), "utf-8")
    succeed(dbt(target, "build", "--select", "fct_listed", project=project, dates=["2026-11-02"]))
    assert [r["n"] for r in rows(spark, "fct_listed")] == [1, 2, 1]

    done = dbt(target, "build", "--select", "fct_two", project=project)
    assert done.returncode == 1
    assert "fct_two has `partition_by` date_day, n: it is the one column of days." in done.stdout
    spark.sql("DROP TABLE gold.fct_listed").collect()


def test_a_mart_whose_table_has_other_columns_is_not_written_and_says_how_it_is_built_anew(spark: SparkSession, tmp_path: Path) -> None:
    project, target = project_with(tmp_path, fct_shaped="select date '2026-11-01' as date_day, 1 as n"), tmp_path / "target"
    succeed(dbt(target, "run", project=project))
    for file, old, new, said in (
        ("sql", "1 as n", "2L as n", "n: the yml says int, the query gives bigint"),
        ("yml", '"int"', '"bigint"', "fct_shaped was not written: its table and its query differ in n."),
    ):
        edited = project / f"models/marts/fct_shaped.{file}"
        edited.write_text(edited.read_text("utf-8").replace(old, new), "utf-8")
        done = dbt(target, "run", project=project, dates=["2026-11-01"])
        assert done.returncode == 1
        assert said in done.stdout
    assert "lakehouse materialize gold/fct_shaped --recreate" in done.stdout
    assert [r["n"] for r in rows(spark, "fct_shaped")] == [1]
    spark.sql("DROP TABLE gold.fct_shaped").collect()


def test_a_view_has_the_types_that_a_contract_was_widened_to_and_is_not_made_again_for_it(spark: SparkSession, tmp_path: Path) -> None:
    project, target = project_with(tmp_path), tmp_path / "target"
    (project / "models/staging").mkdir()
    query = "select price, price * 2 as twice from silver.widened"
    (project / "models/staging/stg_widened.sql").write_text(query, "utf-8")
    spark.sql("CREATE TABLE silver.widened (price decimal(10,2)) USING delta TBLPROPERTIES ('delta.enableTypeWidening' = 'true')").collect()
    spark.sql(f"CREATE VIEW staging.stg_widened AS {query}").collect()  # as a lake has it that was made before

    def made() -> str:
        succeed(dbt(target, "run", project=project))
        return next(target.rglob("run/**/stg_widened.sql")).read_text("utf-8")

    assert "create or replace view" in made()
    spark.sql("ALTER TABLE silver.widened ALTER COLUMN price TYPE decimal(12,4)").collect()
    spark.sql("INSERT INTO silver.widened VALUES (0.1249)").collect()
    assert "unchanged" in made()
    assert spark.table("staging.stg_widened").collect() == [Row(price=Decimal("0.1249"), twice=Decimal("0.2498"))]
    assert "unchanged" in made()
    spark.sql("DROP VIEW staging.stg_widened").collect()
    spark.sql("DROP TABLE silver.widened").collect()
