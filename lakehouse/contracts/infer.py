"""Sample files → a draft contract: what each column probably is, which may be the key, which date partitions the table, where files' days come from.

A draft decides nothing for good: each guess is followed by what was seen. Not here: reading samples (`sample`), types (`guess`), YAML (`draft`).
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from glob import escape
from itertools import combinations
from pathlib import Path
from typing import Any

from lakehouse.contracts.columns import NAME
from lakehouse.contracts.draft import DraftColumn, Facts, Place, write_draft
from lakehouse.contracts.guess import NULL_WORDS, Guess, guess_arrow, guess_json, guess_text
from lakehouse.contracts.sample import Sample, read_sample
from lakehouse.contracts.table import NAME as TABLE_NAME
from lakehouse.errors import ContractError

_DAY_PATTERNS = (
    r"dt=(\d{4}-\d{2}-\d{2})",
    r"(\d{4}-\d{2}-\d{2})",
    r"(\d{4})[/_](\d{2})[/_](\d{2})",
    r"(\d{4})(\d{2})(\d{2})",
    r"year=(\d{4})/month=(\d{2})/day=(\d{2})",
)
_KEY_NAME = re.compile(r"(^|_)(id|key|uuid|guid|code|number|no|nr)$", re.I)
_MEASURE = re.compile(r"time|hour|minute|second|year|month|day|date|delay|distance|price|cost|amount|count|quantity|total|rate|value|size|weight", re.I)
_EVENT_NAMES = ("event", "occur", "timestamp", "ordered", "created", "started", "time", "ts", "date", "day")
_NOT_EVENT = re.compile(r"updat|modif|chang|valid|birth|install|expir|promis|due|deliver|shipped|ended|deleted|_to$|_until$|since", re.I)
_SEQUENCE = re.compile(r"updat|modif|changed|version|sequence|^seq$|revision", re.I)
_KEY_TYPES = ("string", "integer", "date", "timestamp", "number")
_MOST_TRIED = 12
_LOOK = 10_000


@dataclass(frozen=True)
class Draft:
    """The text of a draft contract, and what was read for it in one line."""

    text: str
    summary: str


def infer(paths: Sequence[Path], *, name: str | None = None, domain: str | None = None, out: Path | None = None, landing: str = "") -> Draft:
    """A draft contract for these sample files or folders. Raises `ContractError` when there is nothing that can be read."""
    sample = read_sample(paths)
    place = _place(sample, [Path(p) for p in paths], landing)
    name, domain = _table_name(name, out, place), _domain_name(domain, out, place)
    guesses, null = _guesses(sample)
    columns = _columns(guesses)
    if not columns:
        raise ContractError(f"No column of {sample.files[0]} has a name.", state="No contract was drafted.", next_step="Name sample files with a header.")
    days = _file_days(sample, place)
    facts = Facts(name, domain, place, columns, sample.size, len(sample.files), sample.complete, sample.unreadable)
    facts.delimiter, facts.multi_line, facts.null = sample.delimiter, sample.multi_line, null
    event = _event_column(facts)
    _decide_key(facts, sample, event)
    _decide_dates(facts, sample, days, event)
    facts.sequence = _sequence(facts)
    return Draft(write_draft(facts), f"{sample.size:,} records of {len(sample.files)} file{'s' * (len(sample.files) != 1)}, {len(columns)} columns")


def _guesses(sample: Sample) -> tuple[dict[str, Guess], str]:
    """A guess per field, and the text that means no value in CSV."""
    if sample.format == "json":
        return {n: guess_json(n, v) for n, v in sample.columns.items()}, ""
    if sample.format == "parquet":
        return {n: guess_arrow(n, sample.arrow_types[n], v) for n, v in sample.columns.items()}, ""
    seen = {n: Counter(v) for n, v in sample.columns.items()}
    guesses = {n: guess_text(n, s, frozenset(("",))) for n, s in seen.items()}
    # A word for "no value" is one that turns columns of text into something else when it is left out.
    words: Counter[str] = Counter()
    for n, guess in guesses.items():
        for word in (w for w in NULL_WORDS if guess.logical == "string" and guess.seen.get(w)):
            left = guess_text(n, seen[n], frozenset(("", word)))
            words[word] += left.logical != "string"
    null = words.most_common(1)[0][0] if words and words.most_common(1)[0][1] else ""
    return {n: guess_text(n, s, frozenset(("", null))) if null else guesses[n] for n, s in seen.items()}, null


def _columns(guesses: dict[str, Guess]) -> list[DraftColumn]:
    columns: list[DraftColumn] = []
    taken: dict[str, str] = {}
    for source, guess in guesses.items():
        name = source if NAME.match(source) else re.sub(r"\W+", "_", source, flags=re.ASCII).strip("_").lower()
        name = (name if NAME.match(name) else f"column_{name}".rstrip("_"))[:120]
        twin = taken.get(source.lower())
        if twin is not None:
            guess.comments.append(f"{twin!r} and {source!r} differ in case only, and one of them can be read")
            continue
        while name.lower() in (c.name.lower() for c in columns):
            name += "_2"
        taken[source.lower()] = source
        columns.append(DraftColumn(name, source, guess))
    return columns


def _place(sample: Sample, paths: list[Path], landing: str) -> Place:
    """The source's folder, as short as contracts write it, and a glob for its files."""
    if len(paths) == 1 and paths[0].is_dir():
        folder, pattern = paths[0].resolve(), _glob(sample)
    else:
        parents = [str(f.resolve().parent) for f in sample.files]
        folder = Path(os.path.commonpath(parents))
        single = len(sample.files) == 1
        while re.search(r"\d{4}|=", folder.name) and folder != folder.parent:
            folder = folder.parent  # a folder of one day is no source
        pattern = escape(sample.files[0].name) if single and folder == Path(parents[0]) else _glob(sample)
    root = Path(landing).resolve() if landing and "://" not in landing else None
    inside = root is not None and folder.is_relative_to(root) and folder != root
    path = str(folder.relative_to(root)) if inside and root else str(folder)
    found = next((p for p in _DAY_PATTERNS if all(_day(p, str(f.resolve().relative_to(folder))) for f in sample.files)), None)
    return Place(path, folder, sample.format, pattern, found)


