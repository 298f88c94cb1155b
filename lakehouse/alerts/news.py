"""What of the present problems is news to somebody: new ones, worse ones, and those that are over; each is told once.

Pure: what was told goes in, what is to be told comes out. Not here: finding problems (`problems`), telling (`channels`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Grade = Literal["warning", "error"]


@dataclass(frozen=True)
class Problem:
    """Something that is wrong. `owners` are addresses, `channels` names, of the contracts concerned.

    `key` is the same as long as the same thing is in trouble; `kind` changes when it is in another trouble, which is told again.
    """

    key: str
    grade: Grade
    title: str
    text: str
    next_step: str
    owners: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    kind: str = ""


@dataclass(frozen=True)
class Told:
    """What somebody knows of a problem: how bad it was, when (seconds since the epoch) it was last seen, and of what kind it was."""

    grade: Grade
    title: str
    seen: float
    kind: str = ""


@dataclass(frozen=True)
class News:
    """What is to be told: problems that are new, worse, better or other ones than before, and the titles of those that are over."""

    problems: tuple[Problem, ...] = ()
    over: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.problems or self.over)


Memory = dict[str, Told]


def news(told: Mapping[str, Told], present: Iterable[Problem], now: float, quiet: float) -> tuple[News, Memory]:
    """The news, and what is known once it is told.

    A problem is over when it was not seen for `quiet` seconds: what comes and goes with every run is one problem.
    """
    found = {p.key: p for p in present}
    fresh = tuple(p for key, p in sorted(found.items()) if key not in told or (told[key].grade, told[key].kind) != (p.grade, p.kind))
    gone = {key: known for key, known in told.items() if key not in found}
    over = {key for key, known in gone.items() if now - known.seen >= quiet}
    memory = {key: Told(p.grade, p.title, now, p.kind) for key, p in found.items()}
    memory |= {key: known for key, known in gone.items() if key not in over}
    return News(fresh, tuple(sorted(gone[key].title for key in over))), memory


def to_plain(memory: Mapping[str, Told]) -> dict[str, Any]:
    """As a cursor keeps it."""
    return {key: asdict(known) for key, known in memory.items()}


def from_plain(plain: Mapping[str, Any]) -> Memory:
    """From a cursor."""
    return {key: Told(**known) for key, known in plain.items()}
