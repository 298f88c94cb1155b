"""How far a table is behind the one it is made from, in records and in time, from their logs alone.

Not here: how far Bronze is behind its source (`sources`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lakehouse.engine import metadata
from lakehouse.engine.metadata import TableState


@dataclass(frozen=True)
class Lag:
    """What a table has not taken in: records (None: the log does not tell), and since when the oldest of them waits (None: nothing waits, or unknown)."""

    records: int | None = 0
    since: datetime | None = None

    def seconds(self, now: datetime) -> float:
        """How long the oldest has waited."""
        return max((now - self.since).total_seconds(), 0.0) if self.since else 0.0


def lag(target: TableState | None, source: TableState) -> Lag:
    """Between what `target` has consumed of `source` and its newest version. One that has consumed nothing, or must start over, lacks all of it."""
    after = target.consumed(source) if target else None
    if target and target.holds(source):
        return Lag()
    if after is None:
        delta = metadata.open_table(source.table)
        return Lag(sum(metadata.rows_by_partition(delta, None).values()) if delta else 0)
    records, since = 0, None
    for version in range(after + 1, source.version + 1):
        actions = metadata.actions(source.table, version)
        if actions is None:
            return Lag(None, since)
        added = [a["add"] for a in actions if a.get("add") and a["add"].get("dataChange", True)]
        records += sum(_records(a) for a in added)
        since = since or (_time(actions) if added else None)
    return Lag(records, since)


def _records(add: dict[str, Any]) -> int:
    return int(json.loads(add.get("stats") or "{}").get("numRecords") or 0)


def _time(actions: list[dict[str, Any]]) -> datetime | None:
    millis = next((a["commitInfo"].get("timestamp") for a in actions if a.get("commitInfo")), None)
    return datetime.fromtimestamp(millis / 1000, UTC) if millis else None
