"""Change feeds: the changes of a table's keys as they arrived, what holds at a moment, and what becomes of each record.

Plain Python, and no matter in which order the changes come: they are sorted when asked. Not here: which changes there are (`master`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime

from demo.truth import TableTruth

Place = tuple[datetime, int]
State = tuple[object, ...]


@dataclass(frozen=True)
class Change:
    """A change of a key at its place in the order; state None: the key is gone. `path` is the file that brought it, `day` its Bronze day."""

    key: str
    place: Place
    state: State | None
    path: str
    day: date


class Feed:
    """The changes of one table."""

    def __init__(self, truth: TableTruth) -> None:
        self._truth = truth
        self._arrived: dict[str, dict[Place, Change]] = defaultdict(dict)

    def arrive(self, change: Change) -> None:
        """Take in a good record. Of two at one place the one in the later file counts; the other is superseded."""
        placed = self._arrived[change.key]
        held = placed.get(change.place)
        if held is None or change.path >= held.path:
            placed[change.place] = change
        if held is not None:
            self._truth.lose(min(held, change, key=lambda c: c.path).day)

    def at(self, key: str, moment: datetime) -> State | None:
        """What the key was at a moment; None before its first change and while it is gone."""
        placed = sorted(self._arrived.get(key, {}).items())
        number = bisect_right([place[0] for place, _ in placed], moment)
        return placed[number - 1][1].state if number else None

    def close(self) -> None:
        """Count every change: accepted when it makes a version, superseded when it says what was said before it."""
        for placed in self._arrived.values():
            before: State | None | str = "nothing"
            for _, change in sorted(placed.items()):
                (self._truth.accept if change.state != before else self._truth.lose)(change.day)
                before = change.state
