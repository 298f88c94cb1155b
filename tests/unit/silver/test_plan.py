"""What notes tell of replays: whether two tables know of the same, and which Bronze days have to be built anew where they do not."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from lakehouse.engine.metadata import Note, Replay
from lakehouse.silver.plan import KEPT, Again, Plan, known, remembered, torn

DAYS = [date(2026, 1, n) for n in range(1, 31)]
PLAIN = Note("run", "1.0.0", 3)


def note(*ids: int) -> Note:
    return replace(PLAIN, replays=tuple(Replay(str(n), (DAYS[n],)) for n in ids))


def test_a_note_keeps_its_replays_with_days_and_without() -> None:
    written = replace(PLAIN, replays=(Replay("a", (None, DAYS[0])), Replay("b", ())))
    assert Note.parse(written.to_json()) == written


def test_a_note_of_an_earlier_version_knows_of_no_replay() -> None:
    older = Note.parse('{"lakehouse": 1, "run": "r", "contract": "1.0.0", "planned": 1}')
    assert older is not None and older.replays == ()


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
def test_torn_are_the_days_of_replays_that_one_of_both_does_not_know(silver: Note | None, quarantine: Note | None, days: set[int] | None) -> None:
    expected = None if days is None else {DAYS[n] for n in days}
    assert torn(silver, quarantine) == expected
    assert torn(quarantine, silver) == expected


def test_once_mended_both_know_what_either_knew() -> None:
    assert [r.id for r in known(note(1, 2), note(1, 3))] == ["1", "2", "3"]
    assert known(None, None) == ()


def test_the_last_replays_are_remembered() -> None:
    done = remembered(Plan("replay", "id", 1, 1, frozenset({DAYS[1], None})), note(*range(KEPT)))
    assert [r.id for r in done[:-1]] == [str(n) for n in range(1, KEPT)]
    assert set(done[-1].days) == {DAYS[1], None}


@pytest.mark.parametrize("again", [Again(), Again("late"), Again(None, frozenset({DAYS[0], None})), Again("late", frozenset({None}))])
def test_what_is_asked_for_reaches_the_run_in_its_tag(again: Again) -> None:
    assert Again.parse(again.to_json()) == again
