"""Records as bytes: JSON and CSV lines, times, and the faults a line can have as text. Not here: what a record says."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any

_encode = json.JSONEncoder(ensure_ascii=False).encode  # json.dumps makes a new encoder for every record
CET = timezone(timedelta(hours=1))


def json_line(record: Mapping[str, Any]) -> bytes:
    """A record as one JSON line; NaN and infinities as Python (and many a gateway) writes them."""
    return _encode(record).encode()


def csv_line(values: Iterable[object], delimiter: str = ",") -> bytes:
    """Values as one CSV line, quoted where needed; None is empty."""
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="").writerow(["" if v is None else v for v in values])
    return text.getvalue().encode()


def utc(day: date, second: float) -> datetime:
    """The instant so many seconds after midnight UTC."""
    return datetime.combine(day, time(), UTC) + timedelta(seconds=int(second))


def zulu(moment: datetime) -> str:
    """An instant, such as 2026-11-20T08:15:30Z."""
    return f"{moment.astimezone(UTC).isoformat()[:19]}Z"


def truncated(line: bytes) -> bytes:
    """A line whose end was never written."""
    return line[: len(line) * 2 // 3]


def glued(line: bytes) -> bytes:
    """Two records on one line, as two writers without a lock make them."""
    return line + line


def repeated_field(line: bytes, name: str, value: object) -> bytes:
    """A JSON line that says one field twice."""
    return line[:-1] + f', "{name}": {json.dumps(value)}}}'.encode()


def broken_encoding(line: bytes, old: str) -> bytes:
    """A UTF-8 line with one text in Latin-1."""
    return line.replace(old.encode(), old.encode("latin-1"))
