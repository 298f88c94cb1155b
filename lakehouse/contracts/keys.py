"""Which columns of a sample may be the key. Not here: the other guesses (`infer`, `guess`)."""

from __future__ import annotations

import re
from itertools import combinations
from typing import Any

from lakehouse.contracts.draft import DraftColumn, Facts
from lakehouse.contracts.guess import Guess
from lakehouse.contracts.sample import Sample

_KEY_NAME = re.compile(r"(^|_)(id|key|uuid|guid|code|number|no|nr|sku|ean|isbn|ref)$", re.I)
_MEASURE = re.compile(
    r"time|hour|minute|second|year|month|day|date|delay|distance|price|cost|amount|count|quantity|total|rate|value|size|weight|sales$|revenue", re.I
)
_KEY_TYPES = ("string", "integer", "date", "timestamp", "number")
_MOST_TRIED = 12
_LOOK = 10_000
_A_LIST = 10  # records of a file: fewer differ in any column by accident


def decide_key(facts: Facts, sample: Sample, event: DraftColumn | None) -> DraftColumn | None:
    """What is never empty and never repeats, among distinct records, since sources send records again: by itself, in pairs, within an event date.

    Sets the key and its candidates. Returns the event column, or None when the key shows that rows are no events.
    """
    rows = _distinct(sample)
    facts.repeated = sample.size - len(rows)
    likely = sorted((c for c in facts.columns if c.guess.required and _can_be_key(c)), key=_unlikely)
    values = {c.name: [sample.columns[c.source][i] for i in rows] for c in likely}
    if _snapshots(facts, sample, likely, event):
        return None
    if event and event.name in values and event.guess.logical == "date":
        own = values.pop(event.name)  # the event date is part of every identity anyway
        alone = len(facts.columns) == 1
        if alone or _unique([own], None) and not any(_KEY_NAME.search(n) and _unique([v], None) for n, v in values.items()):
            facts.key, facts.key_note = (event.name,), "one row per day in the sample"
            return None
    days = [event.guess.days.get(sample.columns[event.source][i]) for i in rows] if event else None
    if not _search(facts, values, days):
        _fall_back(facts, event)
    return event


def _can_be_key(column: DraftColumn) -> bool:
    guess = column.guess
    counted = sum(guess.seen.values()) == guess.records - guess.empty  # not so where a field holds lists or objects, too
    return counted and guess.logical in _KEY_TYPES and guess.spark not in ("double", "float", "binary")


def _search(facts: Facts, values: dict[str, list[Any]], days: list[Any] | None) -> bool:
    order = [c.name for c in facts.columns]
    plain = {n: v for n, v in values.items() if not _MEASURE.search(n)}
    sizes, scopes = (_singles, _pairs, _grown), (None, days) if days else (None,)
    # What measures something is a key by accident at best: looked at last, and within an event date only if nothing is unique over all. Of the others
    # the fewest columns: where one is unique within each date, a pair that is so over all is the accident.
    tries = [(plain, size, within) for size in sizes for within in scopes] + [(values, size, within) for within in scopes for size in sizes]
    for among, candidates, within in tries:
        if found := candidates(among, within):
            said = " within an event date" if within else ""
            facts.candidates = [tuple(sorted(k, key=order.index)) for k in found]
            facts.key, facts.key_note = facts.candidates[0], f"never empty and never repeated{said} in the sample"
            return True
    return False


def _fall_back(facts: Facts, event: DraftColumn | None) -> None:
    """A key so that the draft is whole; a person has to choose."""
    others = [c for c in facts.columns if event is None or c is not event or event.guess.logical != "date"]
    best = max(others, key=lambda c: (_can_be_key(c), bool(_KEY_NAME.search(c.name)), c.guess.required, len(c.guess.seen)))
    facts.key, facts.key_note = (best.name,), "DECIDE: no columns are unique in the sample"
    if not _can_be_key(best):
        was = best.guess
        best.guess = Guess("string", "string", comments=[f"DECIDE: looks like {was.spark}, which can't be a key"], records=was.records, empty=was.empty)


def _singles(values: dict[str, list[Any]], within: list[Any] | None) -> list[tuple[str, ...]]:
    return [(n,) for n in values if _unique([values[n]], within)]


def _pairs(values: dict[str, list[Any]], within: list[Any] | None) -> list[tuple[str, ...]]:
    return [(a, b) for a, b in combinations(list(values)[:_MOST_TRIED], 2) if _unique([values[a], values[b]], within)]


def _unlikely(column: DraftColumn) -> tuple[bool, bool, bool]:
    """What keeps a column out of a key: its name, that it measures something, its type."""
    named = bool(_KEY_NAME.search(column.name))
    return not named, bool(_MEASURE.search(column.name)), column.guess.logical in ("date", "timestamp", "number")


def _snapshots(facts: Facts, sample: Sample, likely: list[DraftColumn], event: DraftColumn | None) -> bool:
    """Whether each file lists things once, by a column that is named as a key or at least no measure, that other files list again."""
    if len(sample.files) < 2:
        return False
    lists = sample.size >= _A_LIST * len(sample.files)
    tried = {c.name: sample.columns[c.source] for c in likely if _KEY_NAME.search(c.name) or (lists and not _MEASURE.search(c.name))}
    if any(len(set(column)) == sample.size for column in tried.values()):
        return False
    days = [event.guess.days.get(v) for v in sample.columns[event.source]] if event else None
    for name, column in tried.items():
        again = len(set(column)) < 0.7 * sample.size
        figures = days is not None and _unique([column], days)  # of each day, not of the present
        if again and not figures and len(set(zip(sample.file_of, column, strict=True))) == sample.size:
            facts.key, facts.snapshots, facts.key_note = (name,), True, "once in each file, and again in others: snapshots"
            return True
    return False


def _unique(columns: list[list[Any]], within: list[Any] | None) -> bool:
    parts = [*columns, within] if within else columns
    for size in (_LOOK, len(parts[0])):  # most are found out early
        rows = [p[:size] for p in parts]
        if len(set(zip(*rows, strict=True))) < len(rows[0]):
            return False
    return True


def _grown(values: dict[str, list[Any]], within: list[Any] | None) -> list[tuple[str, ...]]:
    """Up to five columns, each the one that tells most records apart."""
    chosen: list[str] = []
    tried = list(values)[:_MOST_TRIED]
    while len(chosen) < min(5, len(tried)):
        groups = [values[c][:_LOOK] for c in chosen] + ([within[:_LOOK]] if within else [])
        chosen.append(max((n for n in tried if n not in chosen), key=lambda n: len(set(zip(values[n][:_LOOK], *groups, strict=True)))))
        if _unique([values[c] for c in chosen], within):
            return [tuple(chosen)]
    return []


def _distinct(sample: Sample) -> list[int]:
    """One index per distinct record."""
    seen: dict[int, int] = {}
    for i, record in enumerate(zip(*sample.columns.values(), strict=True)):
        seen.setdefault(hash(record if sample.format == "csv" else repr(record)), i)
    return list(seen.values())