def _glob(sample: Sample) -> str:
    endings = Counter(f.name[f.name.index(".") :] if "." in f.name[1:] else "" for f in sample.files)
    base = {e.split(".")[1] for e in endings if e}
    return f"**/*.{base.pop()}*" if len(base) == 1 and "" not in endings else "**/*"


def _day(pattern: str, path: str) -> date | None:
    found = re.search(pattern, path, re.ASCII)
    try:
        return date.fromisoformat("-".join(found.groups())) if found else None
    except ValueError:
        return None


def _file_days(sample: Sample, place: Place) -> list[date]:
    if place.date_pattern:
        return [_day(place.date_pattern, str(f.resolve().relative_to(place.folder))) or date.max for f in sample.files]
    return [datetime.fromtimestamp(f.stat().st_mtime, UTC).date() for f in sample.files]


def _table_name(name: str | None, out: Path | None, place: Place) -> str:
    if name is not None:
        if not TABLE_NAME.match(name):
            raise ContractError(f"{name!r} is no name for a table: small letters, digits and '_', beginning with a letter.", next_step="Choose another --name.")
        return name
    stem = out.name.removesuffix(".odcs.yaml") if out else ("" if "*" in place.pattern else place.pattern.split(".")[0]) or place.folder.name
    return _word(stem, "table")


def _domain_name(domain: str | None, out: Path | None, place: Place) -> str:
    if domain is not None:
        if not TABLE_NAME.match(domain):
            raise ContractError(
                f"{domain!r} is no name for a domain: small letters, digits and '_', beginning with a letter.", next_step="Choose another --domain."
            )
        return domain
    above = place.folder.parent.name if "*" in place.pattern else place.folder.name
    return _word(out.resolve().parent.name if out else above if not place.path.startswith("/") else "main", "main")


def _word(text: str, otherwise: str) -> str:
    word = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:100]
    return word if TABLE_NAME.match(word) else f"{otherwise}_{word}".strip("_") if word else otherwise


def _decide_key(facts: Facts, sample: Sample, event: DraftColumn | None) -> None:
    """What is never empty and never repeats, among distinct records, since sources send records again: by itself, in pairs, within an event date."""
    columns = [c for c in facts.columns if c.guess.logical in _KEY_TYPES and c.guess.spark not in ("double", "float", "binary")]
    rows = _distinct(sample)
    facts.repeated = sample.size - len(rows)
    full = sorted((c for c in columns if c.guess.required), key=_unlikely)
    codes = {c.name: [sample.columns[c.source][i] for i in rows] for c in full}
    if _snapshots(facts, sample, full, codes):
        return
    days = [event.guess.days.get(sample.columns[event.source][i]) for i in rows] if event else None
    order = [c.name for c in facts.columns]
    plain = {n: v for n, v in codes.items() if not _MEASURE.search(n)}
    # What measures something is a key by accident at best: looked at last.
    for values in (plain, codes):
        for within in (None, days) if days else (None,):
            found = _candidates(values, within)
            if found:
                said = " within an event date" if within else ""
                facts.candidates = [tuple(sorted(k, key=order.index)) for k in found]
                facts.key, facts.key_note = facts.candidates[0], f"never empty and never repeated{said} in the sample"
                return
    best = max(full or columns or facts.columns, key=lambda c: (bool(_KEY_NAME.search(c.name)), len(c.guess.seen)))
    facts.key, facts.key_note = (best.name,), "DECIDE: no columns are unique in the sample"


