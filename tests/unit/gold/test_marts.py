"""Which marts by day are refused, since their days are none of Silver's: SQL as people write it, with the answer by hand."""

from __future__ import annotations

from pathlib import Path

from lakehouse.contracts.loader import load_contracts
from lakehouse.gold.marts import lake_marts
from lakehouse.settings import PROJECT
from tests.unit.gold.test_project import project, write

__all__ = ["project"]
CONTRACTS = load_contracts(PROJECT / "contracts")
LINES, CLICKS, READINGS = "{{ source('silver', 'sales_order_line') }}", "{{ source('silver', 'web_click') }}", "{{ source('silver', 'sensor_reading') }}"
CUSTOMERS, MACHINES = "{{ source('silver', 'customer') }}", "{{ source('silver', 'machine') }}"

FIT = {
    "fct_plain": f"select event_date as date_day, count(*) as n from {CLICKS} where {{{{ in_dates('event_date') }}}} group by 1",
    "fct_cast": f"with one as (select cast(event_date as date) as d from {CLICKS}) select d as date_day, count(*) as n from one group by d",
    "fct_time": f"select cast(event_time as date) as date_day, count(*) as n from {CLICKS} group by 1",
    "fct_union": f"select event_date as date_day, 1 as n from {CLICKS} union all select event_date, 2 from {READINGS}",
    "fct_full": f"""select coalesce(c.event_date, r.event_date) as date_day, 1 as n from {CLICKS} as c
        full join {READINGS} as r on c.event_date = r.event_date""",
    "fct_equal": f"select c.event_date as date_day, 1 as n from {CLICKS} as c join {LINES} as l on c.order_id = l.order_id and l.order_date = c.event_date",
    "fct_filtered": f"select c.event_date as date_day, 1 as n from {CLICKS} as c, {LINES} as l where l.order_date <=> c.event_date and (l.line_no = 1)",
    "fct_using": """select date_day, 1 as n from {{ ref('fct_plain') }} join {{ ref('fct_union') }} using (date_day)""",
    "fct_history": f"select c.event_date as date_day, 1 as n from {CLICKS} as c join {CUSTOMERS} as k on {{{{ as_of('k', 'c.event_time') }}}}",
    "dim_days": "select explode(sequence(date '2026-01-01', date '2026-12-31')) as date_day, 1 as n",
    "fct_calendar": f"""select d.date_day, count(c.click_id) as n from {{{{ ref('dim_days') }}}} as d
        left join {CLICKS} as c on c.event_date = d.date_day group by 1""",
    "fct_filled": f"select event_date as date_day, 1 as n from {CLICKS} union all select date_day, 0 from {{{{ ref('dim_days') }}}}",
    "fct_serviced": f"select last_service_on as date_day, count(*) as n from {MACHINES} group by 1",
    "dim_month": "select trunc(date_day, 'month') as date_day, sum(n) as n from {{ ref('fct_plain') }} group by 1",
    "fct_over_month": f"""select c.event_date as date_day, m.n from {CLICKS} as c
        join {{{{ ref('dim_month') }}}} as m on m.date_day = trunc(c.event_date, 'month')""",
    "fct_declared": f"select date_trunc('month', event_date) as date_day, 1 as n from {CLICKS}",
    "fct_over_declared": "select date_day, count(*) as n from {{ ref('fct_declared') }} group by 1",
}
UNFIT = {
    "fct_month": (f"select cast(trunc(event_date, 'month') as date) as date_day, 1 as n from {CLICKS}", "silver.web_click.event_date"),
    "fct_month_above": ("select cast(trunc(date_day, 'month') as date) as date_day, n from {{ ref('fct_plain') }}", "silver.web_click.event_date"),
    "fct_local": (f"select cast(event_time + interval 2 hours as date) as date_day, 1 as n from {CLICKS}", "silver.web_click.event_date"),
    "fct_shipped": (f"select cast(shipped_at as date) as date_day, 1 as n from {LINES}", "silver.sales_order_line.order_date"),
    "fct_promised": (f"select promised_date as date_day, 1 as n from {LINES} where order_date = '2026-01-01'", "silver.sales_order_line.order_date"),
    "fct_either": (f"select coalesce(promised_date, order_date) as date_day, 1 as n from {LINES}", "an event date of Silver"),
    "fct_branches": (f"select order_date as date_day, 1 as n from {LINES} union all select promised_date, 2 from {LINES}", "an event date of Silver"),
    "fct_first": (f"select min(event_date) as date_day, count(*) as n from {CLICKS} group by visitor_id", "silver.web_click.event_date"),
    "fct_one_of_two": (
        f"select l.order_date as date_day, 1 as n from {LINES} as l join {CLICKS} as c on c.order_id = l.order_id",
        "silver.web_click.event_date",
    ),
    "fct_changes": (f"select cast(valid_from as date) as date_day, 1 as n from {CUSTOMERS}", "an event date of Silver"),
    "fct_either_day": (
        f"""select c.event_date as date_day, 1 as n from {CLICKS} as c, {LINES} as l
        where l.order_date = c.event_date or l.line_no = 1""",
        "silver.sales_order_line.order_date",
    ),
    "fct_constant": (f"select date '2026-01-01' as date_day, 1 as n from {CLICKS}", "silver.web_click.event_date"),
}


def test_marts_by_day_are_refused_whose_days_are_not_silvers(project: Path) -> None:
    write(project, **FIT, **{name: sql for name, (sql, _) in UNFIT.items()}, fct_above="select date_day, n from {{ ref('fct_local') }}")
    declared = project / "models/marts/web/fct_declared.yml"
    declared.write_text(declared.read_text().replace("columns:", "meta: {reads_days: {before: 31, after: 31}}, columns:"))
    found = lake_marts(CONTRACTS)
    assert {m.name for m in found.models} == set(FIT)
    assert found.refused.keys() == {*UNFIT, "fct_above"}
    assert {name: why in found.refused[name] for name, (_, why) in UNFIT.items()} == dict.fromkeys(UNFIT, True)
    assert found.refused["fct_above"] == "It reads fct_local, which is left out."


def test_the_days_of_the_example_are_silvers() -> None:
    found = lake_marts(CONTRACTS)
    assert (found.elsewhere, found.refused) == ({}, {})


def test_sql_that_can_not_be_followed_is_taken_on_trust(project: Path) -> None:
    write(project, fct_odd=f"select cast(trunc(event_date, 'month') as date) as date_day, 1 as n from {CLICKS} natural join values (1)")
    assert [m.name for m in lake_marts(CONTRACTS).models] == ["fct_odd"]
