"""Gold's figures, computed from the accepted rows that the recount found. Shares no code with the generator or the platform."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

Rows = Iterable[dict[str, Any]]


def sales(lines: Rows, products: Rows) -> dict[str, dict[str, Any]]:
    """Figures of `date|product`, without cancelled lines; list prices as they were when a line was ordered."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in _counting(lines):
        groups[f"{line['order_date']}|{line['product_id']}"].append(line)
    return {key: _sales_figures(group, list(products)) for key, group in groups.items()}


def segments(lines: Rows, customers: Rows, products: Rows) -> dict[str, dict[str, Any]]:
    """The same of `date|country|segment`, of the customers as they were when a line was ordered."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    known = list(customers)
    for line in _counting(lines):
        buyer = _as_of([c for c in known if c["customer_id"] == line["customer_id"]], line["ordered_at"])
        groups[f"{line['order_date']}|{buyer['country']}|{buyer['segment']}" if buyer else f"{line['order_date']}|unknown|unknown"].append(line)
    return {key: _sales_figures(group, list(products)) for key, group in groups.items()}


def _counting(lines: Rows) -> list[dict[str, Any]]:
    return [line for line in lines if line["status"] != "cancelled"]


def _as_of(versions: Rows, moment: datetime) -> dict[str, Any] | None:
    """The version that is valid at a moment, if it is not a deletion."""
    valid = [v for v in versions if v["valid_from"] <= moment and (v["valid_to"] is None or moment < v["valid_to"])]
    assert len(valid) <= 1
    return valid[0] if valid and not valid[0]["is_deleted"] else None


def _sales_figures(group: list[dict[str, Any]], products: list[dict[str, Any]]) -> dict[str, Any]:
    gross = sum((x["quantity"] * x["unit_price"] for x in group), Decimal(0))
    discount = sum((x["discount"] or Decimal(0) for x in group), Decimal(0))
    cost = sum((x["quantity"] * x["unit_cost"] for x in group), Decimal(0))
    listed = [(x, _as_of([p for p in products if p["product_id"] == x["product_id"]], x["ordered_at"])) for x in group]
    at_list = sum((x["quantity"] * p["list_price"] for x, p in listed if p), Decimal(0))
    money = {"list_revenue": at_list, "gross_revenue": gross, "discount": discount, "net_revenue": gross - discount, "cost": cost}
    money["margin"] = gross - discount - cost
    counts = {"order_lines": len(group), "orders": len({x["order_id"] for x in group}), "units_sold": sum(x["quantity"] for x in group)}
    counts["unlisted_lines"] = sum(p is None for _, p in listed)
    return {**counts, **{name: f"{value:.2f}" for name, value in money.items()}}


def late_orders(lines: Rows) -> dict[str, dict[str, int]]:
    """Per day: orders with a line that counts, those shipped whole, those of which a line was shipped after its promised day."""
    orders: dict[tuple[date, str], list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        if line["status"] != "cancelled":
            orders[line["order_date"], line["order_id"]].append(line)
    days: dict[str, dict[str, int]] = defaultdict(lambda: {"orders": 0, "shipped_orders": 0, "late_orders": 0})
    for (day, _), group in orders.items():
        days[str(day)]["orders"] += 1
        days[str(day)]["shipped_orders"] += all(x["shipped_at"] for x in group)
        days[str(day)]["late_orders"] += any(x["shipped_at"] and x["shipped_at"].date() > x["promised_date"] for x in group)
    return dict(days)


def production(runs: Rows) -> dict[str, dict[str, int]]:
    """Figures of `date|product`."""
    result: dict[str, dict[str, int]] = defaultdict(lambda: {"planned_units": 0, "produced_units": 0, "runs": 0, "scrap_units": 0})
    for run in runs:
        row = result[f"{run['run_date']}|{run['product_id']}"]
        row["runs"] += 1
        for name in ("planned_units", "produced_units", "scrap_units"):
            row[name] += run[name]
    return dict(result)


def health(readings: Rows, machines: Rows) -> tuple[dict[str, int], dict[str, float], float]:
    """Machine-hours per day; mean of the anomalous `date|hour|machine|metric`; how near any mean comes to its limit."""
    limits = {m["machine_id"]: m for m in machines}
    groups: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for r in readings:
        groups[f"{r['event_time']:%Y-%m-%d|%H}", r["machine_id"], r["metric"]].append(r["value"])
    hours: dict[str, int] = defaultdict(int)
    anomalies, nearest = {}, math.inf
    for (hour, machine, metric), values in groups.items():
        hours[hour[:10]] += 1
        mean, limit = math.fsum(values) / len(values), limits[machine]
        low = limit["pressure_min"] if metric == "pressure" else -math.inf
        high = limit[f"{metric}_max"]
        nearest = min(nearest, abs(mean - high), abs(mean - low))
        if mean > high or mean < low:
            anomalies[f"{hour}|{machine}|{metric}"] = mean
    return dict(hours), anomalies, nearest


def web(clicks: Rows) -> dict[str, dict[str, int]]:
    """Per day: sessions that began on it (a gap of more than 30 minutes ends one), their visitors and clicks, and how far they came."""
    by_visitor: dict[str, list[tuple[datetime, str]]] = defaultdict(list)
    for click in clicks:
        by_visitor[click["visitor_id"]].append((click["event_time"], click["action"]))
    result: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(("sessions", "visitors", "clicks", *_STEPS), 0))
    for visits in by_visitor.values():
        visits.sort()
        sessions = [[visits[0]]]
        for before, click in pairwise(visits):
            sessions.append([click]) if click[0] - before[0] > timedelta(minutes=30) else sessions[-1].append(click)
        for day in {s[0][0].date() for s in sessions}:
            result[str(day)]["visitors"] += 1
        for session in sessions:
            row = result[str(session[0][0].date())]
            row["sessions"] += 1
            row["clicks"] += len(session)
            for name, action in _STEPS.items():
                row[name] += any(a == action for _, a in session)
    return dict(result)


_STEPS = {"cart_sessions": "add_to_cart", "checkout_sessions": "checkout", "converted_sessions": "purchase"}
