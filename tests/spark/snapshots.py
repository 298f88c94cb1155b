"""What a table of compared snapshots must hold, from the snapshots in plain Python: each held against the one before it, in the order of their moments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Row = Mapping[str, Any]
Attributes = tuple[Any, ...] | None  # None: deleted


@dataclass
class Expected:
    """Of each key its states and when they began; how many records were refused; what Bronze holds: moment, operation, key."""

    states: dict[str, list[tuple[datetime, Attributes]]] = field(default_factory=dict)
    refused: int = 0
    differences: list[tuple[datetime, str, str]] = field(default_factory=list)


def expected(snapshots: Mapping[datetime, list[Row]]) -> Expected:
    """Rows are {id, name, city}; each id stands once in a snapshot, and a row without a name is refused: what its key was goes on."""
    out, before = Expected(), dict[str, Row]()
    for moment in sorted(snapshots):
        now = {row["id"]: row for row in snapshots[moment]}
        for key in sorted({*before, *now}):
            if before.get(key) == now.get(key):
                continue
            row = now.get(key)
            out.differences.append((moment, "delete" if row is None else "update" if key in before else "insert", key))
            if row is not None and row.get("name") is None:
                out.refused += 1
                continue
            state = (row["name"], row.get("city")) if row is not None else None
            line = out.states.setdefault(key, [])
            if not line or line[-1][1] != state:
                line.append((moment, state))
        before = now
    out.states = {key: line for key, line in out.states.items() if line}
    return out
