"""What differs between two versions of a contract: a change, how it meets readers, and the version that announces it.

Not here: finding changes (`compare`), doing anything about them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal["compatible", "widening", "breaking"]
Level = Literal["patch", "minor", "major"]
Redo = Literal["nothing", "rows", "table", "source"]
Area = Literal["columns", "personal data", "rules", "identity", "source", "promises", "texts"]

KINDS: tuple[Kind, ...] = get_args(Kind)
LEVELS: tuple[Level, ...] = get_args(Level)
_SEMANTIC = re.compile(r"(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True)
class Change:
    """One difference. `subject` is the column, rule or key that it is about; `what` a sentence that goes on after it.

    `kind`: *compatible*: whoever reads the table has nothing to do; *widening*: readers may meet values that the old contract excluded;
    *breaking*: readers fail, read something else under the same name, are promised less data, or see personal data that was hidden.
    `redo`: which of what is stored must be made again to be as the new contract says: nothing, the rows (partition by partition), the whole table
    at once, or the source's records themselves, which can't be: Bronze holds them in a form that the new contract does not read.
    """

    area: Area
    subject: str
    what: str
    kind: Kind = "compatible"
    redo: Redo = "nothing"
    textual: bool = False  # concerns what people read, or how the platform works, and no row

    @property
    def level(self) -> Level:
        """The least part of the version that must grow."""
        if self.kind == "breaking":
            return "major"
        return "patch" if self.textual and self.kind == "compatible" else "minor"

    @property
    def stops_runs(self) -> bool:
        """Whether a run that would write under the new contract has to wait for a person."""
        return self.kind == "breaking" or self.redo in ("table", "source")

    def __str__(self) -> str:
        return f"{self.subject}: {self.what}"


def required(changes: Iterable[Change]) -> Level | None:
    """The part of the version that must grow to announce all of these; None when there is nothing to announce."""
    return max((c.level for c in changes), key=LEVELS.index, default=None)


def grown(old: str, new: str) -> Level | None:
    """The part of the version that has grown; None when it is the same or lower. Below 1.0.0 the second number announces what breaks, as by semver's rule 4."""
    a, b = _numbers(old), _numbers(new)
    if b <= a:
        return None
    if b[0] != a[0] or (a[0] == 0 and b[1] != a[1]):
        return "major"
    return "minor" if b[1] != a[1] or a[0] == 0 else "patch"


def announces(old: str, new: str, level: Level | None) -> bool:
    """Whether the step from the old version to the new one is large enough for changes of that level."""
    step = grown(old, new)
    return level is None or (step is not None and LEVELS.index(step) >= LEVELS.index(level))


def next_version(old: str, level: Level) -> str:
    """The least version that announces changes of that level."""
    major, minor, patch = _numbers(old)
    if level == "major":
        return f"{major + 1}.0.0" if major else f"0.{minor + 1}.0"
    return f"{major}.{minor + 1}.0" if level == "minor" and major else f"{major}.{minor}.{patch + 1}"


def _numbers(version: str) -> tuple[int, int, int]:
    found = _SEMANTIC.match(version)
    return (int(found[1]), int(found[2]), int(found[3])) if found else (0, 0, 0)
