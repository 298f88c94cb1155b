"""Windows over time in Gold: whatever order clicks and readings arrive in, and however late, sessions and five-minute windows are those of one batch."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from lakehouse.contracts.loader import load_contracts
from lakehouse.engine import metadata
from lakehouse.gold.progress import Stale, notes, stale
from lakehouse.gold.project import Model, manifest_path, models
from lakehouse.tables import Table
from tests.spark.gold import ROOT, dbt, insert, make_silver, succeed

MARTS = ("fct_machine_health_5min", "fct_web_sessions", "fct_web_sessions_daily")
FIRST, DAYS, BATCHES = datetime(2026, 11, 1), 6, 2
ACTIONS = ("view", "search", "add_to_cart", "checkout", "purchase")


def clicks(dice: random.Random) -> Iterator[dict[str, Any]]:
    """Visitors with every kind of pause, at midnight too; the last one clicks for days without one."""
    number = 0
    for visitor in range(5):
        at = FIRST + timedelta(minutes=dice.randrange(60))
        restless_until = FIRST + timedelta(days=3 if visitor == 4 else 0)
        while at < FIRST + timedelta(days=DAYS - 1):
            number += 1
            yield {
                "click_id": f"K-{number:06d}",
                "visitor_id": f"V{visitor}",
                "action": dice.choice(ACTIONS),
                "event_time": str(at),
                "event_date": str(at.date()),
            }
            if at < restless_until:
                at += timedelta(minutes=dice.choice((0, 29, 30)))
                continue
            midnight = datetime.combine(at.date() + timedelta(days=1), datetime.min.time())
            near_midnight = midnight + timedelta(minutes=dice.randrange(-20, 20)) - at
            pauses = [timedelta(minutes=dice.randrange(30)), timedelta(minutes=30), timedelta(minutes=30, seconds=1), timedelta(hours=9), near_midnight]
            at += max(dice.choice(pauses), timedelta())


def readings(dice: random.Random) -> Iterator[dict[str, Any]]:
    for number in range(400):
        at = FIRST + timedelta(seconds=dice.randrange(DAYS * 288) * 300 + dice.choice((0, 1, 150, 299)))
        value = round(dice.uniform(60, 100), 3)
        yield {"reading_id": f"R-{number}", "machine_id": "M01", "metric": "temperature", "value": value, "event_time": str(at), "event_date": str(at.date())}


def sessions_of(known: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """The rule in plain Python: one walk over each visitor's clicks."""
    found: list[list[dict[str, Any]]] = []
    last: dict[str, tuple[datetime, datetime]] = {}  # visitor: the click before, and the first click after the last pause
    for click in sorted(known, key=lambda c: (c["visitor_id"], c["event_time"], c["click_id"])):
        at = datetime.fromisoformat(click["event_time"])
        before, rested = last.get(click["visitor_id"], (datetime.min, at))
        if at - before > timedelta(minutes=30):
            rested = at
        if rested == at and at != before or (at.date() > before.date() > rested.date()):
            found.append([])
        found[-1].append(click)
        last[click["visitor_id"]] = (at, rested)
    return sorted(
        (
            s[0]["event_date"],
            s[0]["visitor_id"],
            s[0]["event_time"],
            s[-1]["event_time"],
            len(s),
            *(any(c["action"] == a for c in s) for a in ("add_to_cart", "checkout", "purchase")),
        )
        for s in found
    )


