"""What is wrong with a contract: where, what, what was allowed. Collected, so that a person sees all of it at once.

Not here: finding mistakes.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

Key = str | int
Place = tuple[Key, ...]


@dataclass(frozen=True)
class Mistake:
    """One mistake, or (with `note`) something that is accepted but that the platform does not act on."""

    file: Path
    line: int | None
    where: str
    what: str
    note: bool = False

    def __str__(self) -> str:
        return f"{self.file}{f':{self.line}' if self.line else ''}: {self.message}"

    @property
    def message(self) -> str:
        """The mistake without its file and line."""
        return f"{self.where}: {self.what}" if self.where else self.what


def path_text(place: Place, names: dict[Place, str]) -> str:
    """A place as people write it: `schema[0].properties[unit].physicalType`; list items by their name where they have one."""
    text = ""
    for depth, key in enumerate(place, 1):
        if isinstance(key, int):
            text += f"[{names.get(place[:depth], key)}]"
        else:
            text += f".{key}" if text else key
    return text


@dataclass
class Report:
    """The mistakes of one file, as they are found. `lines` maps places to lines, `names` list items to what they are called."""

    file: Path
    lines: dict[Place, int] = field(default_factory=dict)
    names: dict[Place, str] = field(default_factory=dict)
    found: list[Mistake] = field(default_factory=list)

    def wrong(self, place: Place, what: str) -> None:
        """Adds a mistake at a place; the line is that of the nearest place that has one."""
        self._add(place, what, note=False)

    def note(self, place: Place, what: str) -> None:
        """Adds something that is accepted but not acted on."""
        self._add(place, what, note=True)

    def _add(self, place: Place, what: str, *, note: bool) -> None:
        near = next((place[:n] for n in range(len(place), -1, -1) if place[:n] in self.lines), None)
        mistake = Mistake(self.file, self.lines[near] if near is not None else None, path_text(place, self.names), what, note)
        if mistake not in self.found:
            self.found.append(mistake)

    @property
    def mistakes(self) -> list[Mistake]:
        """What must be corrected, by line."""
        return sorted((m for m in self.found if not m.note), key=lambda m: m.line or 0)

    @property
    def notes(self) -> list[Mistake]:
        """What is accepted but not acted on, by line."""
        return sorted((m for m in self.found if m.note), key=lambda m: m.line or 0)


def nearest(word: object, known: Iterable[str]) -> str | None:
    """The known word that was probably meant."""
    by_lower = {k.lower(): k for k in known}
    close = difflib.get_close_matches(str(word).lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[close[0]] if close else None


def not_one_of(what: str, word: object, known: Iterable[str]) -> str:
    """`unknown <what> 'word'. Did you mean 'x'? Allowed: …`"""
    known = list(known)
    meant = nearest(word, known)
    allowed = ", ".join(known) if known else "none"
    return f"unknown {what} {word!r}.{f' Did you mean {meant!r}?' if meant else ''} Allowed: {allowed}."
