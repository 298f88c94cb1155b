"""What a Silver or quarantine table has to do to catch up with Bronze, decided from the tables' logs alone; no Spark job.

An append-only stretch of Bronze is an increment. Whatever its appended files can't give is a rebuild of exactly what it concerns.

A replay or rebuild moves records between quarantine and Silver in two commits, and a table can go back alone (`RESTORE`). So both tables keep the last of
these in their notes: where the notes differ, one table lacks what the other knows of, and the dates concerned are built anew in both.
Not here: doing it (`silver.build`).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from lakehouse.contracts.model import Contract
from lakehouse.engine import metadata
from lakehouse.engine.metadata import Day, Note, Rejudged, TableState
from lakehouse.silver.dates import bronze_days, event_dates
from lakehouse.tables import Layer

KEPT = 8  # replays and rebuilds that a note remembers: a table that goes back over more of them is built anew as a whole
MANY = 100  # dates beyond which a note says "all"
Step = Literal["nothing", "append", "rebuild", "replay"]


@dataclass(frozen=True)
class Again:
    """Which refused records are judged again: those that broke this rule (None: any), of these Bronze days (None: all).

    `arrived`: those that waited for a row of another table which is there by now.
    """

    rule: str | None = None
    days: frozenset[Day] | None = None
    arrived: bool = False

    def to_json(self) -> str:
        """As a run's tag carries it."""
        days = sorted(self.days, key=str) if self.days is not None else None
        return json.dumps({"rule": self.rule, "days": days}, default=str)

    @staticmethod
    def parse(text: str) -> Again:
        """From a run's tag."""
        found = json.loads(text)
        days = found.get("days")
        return Again(found.get("rule"), frozenset(date.fromisoformat(d) if d else None for d in days) if days is not None else None)

    def __str__(self) -> str:
        if self.arrived:
            return "records that waited for rows which are there now"
        days = f" of {', '.join(str(d or 'no day') for d in sorted(self.days, key=str))}" if self.days is not None else ""
        return f"records that broke {self.rule or 'any rule'}{days}"


@dataclass(frozen=True)
class Chosen:
    """The records to judge again: how many they are, and in which version of the quarantine table they stand."""

    again: Again
    version: int
    records: int


@dataclass(frozen=True)
class Plan:
    """One step from Bronze version `after` (None: from nothing) to `until`.

    An append reads the data `files` that Bronze gained, with so many `rows`, of the Bronze `days`. A rebuild concerns all records that belong to the `dates`;
    None: all there are. A replay concerns the `chosen` records of the Bronze `days`. `done` is how both tables remember it; `rejudged`, unless None, all
    that they know of afterwards. `why` is for people. `parents` are the tables that records are judged by, by name (None: as they are when it is carried
    out); `settles` the layers that follow them by this step.
    """

    step: Step
    source: str  # id of the Bronze table
    after: int | None
    until: int
    days: frozenset[Day] | None = None
    dates: frozenset[Day] | None = None
    why: str = ""
    files: tuple[str, ...] = ()
    rows: int = 0
    chosen: Chosen | None = None
    done: Rejudged | None = None
    rejudged: tuple[Rejudged, ...] | None = None
    parents: Mapping[str, TableState] | None = None
    settles: frozenset[Layer] = frozenset()

    def __str__(self) -> str:
        return f"{self.step} to Bronze version {self.until}" + (f" ({self.why})" if self.why else "")


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
    plan = Plan("append", bronze.id, after, until, touched.days, files=touched.files, rows=touched.rows)
    return rebuild_of(contract, replace(plan, why="Bronze days were replaced"), touched.days) if touched.replaced else plan


def rows_to_judge(contract: Contract, plan: Plan) -> int:
    """How many Bronze rows it takes to carry a plan out."""
    if plan.step == "append":
        return plan.rows
    bronze = metadata.open_table(contract.bronze, plan.until)
    held = metadata.rows_by_partition(bronze, "_source_date") if bronze is not None else {}
    days = plan.days if plan.chosen is not None else bronze_days(contract, plan.dates) if plan.dates is not None else None
    return sum(n for day, n in held.items() if days is None or day in days)


def rows_at(contract: Contract, dates: Collection[Day]) -> int:
    """How many rows of Silver a MERGE into these dates looks at; all, where the table has none."""
    silver = metadata.open_table(contract.silver)
    held = metadata.rows_by_partition(silver, contract.event_date) if silver is not None else {}
    return sum(n for day, n in held.items() if contract.event_date is None or day in dates)


def rebuild_of(contract: Contract, plan: Plan, days: Collection[Day]) -> Plan:
    """The rebuild that these Bronze days need instead: of the dates that their records belong to, or of everything where a row's identity has no date."""
    if contract.event_date is None:
        return replace(plan, step="rebuild", days=None, dates=None, files=())
    return replace(plan, step="rebuild", days=frozenset(days), dates=event_dates(contract, days), files=())


def together(contract: Contract, one: Plan, other: Plan) -> Plan:
    """One rebuild of all that Silver, or quarantine, or both have yet to take in."""
    lacking = [p for p in (one, other) if p.step != "nothing"]
    base, days = replace(lacking[0], why="Silver and quarantine stood at different versions"), [p.days for p in lacking]
    if None in days:
        return replace(base, step="rebuild", after=None, days=None, dates=None, files=())
    return rebuild_of(contract, base, frozenset().union(*(d for d in days if d is not None)))


def remembered(plan: Plan) -> Rejudged:
    """How the tables will know of a replay or rebuild."""
    concerned = plan.days if plan.step == "replay" else plan.dates
    days = None if concerned is None or len(concerned) > MANY else tuple(sorted(concerned, key=str))
    return Rejudged(uuid.uuid4().hex[:8], days)


def known(silver: Note | None, quarantine: Note | None, *done: Rejudged) -> tuple[Rejudged, ...]:
    """The replays and rebuilds that either table knows of, and these."""
    one, other = (note.rejudged if note else () for note in (silver, quarantine))
    return tuple(dict.fromkeys((*one, *other, *done)))[-KEPT:]


def torn(silver: Note | None, quarantine: Note | None) -> frozenset[Day] | None:
    """The dates of replays and rebuilds that only one of both tables knows of; None when these are all, or can't be told any more."""
    one, other = (set(note.rejudged) if note else set() for note in (silver, quarantine))
    if one != other and not one & other and KEPT in (len(one), len(other)):
        return None
    missing = [rejudged.days for rejudged in one ^ other]
    return None if None in missing else frozenset(day for days in missing for day in days or ())
