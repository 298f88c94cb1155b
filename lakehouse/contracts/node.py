"""A value in a contract together with its place: reads keys by type, and reports against the right line.

A key of the wrong type reads as missing: the standard's schema has reported it, and the other checks go on. Not here: any check.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lakehouse.contracts.mistakes import Key, Place, Report


@dataclass(frozen=True)
class Node:
    """A mapping in the contract."""

    value: dict[str, Any]
    place: Place
    report: Report

    def at(self, *keys: Key) -> Place:
        """The place of something below."""
        return (*self.place, *keys)

    def text(self, key: str) -> str | None:
        """The text under a key."""
        value = self.value.get(key)
        return value if isinstance(value, str) else None

    def flag(self, key: str) -> bool | None:
        """The truth value under a key."""
        value = self.value.get(key)
        return value if isinstance(value, bool) else None

    def whole(self, key: str) -> int | None:
        """The whole number under a key."""
        value = self.value.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def number(self, key: str) -> float | None:
        """The number under a key."""
        value = self.value.get(key)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    def list(self, key: str) -> list[Any]:
        """The list under a key."""
        value = self.value.get(key)
        return value if isinstance(value, list) else []

    def node(self, key: str) -> Node:
        """The mapping under a key; empty when there is none."""
        value = self.value.get(key)
        return Node(value if isinstance(value, dict) else {}, self.at(key), self.report)

    def items(self, key: str) -> tuple[Node, ...]:
        """The mappings in the list under a key."""
        return tuple(Node(v, self.at(key, i), self.report) for i, v in enumerate(self.list(key)) if isinstance(v, dict))

    def property(self, name: str) -> Node:
        """The value of the custom property of that name; empty when there is none."""
        holder = next((p for p in self.items("customProperties") if p.text("property") == name), self)
        return holder.node("value")

    def wrong(self, what: str, *keys: Key) -> None:
        """Reports a mistake below."""
        self.report.wrong(self.at(*keys), what)

    def note(self, what: str, *keys: Key) -> None:
        """Reports something that is accepted but not acted on."""
        self.report.note(self.at(*keys), what)
