"""What is news: told once, told again when it gets worse, told when it is over."""

from __future__ import annotations

from dataclasses import replace

from lakehouse.alerts.news import Memory, News, Problem, from_plain, news, to_plain

QUIET = 600.0
BAD = Problem("check x", "warning", "x: check rows", "3 rows are odd.", "See: lakehouse status x")
WORSE = replace(BAD, grade="error")


def told(memory: Memory, now: float, *present: Problem) -> tuple[News, Memory]:
    message, after = news(memory, present, now, QUIET)
    assert from_plain(to_plain(after)) == after
    return message, after


def test_the_same_state_is_told_once_and_a_worse_one_again() -> None:
    message, memory = told({}, 0, BAD)
    assert message == News((BAD,))
    message, memory = told(memory, 60, replace(BAD, text="4 rows are odd."))
    assert not message
    message, memory = told(memory, 120, WORSE)
    assert message == News((WORSE,))
    message, memory = told(memory, 180, WORSE)
    assert not message


def test_what_is_over_is_told_once_after_a_quiet_time() -> None:
    _, memory = told({}, 0, BAD)
    for now, expected in ((60, News()), (599, News()), (600, News(over=(BAD.title,))), (660, News())):
        message, memory = told(memory, now)
        assert message == expected, now
    message, memory = told(memory, 720, BAD)
    assert message == News((BAD,))


def test_what_comes_and_goes_with_every_run_is_one_problem() -> None:
    message, memory = told({}, 0, BAD)
    for now in range(60, 3600, 120):
        for present in ((), (BAD,)):
            message, memory = told(memory, now, *present)
            assert not message