def _candidates(values: dict[str, list[Any]], within: list[Any] | None) -> list[tuple[str, ...]]:
    """Single columns, else pairs, else up to five columns that tell all records apart."""
    singles: list[tuple[str, ...]] = [(n,) for n in values if _unique([values[n]], within)]
    if singles:
        return singles
    tried = list(values)[:_MOST_TRIED]
    pairs: list[tuple[str, ...]] = [(a, b) for a, b in combinations(tried, 2) if _unique([values[a], values[b]], within)]
    grown = [] if pairs else [_grown({n: values[n] for n in tried}, within)]
    return pairs or [g for g in grown if g]


def _unlikely(column: DraftColumn) -> tuple[bool, bool, bool]:
    """What keeps a column out of a key: its name, that it measures something, its type."""
    named = bool(_KEY_NAME.search(column.name))
    return not named, bool(_MEASURE.search(column.name)), column.guess.logical in ("date", "timestamp", "number")


def _snapshots(facts: Facts, sample: Sample, full: list[DraftColumn], codes: dict[str, list[Any]]) -> bool:
    """Whether each file lists things once, by a column named as a key, that other files list again."""
    if len(sample.files) < 2:
        return False
    for name in (c.name for c in full if _KEY_NAME.search(c.name)):
        column = sample.columns[facts.column(name).source]
        again = len(set(column)) < 0.7 * sample.size
        if again and len(set(zip(sample.file_of, column, strict=True))) == sample.size:
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


def _grown(values: dict[str, list[Any]], within: list[Any] | None) -> tuple[str, ...]:
    """Up to five columns, each the one that tells most records apart."""
    chosen: list[str] = []
    while len(chosen) < min(5, len(values)):
        groups = [values[c][:_LOOK] for c in chosen] + ([within[:_LOOK]] if within else [])
        chosen.append(max((n for n in values if n not in chosen), key=lambda n: len(set(zip(values[n][:_LOOK], *groups, strict=True)))))
        if _unique([values[c] for c in chosen], within):
            return tuple(chosen)
    return ()


def _distinct(sample: Sample) -> list[int]:
    """One index per distinct record."""
    seen: dict[int, int] = {}
    for i, record in enumerate(zip(*sample.columns.values(), strict=True)):
        seen.setdefault(hash(record if sample.format == "csv" else repr(record)), i)
    return list(seen.values())


def _decide_dates(facts: Facts, sample: Sample, days: list[date], column: DraftColumn | None) -> None:
    """Kind, event date, lateness and start."""
    facts.start = min(days)
    if column is None or facts.snapshots:
        return
    facts.kind, facts.event = "event", column
    lags = [(days[f] - column.guess.days[v]).days for f, v in zip(sample.file_of, sample.columns[column.source], strict=True) if v in column.guess.days]
    facts.lag = max(0, max(lags, default=0))
    first = min(column.guess.days.values())
    # One absurd date, such as 1970 for "unknown", must not make fifty years of partitions.
    facts.start = min(facts.start, first) if facts.start.year - first.year < 30 or len(lags) < 10 else facts.start
    facts.early = sum(lag < -1 for lag in lags)


def _event_column(facts: Facts) -> DraftColumn | None:
    times = [c for c in facts.columns if c.guess.logical in ("date", "timestamp") and c.guess.days and not _NOT_EVENT.search(c.name)]

    def rank(c: DraftColumn) -> tuple[bool, int, bool]:
        named = next((i for i, word in enumerate(_EVENT_NAMES) if word in c.name.lower()), len(_EVENT_NAMES))
        return not c.guess.required, named, c.guess.logical == "date"

    return min(times, key=rank, default=None)


def _sequence(facts: Facts) -> str | None:
    kinds = ("date", "timestamp", "integer")
    named = [c for c in facts.columns if _SEQUENCE.search(c.name) and c.guess.logical in kinds and c.name not in facts.key]
    if named:
        return min(named, key=lambda c: c.guess.logical == "integer").name
    return facts.event.name if facts.event and facts.event.guess.logical == "timestamp" and facts.event.name not in facts.key else None
