"""Every table of the example held against the generator's truth (P1 to P4), wherever the lake is: counted while the files were written."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from tests.integration.conftest import Lake

GRAINS = {"segments": ("country", "segment")}


def truth(lake: Lake) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((lake.landing / "truth.json").read_text())
    return found


def check_tables(lake: Lake) -> None:
    """Every Bronze, Silver and quarantine table against the truth."""
    for name, expected in truth(lake)["tables"].items():
        bronze = lake.sql(f"bronze.{name}", "select count(*) from t")[0][0]
        silver = lake.sql(f"silver.{name}", "select count(*) from t")[0][0]
        refused = dict(lake.sql(f"quarantine.{name}", "select _disposition, count(*) from t group by 1"))
        reasons = dict(lake.sql(f"quarantine.{name}", "select reason, count(*) from (select unnest(_reasons) reason from t) group by 1"))
        warned = {r for r in reasons if r not in expected["reasons"]}
        assert (name, bronze, silver) == (name, expected["records"], expected["accepted"])
        assert (name, refused.get("quarantined", 0), refused.get("dropped", 0)) == (name, expected["quarantined"], expected["dropped"])
        assert {r: n for r, n in reasons.items() if r not in warned} == expected["reasons"], name


def figures(expected: dict[str, Any], *names: str) -> tuple[Any, ...]:
    """Figures of the truth; its counters leave zeros out, and money is text."""
    return tuple(Decimal(v) if isinstance(v := expected.get(name, 0), str) else v for name in names)


def check_gold(lake: Lake) -> None:
    """Every mart against figures that were counted while the files were written."""
    gold = truth(lake)["gold"]
    for mart, key, names in (
        ("fct_sales_daily", "sales", ("order_lines", "orders", "units_sold", "unlisted_lines", "list_revenue", "net_revenue", "cost", "margin")),
        ("fct_sales_by_segment_daily", "segments", ("order_lines", "orders", "units_sold", "net_revenue", "margin")),
        ("fct_late_orders_daily", "late_orders", ("orders", "shipped_orders", "late_orders")),
        ("fct_production_daily", "production", ("planned_units", "produced_units", "scrap_units")),
        ("fct_web_sessions_daily", "web", ("sessions", "visitors", "clicks", "converted_sessions")),
    ):
        grain = ", ".join(("date_day", *GRAINS.get(key, ("product_id",)))[: next(iter(gold[key])).count("|") + 1])
        rows = lake.sql(f"gold.{mart}", f"select {grain}, {', '.join(f'sum({n})' for n in names)} from t group by {grain}")
        width = len(grain.split(", "))
        assert {"|".join(map(str, r[:width])): tuple(r[width:]) for r in rows} == {k: figures(v, *names) for k, v in gold[key].items()}, mart
    odd = lake.sql("gold.fct_machine_health_hourly", "select date_day, hour(hour_start), machine_id, metric from t where is_anomaly")
    assert {f"{d}|{h:02d}|{m}|{x}" for d, h, m, x in odd} == set(gold["anomalies"])


def check_conservation(lake: Lake) -> None:
    """Every Bronze day is accounted for in the tables alone."""
    for name, expected in truth(lake)["tables"].items():
        rows = dict(lake.sql(f"bronze.{name}", "select coalesce(cast(_source_date as varchar), 'out_of_range'), count(*) from t group by 1"))
        applied = dict(lake.sql(f"silver.{name}", "select cast(_source_date as varchar), count(*) from t group by 1"))
        refused = dict(lake.sql(f"quarantine.{name}", "select coalesce(cast(_source_date as varchar), 'out_of_range'), count(*) from t group by 1"))
        for day, counted in expected["by_source_date"].items():
            assert rows[day] == applied.get(day, 0) + counted.get("superseded", 0) + refused.get(day, 0), (name, day)
