"""What a Silver or quarantine table has to do to catch up with Bronze, decided from the tables' logs alone; no Spark job.

An append-only stretch of Bronze is an increment. Whatever its appended files can't give is a rebuild of exactly what it concerns.
Not here: doing it (`silver.build`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal

from lakehouse.contracts.model import Contract
from lakehouse.engine import metadata
from lakehouse.engine.metadata import Day, TableState

Step = Literal["nothing", "append", "rebuild"]


@dataclass(frozen=True)
class Plan:
    """One step from Bronze version `after` (None: from nothing) to `until`.

    An append reads the data `files` that Bronze gained. A rebuild concerns the Bronze `days` and the event `dates`; None means all of them.
    `why` is for people.
    """

    step: Step
    source: str  # id of the Bronze table
    after: int | None
    until: int
    days: frozenset[Day] | None = None
    dates: frozenset[date] | None = None
    why: str = ""
    files: tuple[str, ...] = ()


def catch_up(contract: Contract, target: TableState, bronze: TableState) -> Plan:
    """What brings `target` to Bronze's newest version."""
    after, until = target.consumed(bronze), bronze.version
    if after is None:
        return Plan("rebuild", bronze.id, None, until, why="nothing is recorded as consumed")
    if target.holds(bronze):
        return Plan("nothing", bronze.id, after, until)
    touched = metadata.changes(contract.bronze, after, until, "_source_date")
    if touched is None:
        return Plan("rebuild", bronze.id, after, until, why=f"Bronze's log since version {after} is gone")
    plan = Plan("append", bronze.id, after, until, touched.days, files=touched.files)
    return rebuild_of(contract, replace(plan, why="Bronze days were replaced"), touched.days) if touched.replaced else plan


def rebuild_of(contract: Contract, plan: Plan, days: Collection[Day]) -> Plan:
    """The rebuild that these Bronze days need instead: of their event dates, or of everything where a row's identity has no date."""
    if contract.event_date is None:
        return replace(plan, step="rebuild", days=None, dates=None, files=())
    return replace(plan, step="rebuild", days=frozenset(days), dates=event_dates(contract, days), files=())


def event_dates(contract: Contract, days: Collection[Day]) -> frozenset[date]:
    """The event dates that records of these Bronze days can have."""
    reach = range(-contract.lateness_days, 2)
    return frozenset(day + timedelta(days=n) for day in days if day is not None for n in reach)


def bronze_days(contract: Contract, dates: Collection[date]) -> frozenset[date]:
    """The Bronze days that can hold records of these event dates."""
    reach = range(-1, contract.lateness_days + 1)
    return frozenset(d + timedelta(days=n) for d in dates for n in reach)
