"""Sensor readings as JSON lines: two gateways, a file an hour each; resent, late, early and broken in every way that is counted.

Gateway a serves machines 1 to 6 and sends UTC; gateway b serves 7 to 12 and sends times with an offset. Not here: when a machine is in trouble (`world`).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from random import Random
from typing import Any

from demo.landing import Landing
from demo.text import CET, broken_encoding, glued, json_line, repeated_field, truncated, utc, zulu
from demo.truth import Truth
from demo.world import LIMITS, METRICS, World

LATENESS = 2
PER_HOUR = 8  # readings of one machine and metric, at scale 1
FIRMWARE_FROM = 3  # index of the day on which the new firmware sends its version
_USUAL = {"temperature": (62.0, 1.5), "vibration": (2.5, 0.3), "pressure": (150.0, 3.0)}
_GATEWAYS = {"a": range(1, 7), "b": range(7, 13)}


@dataclass(frozen=True)
class Reading:
    """One version of a reading."""

    id: str
    machine: str
    metric: str
    value: float
    time: datetime
    firmware: str | None = None
    offset: bool = False

    def record(self) -> dict[str, Any]:
        """The record as its gateway sends it."""
        when = self.time.astimezone(CET).isoformat(timespec="seconds") if self.offset else zulu(self.time)
        record = {
            "reading_id": self.id,
            "machine_id": self.machine,
            "metric": self.metric,
            "value": self.value,
            "unit": METRICS[self.metric],
            "event_time": when,
        }
        return record | {"firmware": self.firmware} if self.firmware else record

    def line(self) -> bytes:
        """The record as a line."""
        return json_line(self.record())


Fault = tuple[Callable[[Reading], bytes], tuple[str, ...]]
_FAULTS: dict[str, Fault] = {
    "truncated": (lambda r: truncated(r.line()), ("malformed",)),
    "glued": (lambda r: glued(r.line()), ("malformed",)),
    "nan": (lambda r: json_line(r.record() | {"metric": "vibration", "value": math.nan}), ("value_not_nan",)),
    "infinite": (lambda r: json_line(r.record() | {"metric": "vibration", "value": math.inf}), ("value_not_nan",)),
    "unknown metric": (lambda r: json_line(r.record() | {"metric": "humidity"}), ("metric_in_set",)),
    "out of range": (lambda r: json_line(r.record() | {"metric": "pressure", "value": -999.0}), ("value_in_range",)),
    "negative vibration": (lambda r: json_line(r.record() | {"metric": "vibration", "value": -1.5}), ("vibration_not_negative",)),
    "no machine": (lambda r: json_line({k: v for k, v in r.record().items() if k != "machine_id"}), ("machine_id_required",)),
    "no time": (lambda r: json_line(r.record() | {"event_time": None}), ("event_time_required",)),
    "not a number": (lambda r: json_line(r.record() | {"value": "abc"}), ("value_type",)),
    "time without zone": (lambda r: json_line(r.record() | {"event_time": zulu(r.time)[:-1]}), ("event_time_type",)),
    "field twice": (lambda r: repeated_field(r.line(), "value", 1.25), ("duplicate_field",)),
    "field in another case": (lambda r: json_line({k if k != "unit" else "Unit": v for k, v in r.record().items()}), ("field_case",)),
    "field in both cases": (lambda r: json_line(r.record() | {"Value": 3.5}), ("field_case",)),
    "not UTF-8": (lambda r: broken_encoding(json_line(r.record() | {"unit": "µm/s"}), "µ"), ("invalid_utf8",)),
    "two faults": (lambda r: json_line(r.record() | {"metric": "humidity", "value": 5000.0}), ("metric_in_set", "value_in_range")),
    "late": (lambda r: replace(r, time=r.time - timedelta(days=LATENESS + 1)).line(), ("late",)),
    "very late": (lambda r: replace(r, time=r.time - timedelta(days=30)).line(), ("late",)),
    "future": (lambda r: replace(r, time=r.time + timedelta(days=2)).line(), ("future",)),
}


class Factory:
    """Writes the readings of a day."""

    def __init__(self, world: World, landing: Landing, truth: Truth) -> None:
        self._world, self._landing, self._all = world, landing, truth
        self._truth = truth.table("sensor_reading")
        self._again: dict[str, list[tuple[Reading, Reading]]] = defaultdict(list)  # by file: what was sent before, what to send again
        self._number = 0

    def day(self, day: date) -> None:
        """Write the files of a day. Must be called for the days in order."""
        dice, self._number = self._world.random("factory", day), 0
        self._all.gold.close_health(LIMITS, before=str(day - timedelta(days=LATENESS)))
        extras = self._extras(day, dice)
        for hour in range(24):
            for gateway in _GATEWAYS:
                packed = ".gz" if hour % 12 == 5 else ""
                path = f"dt={day}/readings-{hour:02d}-{gateway}.jsonl"
                self._write(path + packed, self._hour(day, hour, gateway, dice, extras.get((hour, gateway), [])))
        if self._world.index(day) % 7 == 2:  # a gateway whose clock fell back to the epoch
            self._write(f"dt=1970-01-01/readings-{day}-a.jsonl", self._from_1970(day))

    def _write(self, path: str, lines: Iterator[bytes]) -> None:
        self._truth.files += 1
        self._landing.lines(f"factory/sensor_reading/{path}", lines)

    def _hour(self, day: date, hour: int, gateway: str, dice: Random, extras: list[bytes]) -> Iterator[bytes]:  # noqa: PLR0913 - all of it names one file
        path = f"dt={day}/readings-{hour:02d}-{gateway}"
        yield from self._resent(path, day)
        step = 3600 / self._world.count(PER_HOUR)
        for machine in _GATEWAYS[gateway]:
            for metric in METRICS:
                usual, spread = self._level(day, hour, machine, metric)
                for n in range(self._world.count(PER_HOUR)):
                    second = hour * 3600 + (n + dice.random() * 0.98) * step
                    reading = self._reading(day, second, machine, metric, round(dice.gauss(usual, spread), 3))
                    yield self._sent(reading, day)
                    yield from self._perhaps_again(reading, day, path, dice.random())
        yield from extras

    def _level(self, day: date, hour: int, machine: int, metric: str) -> tuple[float, float]:
        usual, spread = _USUAL[metric]
        trouble = self._world.trouble(day)
        if trouble and trouble.machine == machine and trouble.metric == metric and hour in trouble.hours:
            usual += trouble.shift
        return usual + (machine % 5 + 2 * math.sin(hour / 24 * 2 * math.pi) if metric == "temperature" else 0), spread

    def _reading(self, day: date, second: float, machine: int, metric: str, value: float) -> Reading:
        self._number += 1
        firmware = ("2.4.1" if machine <= 6 else "2.5.0") if self._world.index(day) >= FIRMWARE_FROM else None
        return Reading(f"R-{day:%Y%m%d}-{self._number:06d}", f"M{machine:02d}", metric, value, utc(day, second), firmware, offset=machine > 6)

    def _sent(self, reading: Reading, day: date) -> bytes:
        """A good reading of a number not used before."""
        when = reading.time
        self._truth.accept(day, when.date())
        self._all.gold.health[_hour_of(reading)].add(reading.value)
        return reading.line()

    def _perhaps_again(self, reading: Reading, day: date, path: str, chance: float) -> Iterator[bytes]:
        """What else comes of a reading that was sent: nothing for most."""
        if chance < 0.004:
            yield reading.line()
            self._truth.lose(day)
        elif chance < 0.010:
            number, tomorrow = int(chance * 1_000_000), day + timedelta(days=1)
            gateway = path[-1]
            corrected = replace(reading, value=round(reading.value + 0.5, 3))
            later = replace(corrected, time=min(reading.time + timedelta(seconds=2), utc(reading.time.date(), 86_399)))
            older = replace(corrected, time=max(reading.time - timedelta(seconds=2), utc(reading.time.date(), 0)))
            version = (reading, later, older, corrected)[number % 4]
            # Always a file of a later name, so that equal times are decided by the file.
            where = tomorrow if number % 3 == 0 or path[-4:-2] == "23" else day
            hour = 0 if where == tomorrow else int(path[-4:-2]) + 1
            self._again[f"dt={where}/readings-{hour:02d}-{gateway}"].append((reading, version))

    def _resent(self, path: str, day: date) -> Iterator[bytes]:
        """Readings that were to be sent again in this file: the later time wins, then the later file."""
        for sent, version in self._again.pop(path, []):
            yield version.line()
            if version.time < sent.time:
                self._truth.lose(day)
                continue
            self._truth.replace(date.fromisoformat(f"{sent.id[2:6]}-{sent.id[6:8]}-{sent.id[8:10]}"), day)
            self._all.gold.health[_hour_of(sent)].remove(sent.value)
            self._all.gold.health[_hour_of(version)].add(version.value)

    def _extras(self, day: date, dice: Random) -> dict[tuple[int, str], list[bytes]]:
        """Everything that is not an ordinary reading of the day, by the file it goes into."""
        lines: list[bytes] = []
        for name, (make, reasons) in _FAULTS.items():
            for _ in range(self._world.count(2 if name in ("late", "truncated") else 1)):
                lines.append(make(self._odd(day, dice)))
                self._truth.refuse(day, *reasons)
        for _ in range(self._world.count(3)):
            lines.append(replace(self._odd(day, dice), machine="M00").line())
            self._truth.drop(day, "not_the_test_bench")
            lines.append(self._sent(replace(self._odd(day, dice), metric="temperature", value=212.5), day))
            self._truth.warned["usual_temperature"] += 1
            for lag in (1, LATENESS, -1):  # within the horizon; and a clock that is minutes ahead
                if self._world.index(day) >= lag:
                    lines.append(self._sent(self._shifted(day, lag, dice), day))
        placed: dict[tuple[int, str], list[bytes]] = {}
        for line in lines:
            placed.setdefault((dice.randrange(24), dice.choice("ab")), []).append(line)
        return placed

    def _odd(self, day: date, dice: Random) -> Reading:
        return self._reading(day, dice.randrange(86_400), dice.randrange(1, 13), "pressure", 150.25)

    def _shifted(self, day: date, lag: int, dice: Random) -> Reading:
        second = dice.randrange(86_400) if lag > 0 else dice.randrange(900)
        return replace(self._odd(day, dice), time=utc(day - timedelta(days=lag), second))

    def _from_1970(self, day: date) -> Iterator[bytes]:
        for number in range(3):
            yield Reading(f"R-19700101-{day:%Y%m%d}{number:02d}", "M01", "pressure", 150.5, utc(date(1970, 1, 1), 60 * number)).line()
            self._truth.refuse(None, "source_date_out_of_range")


def _hour_of(reading: Reading) -> str:
    return f"{reading.time:%Y-%m-%d|%H}|{reading.machine}|{reading.metric}"
