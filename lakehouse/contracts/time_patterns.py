"""How the dates and times of a sample are written, as Spark's patterns.

Spark is stricter than strptime: `dd` wants two digits, `d` takes one too. So a text must fit a pattern to the letter before it is read.
Not here: ISO 8601 times, which need no pattern, and what else a text may be (`guess`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache

Read = dict[str, datetime]  # each text as it was read

ISO_DATE = "yyyy-MM-dd"
# The first row with a pattern that fits is taken: each row reads what those above it read, too. Day before month, where nothing in the sample says otherwise.
_DATES = (
    (ISO_DATE, "dd.MM.yyyy", "dd/MM/yyyy", "MM/dd/yyyy", "yyyy/MM/dd", "dd-MM-yyyy", "MM-dd-yyyy"),
    ("d.M.yyyy", "d/M/yyyy", "M/d/yyyy", "yyyy/M/d", "d-M-yyyy", "M-d-yyyy"),
    ("d MMM yyyy", "d-MMM-yyyy", "MMM d yyyy", "MMM d, yyyy"),
    ("d MMMM yyyy", "MMMM d yyyy", "MMMM d, yyyy"),
)
_COMPACT = "yyyyMMdd"
_CLOCKS = (("HH:mm:ss", "HH:mm"), ("H:mm:ss", "H:mm", "h:mm:ss a", "h:mm a"))
_LETTERS = {  # Spark's: (what may stand there, strptime's); months and halves of the day in English, as Spark reads them
    "yyyy": (r"[1-9]\d{3}", "%Y"), "MMMM": (r"[A-Z][a-z]+", "%B"), "MMM": (r"[A-Z][a-z]{2}", "%b"), "MM": (r"\d{2}", "%m"), "M": (r"\d{1,2}", "%m"),
    "dd": (r"\d{2}", "%d"), "d": (r"\d{1,2}", "%d"), "HH": (r"\d{2}", "%H"), "H": (r"\d{1,2}", "%H"), "h": (r"\d{1,2}", "%I"), "mm": (r"\d{2}", "%M"),
    "ss": (r"\d{2}", "%S"), "a": (r"AM|PM", "%p"),
}  # fmt: skip


def fitting_dates(texts: Sequence[str], *, compact: bool) -> dict[str, Read]:
    """The patterns by which all texts are dates, the likeliest first. `compact`: 20260131 may be one, too."""
    rows = ((*_DATES[0], _COMPACT), *_DATES[1:]) if compact else _DATES
    return _first_row(texts, rows)


def fitting_times(texts: Sequence[str]) -> dict[str, Read]:
    """The patterns by which all texts are a date and a time of day, the likeliest first."""
    return _first_row(texts, ([f"{day} {clock}" for day in days for clock in clocks] for clocks in _CLOCKS for days in _DATES))


def _first_row(texts: Sequence[str], rows: Iterable[Iterable[str]]) -> dict[str, Read]:
    for row in rows:
        found = {pattern: read for pattern in row if (read := _all_read(texts, pattern)) is not None}
        if found:
            return found
    return {}


def _all_read(texts: Sequence[str], pattern: str) -> Read | None:
    """The texts read by a pattern, or None when one does not fit it."""
    shape, python = _reader(pattern)
    read = {}
    for text in texts:
        if not shape.fullmatch(text):
            return None
        try:
            read[text] = datetime.strptime(text, python)
        except ValueError:
            return None
    return read


@cache
def _reader(pattern: str) -> tuple[re.Pattern[str], str]:
    """A pattern as regular expression and as strptime's."""
    parts = re.findall(r"([A-Za-z])(\1*)|([^A-Za-z]+)", pattern)
    shape = "".join(f"(?:{_LETTERS[letter + more][0]})" if letter else re.escape(text) for letter, more, text in parts)
    return re.compile(shape), "".join(_LETTERS[letter + more][1] if letter else text for letter, more, text in parts)
