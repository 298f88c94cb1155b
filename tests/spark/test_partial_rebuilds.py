"""P1, P4: when a contract changes and only some dates are built anew, every record is still in exactly one of Silver and quarantine.

The oracle knows the records as they were written, and their verdict under the present contract, computed in plain Python.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lakehouse.contracts.model import Contract
from lakehouse.silver import build
from lakehouse.silver.plan import Again
from tests.spark.conftest import Lake

FIRST = date(2026, 1, 10)
LATENESS = 2


@dataclass(frozen=True)
class Rules:
    """What of the contract changes: the greatest value, and the zone of times that name none (None: these are refused)."""

    most: float = 100.0
    zone: str | None = "UTC"

    def contract(self, lake: Lake) -> Contract:
        said = {"value": {"maximum": self.most}, "at": {"timezone": self.zone}}
        plain = lake.events()
        return replace(plain, columns=tuple(replace(c, **said.get(c.name, {})) for c in plain.columns))


@dataclass(frozen=True)
class Record:
    """A line of a file: of one id all have the same time, and each its own `seq`."""

    day: date
    id: str
    seq: int
    at: str
    value: float

    @property
    def payload(self) -> str:
        return json.dumps({"id": self.id, "seq": self.seq, "at": self.at, "value": self.value})

    def event_date(self, rules: Rules) -> date | None:
        try:
            time = datetime.fromisoformat(self.at)
        except ValueError:
            return None
        if time.tzinfo is None:
            if rules.zone is None:
                return None
            time = time.replace(tzinfo=ZoneInfo(rules.zone))
        return time.astimezone(UTC).date()

    def belongs_to(self, rules: Rules) -> date:
        """The date with whose rebuild the record is judged again."""
        found = self.event_date(rules)
        return found if found and self._near(found) else self.day

    def accepted(self, rules: Rules) -> bool:
        found = self.event_date(rules)
        return found is not None and self._near(found) and self.value <= rules.most

    def _near(self, found: date) -> bool:
        return self.day - timedelta(days=LATENESS) <= found <= self.day + timedelta(days=1)


class Story:
    """One table, its records, and the contract as it is now."""

    def __init__(self, lake: Lake, rules: Rules = Rules()) -> None:  # noqa: B008 - frozen
        self.lake, self.rules, self.records, self.files = lake, rules, list[Record](), 0

    @property
    def contract(self) -> Contract:
        return self.rules.contract(self.lake)

    def put(self, *records: Record) -> None:
        for day in {r.day for r in records}:
            self.files += 1
            self.lake.put(f"dt={day}/f{self.files:03d}.json", "".join(r.payload + "\n" for r in records if r.day == day))
        self.records += records

    def sync(self) -> None:
        ingested, built = self.lake.sync(self.contract)
        assert (ingested.unreadable, built.unbalanced) == ((), ())

    def rebuild(self, *days: date) -> None:
        built = build.rebuild(self.lake.spark, self.contract, days, "test")
        assert built.unbalanced == ()

    def check(self, rebuilt: Collection[date] = ()) -> None:
        """Each record is in one place; those that belong to a date that was just built anew are where the present contract puts them."""
        silver = self.lake.rows(self.contract.silver, "id", "seq", "day")
        refused = [r[0] for r in self.lake.rows(self.contract.quarantine, "_payload")]
        assert len(refused) == len(set(refused)), "twice in quarantine"
        assert len({r[:2] for r in silver}) == len(silver), "twice in Silver"
        assert {r[:2] for r in silver} <= {(r.id, r.seq) for r in self.records}
        for record in self.records:
            held, out = [seq for id, seq, _ in silver if id == record.id], record.payload in refused
            wrong = f"{record} under {self.rules}: Silver has seq {held} of its id; refused: {out}"
            assert (record.seq in held) + out == 1 or (not out and max(held, default=0) > record.seq), wrong
            if record.belongs_to(self.rules) in rebuilt:
                assert out != record.accepted(self.rules), wrong


def some(day: date, event: date, value: float, *, zone: str) -> Record:
    return Record(day, f"{day:%d}-{event:%d}-{value}{zone}", 1, f"{event}T12:00:00{zone}", value)


D = [FIRST + timedelta(days=n) for n in range(6)]


CHANGES = [
    (Rules(most=50), D[1:3]),
    (Rules(), [D[2]]),  # what was refused with the dates beside it stays refused
    (Rules(zone=None), [D[2]]),  # times that can't be read any more
    (Rules(), [D[2]]),  # and that can be read now
    (Rules(zone="Pacific/Kiritimati"), [D[2]]),  # 14 hours ahead: noon there is a day earlier
]


@pytest.mark.timeout(1200)
def test_dates_that_are_built_anew_take_no_record_of_their_neighbours_from_both_tables(lake: Lake) -> None:
    story = Story(lake)
    pairs = [(day, day + timedelta(days=n)) for day in D[1:4] for n in (-3, -2, -1, 0, 1, 2)]
    story.put(*[some(day, event, value, zone=zone) for day, event in pairs for value in (10.0, 75.0) for zone in ("Z", "")])
    story.sync()
    story.check(D)
    for rules, days in CHANGES:
        story.rules = rules
        story.rebuild(*days)
        story.check(days)


class Killed(BaseException):
    """What a kill looks like to the code: nothing catches it."""


def killed(*_: Any, **__: Any) -> None:
    raise Killed


RULES = [Rules(), Rules(most=50.0), Rules(most=50.0), Rules(zone=None), Rules(zone="Pacific/Kiritimati")]
STEPS = st.one_of(
    st.tuples(st.just("more"), st.integers(0, 999)),
    st.tuples(st.just("rules"), st.sampled_from(RULES)),
    st.tuples(st.just("rebuild"), st.sets(st.sampled_from(D), min_size=1, max_size=2)),
    st.tuples(st.just("kill"), st.sampled_from(["_write_silver", "_write_quarantine"])),
    st.tuples(st.just("restore"), st.sampled_from(["silver", "quarantine"])),
    st.tuples(st.just("replay"), st.none()),
)


class History(Story):
    """The story of any steps; after each all is caught up, and each record in one place."""

    def step(self, name: str, what: Any, patch: pytest.MonkeyPatch) -> None:
        """Do it, and look."""
        getattr(self, f"_{name}")(what, patch) if name == "kill" else getattr(self, f"_{name}")(what)
        if name != "rules":
            self.sync()
            self.check(what if name == "rebuild" else ())

    def _more(self, seed: int) -> None:
        dice = Random(seed)
        for n in range(3):
            day, name = dice.choice(D), f"{seed}-{n}"
            at = f"{day + timedelta(days=dice.choice((0, 0, -1, -2, -3, 1)))}T12:00:00{dice.choice(('', 'Z'))}"
            self.put(*[Record(day, name, self.files * 10 + seq, at, dice.choice((10.0, 75.0, 500.0))) for seq in range(dice.choice((1, 2)))])

    def _rules(self, rules: Rules) -> None:
        self.rules = rules

    def _rebuild(self, days: Collection[date]) -> None:
        self.rebuild(*days)

    def _kill(self, where: str, patch: pytest.MonkeyPatch) -> None:
        with patch.context() as killing, pytest.raises(Killed):
            killing.setattr(build, where, killed)
            self.rebuild(D[2])

    def _restore(self, layer: str) -> None:
        table = getattr(self.contract, layer)
        version = max(self.lake.version(table) - 2, 0)
        self.lake.spark.sql(f"RESTORE {table.sql} TO VERSION AS OF {version}").collect()

    def _replay(self, _: None) -> None:
        assert build.put_through(self.lake.spark, self.contract, Again(), "test").unbalanced == ()


@pytest.mark.timeout(1200)
@example(steps=[("rules", Rules(most=50.0)), ("kill", "_write_quarantine"), ("rules", Rules()), ("kill", "_write_silver"), ("restore", "silver")])
@given(steps=st.lists(STEPS, min_size=5, max_size=5))
@settings(max_examples=1, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_whatever_came_before_each_record_is_in_one_place(lake: Lake, monkeypatch: pytest.MonkeyPatch, steps: list[tuple[str, Any]]) -> None:
    history = History(replace(lake, name=f"{lake.name}_{abs(hash(repr(steps))):x}"))
    history.step("more", 1000, monkeypatch)
    for name, what in steps:
        history.step(name, what, monkeypatch)
