"""Production runs as Parquet: three shifts a day on every machine, closed, corrected, or reported days later.

Not here: which product a machine makes, and what goes wrong in the factory (`world`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import date, datetime, timedelta
from math import nan

import pyarrow as pa

from demo.landing import Landing
from demo.text import utc
from demo.truth import Truth
from demo.world import SHIFTS, World, made_by

LATENESS = 3
_INSTANT = pa.timestamp("us", tz="UTC")
_TYPES = {"planned_units": pa.int32(), "produced_units": pa.int32(), "scrap_units": pa.int32(), "energy_kwh": pa.float64()} | dict.fromkeys(
    ("started_at", "ended_at", "updated_at"), _INSTANT
)


@dataclass(frozen=True)
class Run:
    """One version of a run, as its record has it."""

    run_id: str
    machine_id: str
    product_id: str | None
    shift: str
    planned_units: int
    produced_units: int
    scrap_units: int
    energy_kwh: float | None
    started_at: datetime
    ended_at: datetime | None
    updated_at: datetime


# Faults: how a good run becomes a bad one, and the reasons that must be found.
_FAULTS: tuple[tuple[Callable[[Run], Run], tuple[str, ...]], ...] = (
    (lambda r: replace(r, product_id=None), ("product_id_required",)),
    (lambda r: replace(r, machine_id="press 4"), ("machine_id_pattern",)),
    (lambda r: replace(r, scrap_units=-3), ("scrap_units_in_range",)),
    (lambda r: replace(r, scrap_units=r.produced_units + 1), ("scrap_not_above_produced",)),
    (lambda r: replace(r, shift="lunch"), ("shift_in_set",)),
    (lambda r: replace(r, ended_at=r.started_at - timedelta(hours=1)), ("ends_after_start",)),
    (lambda r: replace(r, energy_kwh=nan), ("energy_kwh_not_nan",)),
    (lambda r: _moved(r, -LATENESS - 1), ("late",)),
    (lambda r: _moved(r, 3), ("future",)),
    (lambda r: replace(_moved(r, -20), shift=""), ("shift_in_set", "late")),
)


class Production:
    """Writes the runs of a day: one file a shift, and one with what came later."""

    def __init__(self, world: World, landing: Landing, truth: Truth) -> None:
        self._world, self._landing, self._truth = world, landing, truth
        self._current: dict[str, tuple[Run, date]] = {}  # the latest version of each run that can still change, and the day it came

    def day(self, day: date) -> None:
        """Write the files of a day. Must be called for the days in order."""
        index = self._world.index(day)
        for shift in SHIFTS:
            runs = [run for machine in self._machines() if (run := self._first_version(day, machine, shift))]
            if shift == "early":
                runs.insert(3, runs[2])  # the same record twice
            self._offer(runs, day)
            faulty = self._faulty(day, index) if shift == "late" else []
            self._write(f"dt={day}/runs-{shift}.parquet", [*runs, *faulty], backwards=shift == "late" and index % 3 == 1)
        if index:
            updates = self._updates(day)
            self._offer(updates, day)
            self._write(f"dt={day}/updates.parquet", updates)
        self._forget(day)

    def _machines(self) -> range:
        return range(1, self._world.machine_count + 1)

    def _run(self, day: date, machine: int, shift: str) -> Run:
        """The run as it is when it has ended."""
        dice, trouble, index = self._world.random(f"run {machine} {shift}", day), self._world.trouble(day), self._world.index(day)
        planned = self._world.count(dice.uniform(64, 76))
        output, scrap = dice.uniform(0.93, 1.02), dice.uniform(0.01, 0.04)
        if trouble and (trouble.machine, trouble.shift_name) == (machine, shift):
            output, scrap = trouble.output, trouble.scrap
        if machine == 7 and shift == "late" and index % 3 == 2:
            output = 1.3  # too much to be true
        produced, start = round(planned * output), utc(day, SHIFTS[shift] * 3600 + dice.randrange(600))
        end = start + timedelta(minutes=dice.randrange(440, 470))
        return Run(
            run_id=f"RUN-{day:%Y%m%d}-M{machine:02d}-{list(SHIFTS).index(shift) + 1}",
            machine_id=f"M{machine:02d}",
            product_id=made_by(machine)[(index + list(SHIFTS).index(shift)) % 2],
            shift=shift,
            planned_units=planned,
            produced_units=produced,
            scrap_units=round(produced * scrap),
            energy_kwh=round(produced * dice.uniform(0.8, 1.2), 3) if dice.random() > 0.1 else None,
            started_at=start,
            ended_at=end,
            updated_at=end + timedelta(minutes=5),
        )

    def _fate(self, day: date, machine: int, shift: str) -> str:
        """What happens to the record of a run: plain, corrected (the next day), again (sent twice), withheld (for days)."""
        chance = self._world.random(f"fate {machine} {shift}", day).random()
        if (machine, shift) == (6, "early"):
            return "withheld"
        return "withheld" if chance < 0.02 else "corrected" if chance < 0.10 else "again" if chance < 0.14 else "plain"

    def _first_version(self, day: date, machine: int, shift: str) -> Run | None:
        run = self._run(day, machine, shift)
        if self._fate(day, machine, shift) == "withheld":
            return None
        if shift == "night":  # still running when the day is exported
            made = run.produced_units * 2 // 5
            return replace(run, produced_units=made, scrap_units=made // 50, energy_kwh=None, ended_at=None, updated_at=utc(day, 23 * 3600 + 3000))
        return run

    def _updates(self, day: date) -> list[Run]:
        """What a day brings of the days before: night shifts closed, corrections, repetitions, and runs withheld so far."""
        updates, before = [], day - timedelta(days=1)
        for machine in self._machines():
            for shift in SHIFTS:
                run, fate = self._run(before, machine, shift), self._fate(before, machine, shift)
                if fate == "corrected":
                    more = run.scrap_units + (run.produced_units - run.scrap_units) // 20 + 1
                    updates.append(replace(run, scrap_units=min(run.produced_units, more), updated_at=utc(day, 9 * 3600 + machine)))
                elif fate == "again" or (fate == "plain" and shift == "night"):
                    updates.append(run)
        held = day - timedelta(days=LATENESS)
        if held >= self._world.first_day:
            updates += [self._run(held, m, s) for m in self._machines() for s in SHIFTS if self._fate(held, m, s) == "withheld"]
        return updates

    def _faulty(self, day: date, index: int) -> list[Run]:
        runs, truth = [], self._truth.table("production_run")
        for n in range(3):
            change, reasons = _FAULTS[(3 * index + n) % len(_FAULTS)]
            good = replace(self._run(day, 1, "late"), run_id=f"RUN-{day:%Y%m%d}-M9{n}-2", energy_kwh=1.0)
            runs.append(change(good))
            truth.refuse(day, *reasons)
        return runs

    def _offer(self, runs: Sequence[Run], day: date) -> None:
        """Let versions compete, in the order of their files and rows: the later updated_at wins, then the later place."""
        truth = self._truth.table("production_run")
        for run in runs:
            truth.warned["output_near_plan"] += run.produced_units > run.planned_units * 1.25
            if run.run_id not in self._current:
                truth.accept(day, run.started_at.date())
            else:
                current, came = self._current[run.run_id]
                if run.updated_at < current.updated_at:
                    truth.lose(day)
                    continue
                truth.replace(came, day)
                self._count(current, -1)
            self._current[run.run_id] = (run, day)
            self._count(run, 1)

    def _count(self, run: Run, sign: int) -> None:
        row = self._truth.gold.production[f"{run.started_at.date()}|{run.product_id}"]
        values = {"runs": 1, "planned_units": run.planned_units, "produced_units": run.produced_units, "scrap_units": run.scrap_units}
        for name, value in values.items():
            row[name] += sign * value

    def _forget(self, day: date) -> None:
        oldest = day - timedelta(days=LATENESS + 1)
        self._current = {k: v for k, v in self._current.items() if v[0].started_at.date() >= oldest}

    def _write(self, path: str, runs: Sequence[Run], *, backwards: bool = False) -> None:
        names = [f.name for f in fields(Run)]
        rows = [asdict(run) for run in runs]
        table = pa.table({name: pa.array([row[name] for row in rows], _TYPES.get(name, pa.string())) for name in (names[::-1] if backwards else names)})
        self._truth.table("production_run").files += 1
        self._landing.parquet(f"production/production_run/{path}", table)


def _moved(run: Run, days: int) -> Run:
    """The same run on another day, which its number does not say."""
    by = timedelta(days=days)
    return replace(run, started_at=run.started_at + by, ended_at=run.ended_at + by if run.ended_at else None)
