"""What notes tell of replays and rebuilds: whether two tables know of the same, and which dates have to be built anew where they do not."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from lakehouse.engine.metadata import Note, Rejudged
from lakehouse.silver.plan import KEPT, MANY, Again, Plan, known, remembered, together, torn
from tests.spark.conftest import entities, events

DAYS = [date(2026, 1, n) for n in range(1, 31)]
PLAIN = Note("run", "1.0.0", 3)


def note(*ids: int) -> Note:
    return replace(PLAIN, rejudged=tuple(Rejudged(str(n), (DAYS[n],)) for n in ids))


def test_a_note_keeps_what_was_judged_again_with_dates_and_without() -> None:
    written = replace(PLAIN, rejudged=(Rejudged("a", (None, DAYS[0])), Rejudged("b", ()), Rejudged("c", None)), judged="x", placed="y")
    assert Note.parse(written.to_json()) == written


def test_a_note_of_an_earlier_version_knows_of_none() -> None:
    older = Note.parse('{"lakehouse": 1, "run": "r", "contract": "1.0.0", "planned": 1}')
    assert older is not None and (older.rejudged, older.judged, older.placed) == ((), "", "")


@pytest.mark.parametrize(
    ("silver", "quarantine", "days"),
    [
        (None, None, set()),
        (note(), note(), set()),
        (note(1, 2), note(1, 2), set()),
        (note(1, 2), note(1), {2}),  # killed between the commits, or the quarantine went back
        (note(), note(1, 2), {1, 2}),  # Silver went back over two
        (note(1, 3), note(1, 2), {2, 3}),  # both went back and forth
        (note(*range(3, 3 + KEPT)), note(*range(2, 2 + KEPT)), {2, 2 + KEPT}),
        (note(*range(5, 5 + KEPT)), note(1, 2), None),  # over more than is remembered
        (note(*range(5, 5 + KEPT)), None, None),
    ],
)
def test_torn_are_the_dates_that_one_of_both_does_not_know(silver: Note | None, quarantine: Note | None, days: set[int] | None) -> None:
    expected = None if days is None else {DAYS[n] for n in days}
    assert torn(silver, quarantine) == expected
    assert torn(quarantine, silver) == expected


def test_once_mended_both_know_what_either_knew() -> None:
    assert [r.id for r in known(note(1, 2), note(1, 3))] == ["1", "2", "3"]
    assert known(None, None) == ()


def test_what_was_judged_again_as_a_whole_is_torn_as_a_whole() -> None:
    everything = replace(note(1), rejudged=(*note(1).rejudged, Rejudged("2", None)))
    assert torn(everything, note(1)) is None
    assert torn(everything, everything) == frozenset()


def test_the_last_ones_are_known() -> None:
    done = remembered(Plan("replay", "id", 1, 1, frozenset({DAYS[1], None})))
    assert done.days is not None and set(done.days) == {DAYS[1], None}
    assert [r.id for r in known(note(*range(KEPT)), None, done)] == [*map(str, range(1, KEPT)), done.id]


def test_a_rebuild_is_remembered_by_its_dates_unless_they_are_many_or_all() -> None:
    few, many = frozenset(DAYS[:3]), frozenset(date(2026, 1, 1) + timedelta(days=n) for n in range(MANY + 1))
    assert [remembered(Plan("rebuild", "id", 1, 1, dates=dates)).days for dates in (few, many, None)] == [tuple(DAYS[:3]), None, None]


def test_what_only_one_table_has_both_judge_again() -> None:
    contract = events("x")  # lateness: 2 days
    one, other = Plan("append", "id", 1, 3, frozenset({DAYS[4], None}), files=("f",)), Plan("nothing", "id", 3, 3)
    for plan in (together(contract, one, other), together(contract, other, one)):
        assert (plan.step, plan.after, plan.until, plan.files) == ("rebuild", 1, 3, ())
        assert plan.dates == {None, *DAYS[2:6]}
    assert together(contract, one, Plan("rebuild", "id", None, 3)).dates is None
    assert together(entities("x"), one, other).dates is None


@pytest.mark.parametrize("again", [Again(), Again("late"), Again(None, frozenset({DAYS[0], None})), Again("late", frozenset({None}))])
def test_what_is_asked_for_reaches_the_run_in_its_tag(again: Again) -> None:
    assert Again.parse(again.to_json()) == again
