"""What the tables must hold, counted in plain Python while the files are written. The README beside this file defines every figure.

Here belong the counters, the Gold figures and their file. Not here: any rule of the business (each generator knows what its record is worth).
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

NO_DAY = "out_of_range"  # the source date of records in a folder whose date is before the contracts' start


def _counters() -> dict[str, Counter[str]]:
    return defaultdict(Counter)


@dataclass
class TableTruth:
    """Of one table: every record of its files ends as exactly one of accepted, superseded, quarantined and dropped.

    `reasons` counts quarantined and dropped records by rule (one with two reasons counts for both), `warned` the records that only draw a warning.
    `by_source_date` has the same counts per Bronze day, `by_event_date` the accepted rows per event date (empty for entity tables).
    """

    files: int = 0
    records: int = 0
    accepted: int = 0
    superseded: int = 0
    quarantined: int = 0
    dropped: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    warned: Counter[str] = field(default_factory=Counter)
    by_source_date: dict[str, Counter[str]] = field(default_factory=_counters)
    by_event_date: Counter[str] = field(default_factory=Counter)

    def accept(self, day: date, event_date: date | None = None) -> None:
        """A record of an identity not seen before."""
        self._count(str(day), "accepted")
        if event_date is not None:
            self.by_event_date[str(event_date)] += 1

    def replace(self, loser: date, winner: date) -> None:
        """A record that arrived on day `winner` wins over the accepted one from day `loser`."""
        self._count(str(winner), "accepted")
        self.accepted -= 1
        self.superseded += 1
        self.by_source_date[str(loser)]["accepted"] -= 1
        self.by_source_date[str(loser)]["superseded"] += 1

    def lose(self, day: date) -> None:
        """A good record whose identity has a better one already."""
        self._count(str(day), "superseded")

    def refuse(self, day: date | None, *reasons: str) -> None:
        """A record for quarantine, with all its reasons. No day: its folder's date is out of range."""
        self._count(str(day) if day else NO_DAY, "quarantined")
        self.reasons.update(reasons)

    def drop(self, day: date, rule: str) -> None:
        """A record that a rule drops."""
        self._count(str(day), "dropped")
        self.reasons[rule] += 1

    def _count(self, day: str, fate: str) -> None:
        self.records += 1
        setattr(self, fate, getattr(self, fate) + 1)
        self.by_source_date[day].update({"records": 1, fate: 1})


@dataclass
class Health:
    """Readings of one machine, metric and hour: how many, and the sum of their values in thousandths (exact)."""

    readings: int = 0
    thousandths: int = 0

    def add(self, value: float) -> None:
        """Take in an accepted reading."""
        self.readings += 1
        self.thousandths += round(value * 1000)

    def remove(self, value: float) -> None:
        """Take out a reading that a later version replaces."""
        self.readings -= 1
        self.thousandths -= round(value * 1000)

    @property
    def mean(self) -> float:
        """The mean value."""
        return self.thousandths / self.readings / 1000


@dataclass
class GoldTruth:
    """The figures that Gold must show. Keys are `date`, `date|product`, `date|country|segment`, `date|hour|machine|metric`; money is in cents until written.

    `health` holds the hours that can still change. `web`: sessions, visitors, clicks, and how far the sessions came, per day they began on.
    """

    sales: dict[str, Counter[str]] = field(default_factory=_counters)
    segments: dict[str, Counter[str]] = field(default_factory=_counters)
    production: dict[str, Counter[str]] = field(default_factory=_counters)
    late_orders: dict[str, Counter[str]] = field(default_factory=_counters)
    web: dict[str, Counter[str]] = field(default_factory=_counters)
    health: dict[str, Health] = field(default_factory=lambda: defaultdict(Health))
    machine_hours: Counter[str] = field(default_factory=Counter)
    anomalies: dict[str, float] = field(default_factory=dict)

    def close_health(self, limits: dict[str, tuple[float | None, float]], before: str = "9999") -> None:
        """Judge the hours of the days before, which no reading can change any more: keep those above the metric's maximum or below its minimum."""
        for key in [k for k in self.health if k[:10] < before]:
            health, (low, high) = self.health.pop(key), limits[key.split("|")[3]]
            if not health.readings:
                continue
            self.machine_hours[key[:10]] += 1
            if health.mean > high or (low is not None and health.mean < low):
                self.anomalies[key] = round(health.mean, 6)


@dataclass
class Truth:
    """What was generated, and what must come of it."""

    seed: int
    scale: float
    days: int
    first_day: date
    tables: dict[str, TableTruth] = field(default_factory=dict)
    gold: GoldTruth = field(default_factory=GoldTruth)

    def table(self, name: str) -> TableTruth:
        """The counters of a table, made on first use."""
        return self.tables.setdefault(name, TableTruth())

    def as_json(self) -> dict[str, Any]:
        """Everything as JSON values, keys sorted, zeros left out of the counters, money as decimal strings."""
        return {
            "seed": self.seed,
            "scale": self.scale,
            "days": self.days,
            "first_day": str(self.first_day),
            "tables": {name: _plain(dict(vars(table))) for name, table in sorted(self.tables.items())},
            "gold": {
                "sales": {k: _money(v) for k, v in sorted(self.gold.sales.items()) if v["order_lines"]},
                "segments": {k: _money(v) for k, v in sorted(self.gold.segments.items()) if v["order_lines"]},
                "production": _plain(self.gold.production),
                "late_orders": {k: _all(v, ("orders", "shipped_orders", "late_orders")) for k, v in sorted(self.gold.late_orders.items()) if v["orders"]},
                "web": {k: _all(v, WEB) for k, v in sorted(self.gold.web.items()) if v["clicks"]},
                "machine_hours": _plain(self.gold.machine_hours),
                "anomalies": dict(sorted(self.gold.anomalies.items())),
            },
        }

    def write(self, file: Path) -> None:
        """Write it as JSON, if that changes the file."""
        text = json.dumps(self.as_json(), indent=1) + "\n"
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


WEB = ("sessions", "visitors", "clicks", "cart_sessions", "checkout_sessions", "converted_sessions")


def _plain(value: Any) -> Any:
    """Sorted dictionaries, without the entries that are zero or empty in counters."""
    if isinstance(value, Counter):
        return {k: v for k, v in sorted(value.items()) if v}
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in (value.items() if "records" in value else sorted(value.items()))}
    return value


def _all(counter: Counter[str], names: tuple[str, ...]) -> dict[str, int]:
    return {name: counter[name] for name in names}


def _money(counter: Counter[str]) -> dict[str, int | str]:
    revenue, cost = counter["revenue"], counter["cost"]
    cents: dict[str, int] = {"list_revenue": counter["list_revenue"]}
    cents |= {"gross_revenue": counter["gross_revenue"], "discount": counter["discount"], "net_revenue": revenue, "cost": cost, "margin": revenue - cost}
    return {**_all(counter, ("order_lines", "orders", "units_sold", "unlisted_lines")), **{name: decimal(value) for name, value in cents.items()}}


def decimal(cents: int) -> str:
    """Cents as a decimal number with two places."""
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02d}"
