"""Sample files → a draft contract: what each column probably is, which may be the key, which date partitions the table, where files' days come from.

A draft decides nothing for good: each guess is followed by what was seen. Not here: reading samples (`sample`), types (`guess`), YAML (`draft`).
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from glob import escape
from pathlib import Path

from lakehouse.contracts.columns import NAME
from lakehouse.contracts.draft import DraftColumn, Facts, Place, write_draft
from lakehouse.contracts.guess import NULL_WORDS, Guess, guess_arrow, guess_json, guess_text
from lakehouse.contracts.keys import decide_key
from lakehouse.contracts.loader import SUFFIX
from lakehouse.contracts.sample import ENDINGS, Sample, read_sample
from lakehouse.contracts.table import NAME as TABLE_NAME
from lakehouse.errors import ContractError

_DAY_PATTERNS = (
    r"dt=(\d{4}-\d{2}-\d{2})",
    r"(\d{4}-\d{2}-\d{2})",
    r"(\d{4})[/_](\d{2})[/_](\d{2})",
    r"(\d{4})(\d{2})(\d{2})",
    r"year=(\d{4})/month=(\d{2})/day=(\d{2})",
)
_EVENT_NAMES = ("event", "occur", "timestamp", "ordered", "created", "started", "time", "ts", "date", "day")
_NOT_EVENT = re.compile(r"updat|modif|chang|valid|birth|install|expir|promis|due|deliver|shipped|ended|deleted|_to$|_until$|since", re.I)
_DUMP_DAYS = 366  # a file without a day of its own that holds more days than this is a table's dump
_SEQUENCE = re.compile(r"updat|modif|changed|version|sequence|^seq$|revision", re.I)


@dataclass(frozen=True)
class Draft:
    """The text of a draft contract, and what was read for it in one line."""

    text: str
    summary: str


def infer(paths: Sequence[Path], *, name: str | None = None, domain: str | None = None, out: Path | None = None, landing: str = "") -> Draft:
    """A draft contract for these sample files or folders. Raises `ContractError` when there is nothing that can be read, or `out` is no place for it."""
    if out is not None:
        _check_place(out, name, domain)
    sample = read_sample(paths)
    place = _place(sample, [Path(p) for p in paths], landing)
    name, domain = _table_name(name, out, place), _domain_name(domain, out, place)
    guesses, null = _guesses(sample)
    columns = draft_columns(guesses)
    if not columns:
        raise ContractError(f"No column of {sample.files[0]} has a name.", state="No contract was drafted.", next_step="Name sample files with a header.")
    days = _file_days(sample, place)
    facts = Facts(name, domain, place, columns, sample.size, len(sample.files), sample.complete, sample.unreadable, sample.not_utf8)
    facts.left_out = sample.left_out + len(guesses) - len(columns)
    facts.delimiter, facts.multi_line, facts.null = sample.delimiter, sample.multi_line, null
    event = _event_column(facts)
    facts.dump = event is not None and place.date_pattern is None and _span(event) > _DUMP_DAYS
    event = decide_key(facts, sample, None if facts.dump else event)
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


def draft_columns(guesses: Mapping[str, Guess]) -> list[DraftColumn]:
    """A column for each field with a name, under one that a contract may use. Of fields that differ in case only, the first."""
    columns: list[DraftColumn] = []
    taken: dict[str, DraftColumn] = {}
    for source, guess in guesses.items():
        name = source if NAME.match(source) else re.sub(r"\W+", "_", source, flags=re.ASCII).strip("_").lower()
        name = (name if NAME.match(name) else f"column_{name}".rstrip("_"))[:120]
        twin = taken.get(source.lower())
        if twin is not None:
            twin.guess.comments.append(f"{twin.source!r} and {source!r} differ in case only, and one of them can be read")
        if twin is not None or not source:
            continue
        while name.lower() in (c.name.lower() for c in columns):
            name += "_2"
        taken[source.lower()] = DraftColumn(name, source, guess)
        columns.append(taken[source.lower()])
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
    """By the ending that tells the format, where all files have the same; what stands before it, such as a number, differs from file to file."""
    endings = {next((s for s in reversed(f.suffixes) if s.lower() in ENDINGS), "") for f in sample.files}
    return f"**/*{endings.pop()}*" if len(endings) == 1 and "" not in endings else "**/*"


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


def _check_place(out: Path, name: str | None, domain: str | None) -> None:
    """A contract elsewhere than in <domain>/<table>.odcs.yaml would not be read. Raises `ContractError`."""
    table, folder = re.sub(r"(\.odcs)?\.ya?ml$", "", out.name), out.resolve().parent.name
    fits = _word(name or table, "table"), _word(domain or folder, "main")
    if (out.name, folder) != (fits[0] + SUFFIX, fits[1]):
        parent = out.parent if folder == fits[1] else out.parent.parent / fits[1]
        raise ContractError(
            f"{out} would not be read as a contract: its place is <domain>/<table>{SUFFIX}, in small letters, digits and '_', as --domain and --name say.",
            state="Nothing was written.",
            next_step=f"Write it with: --out {parent / (fits[0] + SUFFIX)}",
        )


def _table_name(name: str | None, out: Path | None, place: Place) -> str:
    if name is not None:
        if not TABLE_NAME.match(name):
            raise ContractError(f"{name!r} is no name for a table: small letters, digits and '_', beginning with a letter.", next_step="Choose another --name.")
        return name
    stem = out.name.removesuffix(SUFFIX) if out else ("" if "*" in place.pattern else place.pattern.split(".")[0]) or place.folder.name
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


def _decide_dates(facts: Facts, sample: Sample, days: list[date], column: DraftColumn | None) -> None:
    """Kind, event date, lateness and start."""
    facts.start = min(days)
    if column is None:
        return
    facts.kind, facts.event = "event", column
    lags = [(days[f] - column.guess.days[v]).days for f, v in zip(sample.file_of, sample.columns[column.source], strict=True) if v in column.guess.days]
    facts.lag = max(0, max(lags, default=0))
    first = min(column.guess.days.values())
    # One absurd date, such as 1970 for "unknown", must not make fifty years of partitions.
    facts.start = min(facts.start, first) if facts.start.year - first.year < 30 or len(lags) < 10 else facts.start
    facts.early = sum(lag < -1 for lag in lags)


def _span(column: DraftColumn) -> int:
    """The days from first to last, a twentieth at each end aside: there stand absurd ones, such as 1970 for "unknown"."""
    days = sorted(column.guess.days.values())
    edge = len(days) // 20
    return (days[-1 - edge] - days[edge]).days


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
