"""Sources that stay broken: looked at more and more seldom, so that they neither fail every tick nor slow down the others; kept in a sensor's cursor.

Not here: looking (`pending`), asking for runs (`automation`).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

FAILURES = 3  # looks in a row that may fail before a source is paused
SECONDS = 600  # how long it is left alone then


@dataclass(frozen=True)
class Broken:
    """A source that could not be looked at: how often in a row, why, what mends it, and until when (seconds since the epoch) it is left alone."""

    failures: int
    why: str
    next_step: str = ""
    until: float = 0.0

    def paused(self, now: float) -> bool:
        """Whether it is left alone now: never for longer than a pause, whatever was done to the clock meanwhile."""
        return now < self.until <= now + SECONDS

    @property
    def ends(self) -> str:
        """When it is looked at again, for people."""
        return f"{datetime.fromtimestamp(self.until, UTC):%H:%M} UTC"


@dataclass(frozen=True)
class Pauses:
    """The sources that could not be looked at, by contract."""

    broken: Mapping[str, Broken] = field(default_factory=dict)

    @staticmethod
    def parse(cursor: str | None) -> Pauses:
        """From a sensor's cursor; empty for one that says something else."""
        try:
            found = json.loads(cursor or "{}")
            return Pauses({str(name): Broken(**entry) for name, entry in found["broken"].items()})
        except (ValueError, TypeError, KeyError):
            return Pauses()

    def to_json(self) -> str:
        """As the cursor keeps it."""
        return json.dumps(asdict(self), sort_keys=True)

    def paused(self, now: float) -> frozenset[str]:
        """The sources to leave alone."""
        return frozenset(name for name, entry in self.broken.items() if entry.paused(now))

    def after(self, looked_at: Collection[str], problems: Mapping[str, tuple[str, str]], now: float, seconds: float = SECONDS) -> Pauses:
        """What is broken after another look (why, and what mends it), and left alone for so many seconds: a source that answers again is forgotten."""
        kept = {name: entry for name, entry in self.broken.items() if name not in looked_at}
        for name, (why, next_step) in problems.items():
            failures = self.broken[name].failures + 1 if name in self.broken else 1
            kept[name] = Broken(failures, why, next_step, now + seconds if failures >= FAILURES else 0.0)
        return Pauses(kept)

    def __str__(self) -> str:
        return "; ".join(f"{name}{_until(entry)}: {entry.why}" for name, entry in sorted(self.broken.items()))


def _until(entry: Broken) -> str:
    return f" (paused until {entry.ends}, after {entry.failures} failures)" if entry.until else ""
