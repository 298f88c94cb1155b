"""What the lake must hold, computed from the source's files in plain Python; shares no code with the platform."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

LATENESS = timedelta(days=2)


@dataclass
class Truth:
    """Silver's rows by identity, and the refused payloads with their Bronze day."""

    silver: dict[tuple[str, date | None], tuple[int | None, float | None, str]] = field(default_factory=dict)
    refused: list[tuple[str, date]] = field(default_factory=list)
    per_day: dict[date, int] = field(default_factory=lambda: defaultdict(int))
    payloads: list[str] = field(default_factory=list)


def truth_of(landing: Path, *, by_date: bool, most: float = 100, known: Collection[str] | None = None) -> Truth:
    """Read every file below `landing`. By date: identity (id, event date), late and future rules, values up to `most`; else: identity id.
    `known`: the values that the field `parent` may have.
    """
    truth = Truth()
    for file in sorted(landing.rglob("*.json")):
        source = file.relative_to(landing).as_posix()
        bronze_day = date.fromisoformat(re.search(r"dt=(\S{10})/", source)[1])  # type: ignore[index]
        for line in file.read_text().splitlines():
            truth.payloads.append(line)
            truth.per_day[bronze_day] += 1
            row = _row(line, bronze_day, by_date, most)
            if row is None or (known is not None and json.loads(line).get("parent") not in {*known, None}):
                truth.refused.append((line, bronze_day))
                continue
            key, seq, value = row
            held = truth.silver.get(key)
            if held is None or (_low(seq), source) > (_low(held[0]), held[2]):
                truth.silver[key] = (seq, value, source)
    return truth


def _low(seq: int | None) -> float:
    return float("-inf") if seq is None else seq


def _row(line: str, bronze_day: date, by_date: bool, most: float) -> tuple[tuple[str, date | None], int | None, float | None] | None:
    try:
        record: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    if not by_date:
        return ((record["id"], None), record.get("seq"), record.get("name")) if record.get("id") else None
    if not record.get("id") or not record.get("at"):
        return None
    value = record.get("value")
    if value is not None and not -100 <= value <= most:
        return None
    day = datetime.fromisoformat(record["at"].replace("Z", "+00:00")).date()
    if not bronze_day - LATENESS <= day <= bronze_day + timedelta(days=1):
        return None
    return (record["id"], day), record.get("seq"), value
