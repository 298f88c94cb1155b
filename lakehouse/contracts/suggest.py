"""What a contract could say of fields that its source has and it does not take: items for its `properties`, from some records.

Not here: finding such fields (`silver.drift`), guessing types (`guess`).
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lakehouse.contracts.draft import Facts, Place, column_lines
from lakehouse.contracts.guess import Guess, guess_json, guess_text
from lakehouse.contracts.infer import draft_columns
from lakehouse.contracts.model import FileSource
from lakehouse.contracts.sample import Digits

_NOWHERE = Place("", Path(), "", "", None)


def suggested(guesses: Mapping[str, Guess]) -> str:
    """Items for a contract's `properties`. None of the values seen is told: nobody has said yet that they are not personal."""
    for guess in guesses.values():
        guess.seen, guess.values = Counter(), ()
        guess.records, guess.empty = 1, 1  # what is new was missing until now
    columns = draft_columns(guesses)
    facts = Facts("", "", _NOWHERE, columns, 0, 0, False, 0)
    lines = [line for column in columns for line in column_lines(facts, column)]
    return "\n".join(line for line in lines if not line.lstrip().startswith("# empty in"))


def guess_of_json(name: str, payloads: Sequence[str], inside: Sequence[Sequence[str]] = ((),)) -> Guess:
    """A field of JSON records; `inside`: the mappings that can hold it, of which the first that there is counts."""
    found = []
    for payload in payloads:
        try:
            record = json.loads(payload, parse_float=Digits)
        except ValueError:
            continue
        holder = next((h for path in inside if isinstance(h := _under(record, path), dict)), {})
        found.append(holder.get(name))
    return guess_json(name, found)


def guess_of_csv(name: str, records: Sequence[tuple[str, str]], source: FileSource) -> Guess:
    """A field of CSV records, each with its header line."""
    seen: Counter[Any] = Counter()
    for header, record in records:
        names, values = ([v.strip() for v in _split(line, source)] for line in (header, record))
        seen[dict(zip(names, values, strict=False)).get(name)] += 1
    return guess_text(name, seen, frozenset(("", source.null_value)))


def _split(line: str, source: FileSource) -> list[str]:
    return next(csv.reader([line], delimiter=source.delimiter, quotechar=source.quote), [])


def _under(record: Any, path: Sequence[str]) -> Any:
    for key in path:
        record = record.get(key) if isinstance(record, dict) else None
    return record
