"""What a change feed's tables must hold, from the source's files in plain Python: the changes sorted, and applied one after the other."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

Attributes = tuple[Any, ...] | None  # None: deleted


@dataclass(frozen=True)
class Version:
    """A row of history, as a test compares it."""

    key: str
    attributes: Attributes
    valid_from: datetime
    valid_to: datetime | None
    number: int  # the second column of the sequence


@dataclass(frozen=True)
class Told:
    """The outcome: versions, the latest of each key, records refused, and those of no effect."""

    versions: set[Version]
    latest: dict[str, Attributes]
    refused: int
    records: int


def told(landing: Path) -> Told:
    """Sort every change below `landing` by (time, number, file, record) and apply it. Records: {id, op, at, n, name, city, seen}."""
    changes: dict[str, dict[tuple[datetime, int], tuple[str, Attributes]]] = defaultdict(dict)
    refused = records = 0
    for file in sorted(landing.rglob("*.json")):
        for line in file.read_text().splitlines():
            record = json.loads(line)
            records += 1
            if record.get("id") is None or record.get("at") is None or record.get("n") is None:
                refused += 1
                continue
            place = datetime.fromisoformat(record["at"].replace("Z", "+00:00")), record["n"]
            attributes = None if record["op"] == "d" else (record.get("name"), record.get("city"))
            source = file.relative_to(landing).as_posix()
            held = changes[record["id"]].get(place)
            assert held is None or held[0] != source or held[1] == attributes, "records at one place in one file must not differ"
            if held is None or source > held[0]:
                changes[record["id"]][place] = source, attributes
    versions: set[Version] = set()
    latest: dict[str, Attributes] = {}
    for key, placed in changes.items():
        line = _line(placed)
        ends = [place[0] for place, _ in line[1:]]
        for (place, attributes), end in zip(line, [*ends, None], strict=True):
            versions.add(Version(key, attributes, place[0], end, place[1]))
        latest[key] = placed[max(placed)][1]
    return Told(versions, latest, refused, records)


def _line(placed: dict[tuple[datetime, int], tuple[str, Attributes]]) -> list[tuple[tuple[datetime, int], Attributes]]:
    """The changes that changed something, in order."""
    line: list[tuple[tuple[datetime, int], Attributes]] = []
    for place in sorted(placed):
        attributes = placed[place][1]
        if not line or line[-1][1] != attributes:
            line.append((place, attributes))
    return line