def windows_of(known: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    groups: dict[str, list[float]] = {}
    for reading in known:
        at = datetime.fromisoformat(reading["event_time"])
        groups.setdefault(str(at.replace(minute=at.minute // 5 * 5, second=0)), []).append(reading["value"])
    return sorted((start, len(v), round(sum(v) / len(v), 6), sum(v) / len(v) > 80) for start, v in groups.items())


@pytest.fixture(scope="module")
def tables(spark: SparkSession) -> Iterator[None]:
    contracts = {name: c for name, c in load_contracts(ROOT / "contracts").items() if name in ("web_click", "sensor_reading", "machine")}
    for contract in contracts.values():
        make_silver(spark, contract)
    insert(spark, "machine", [{"machine_id": "M01", "temperature_max": 80, "vibration_max": 5, "pressure_min": 90, "pressure_max": 120}])
    yield
    for name in (*(f"gold.{m}" for m in MARTS), *(f"silver.{n}" for n in contracts)):
        spark.sql(f"DROP TABLE IF EXISTS {name}").collect()


def follow(spark: SparkSession, target: Path, run: str) -> list[Stale]:
    """Bring the marts up to date as an incremental run does: the dates and the notes are the platform's own."""
    manifest = manifest_path()
    marts: list[Model] = [m for m in models(manifest, manifest.stat().st_mtime) if m.name in MARTS]
    due = [stale(m, load_contracts(ROOT / "contracts"), lambda: spark) for m in marts]
    told: dict[str, Any] = {"commit_metadata": notes(marts, run, {d.model.name: d.taken for d in due})}
    if all(d.dates is not None for d in due):
        told["dates"] = {s.model.name: sorted(map(str, s.dates)) for s in due if s.dates}
    views = ("stg_web_click", "stg_sensor_reading", "stg_machine") if "dates" not in told else ()
    succeed(dbt(target, "run", "--select", *views, *MARTS, **told))
    return due


def check(spark: SparkSession, known: dict[str, list[dict[str, Any]]]) -> None:
    columns = "date_day, visitor_id, started_at, ended_at, clicks, has_cart, has_checkout, is_converted"
    found = [tuple(map(plain, r)) for r in spark.sql(f"SELECT {columns} FROM gold.fct_web_sessions").collect()]
    expected = sessions_of(known["web_click"])
    assert sorted(found) == expected
    daily = {str(r[0]): tuple(r[1:]) for r in spark.sql("SELECT date_day, sessions, clicks, converted_sessions FROM gold.fct_web_sessions_daily").collect()}
    days = {s[0] for s in expected}
    assert daily == {d: tuple(sum(s[n] if n else 1 for s in expected if s[0] == d) for n in (0, 4, 7)) for d in days}
    health = spark.sql("SELECT window_start, readings, round(mean_value, 6), is_anomaly FROM gold.fct_machine_health_5min").collect()
    assert sorted(tuple(map(plain, r)) for r in health) == windows_of(known["sensor_reading"])


def plain(value: Any) -> Any:
    return str(value) if isinstance(value, datetime | date) else value


@pytest.mark.timeout(1200)  # three runs of dbt, each from the start of a process
def test_windows_equal_the_batch_result_after_every_shuffled_and_late_arrival(spark: SparkSession, tables: None, tmp_path: Path) -> None:
    dice = random.Random(20)
    arriving = {"web_click": list(clicks(dice)), "sensor_reading": list(readings(dice))}
    for records in arriving.values():
        dice.shuffle(records)
    known: dict[str, list[dict[str, Any]]] = {name: [] for name in arriving}
    for batch in range(BATCHES):
        for name, records in arriving.items():
            part = records[batch::BATCHES]
            insert(spark, name, part)
            known[name] += part
        follow(spark, tmp_path, f"batch {batch}")
        check(spark, known)

    # A single click closes the gap between two sessions of two days: only the days that can read it are built again.
    late = {"click_id": "K-late", "visitor_id": "V9", "action": "view", "event_time": "2026-11-04 23:59:59", "event_date": "2026-11-04"}
    insert(spark, "web_click", [late])
    known["web_click"].append(late)
    before = metadata.open_table(Table("gold", "fct_web_sessions")).version()  # type: ignore[union-attr]
    (due,) = [s for s in follow(spark, tmp_path, "late") if s.model.name == "fct_web_sessions"]
    check(spark, known)
    assert due.dates == {date(2026, 11, d) for d in (3, 4, 5, 6)}
    touched = metadata.changes(Table("gold", "fct_web_sessions"), before, before + 1, "date_day")
    assert touched is not None and touched.days <= due.dates
    assert json.loads(metadata.open_table(Table("gold", "fct_web_sessions")).history(1)[0]["userMetadata"])["run"].startswith("late/")  # type: ignore[union-attr]
