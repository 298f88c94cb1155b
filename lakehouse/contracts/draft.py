"""The YAML of a draft contract, with what was seen beside each guess. Written by hand, line by line, since the comments are half of it. Not here: any guess."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from lakehouse.contracts.guess import Guess
from lakehouse.contracts.model import FileSource

_PERSONAL = re.compile(r"e?mail|phone|mobile|address|birth|iban|ssn|passport|(first|last|full|sur|customer|user)_?name|^name$", re.I)
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_/.-]*\Z")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
_VALUE = re.compile(r"(?!(19|20)\d\d\Z)[+-]?\d+([.,:/-]\d+)*")  # a number, date or time; years alone head columns
_FEW = 12


@dataclass(frozen=True)
class Place:
    """Where the sample lay: path as the contract says it, real folder, format, glob, and the pattern of days in paths (None: there is none)."""

    path: str
    folder: Path
    format: str
    pattern: str
    date_pattern: str | None


@dataclass
class DraftColumn:
    """A column of the draft, its field in the source, and the guess."""

    name: str
    source: str
    guess: Guess


@dataclass
class Facts:
    """All that a draft says."""

    name: str
    domain: str
    place: Place
    columns: list[DraftColumn]
    records: int
    files: int
    complete: bool
    unreadable: int
    not_utf8: int = 0
    left_out: int = 0
    delimiter: str = ","
    multi_line: bool = False
    null: str = ""
    key: tuple[str, ...] = ()
    key_note: str = ""
    candidates: list[tuple[str, ...]] = field(default_factory=list)
    repeated: int = 0
    snapshots: bool = False
    dump: bool = False
    kind: str = "entity"
    event: DraftColumn | None = None
    lag: int = 0
    early: int = 0
    start: date = date(2000, 1, 1)
    sequence: str | None = None

    def column(self, name: str) -> DraftColumn:
        """The column of that name."""
        return next(c for c in self.columns if c.name == name)


def write_draft(facts: Facts) -> str:
    """The contract as YAML text."""
    sections = (_head(facts), _schema(facts), _tail(facts))
    return "".join(f"{line}\n" for lines in sections for line in lines)


def _head(facts: Facts) -> list[str]:
    seen = f"{facts.records:,} record{'s' * (facts.records != 1)} of {facts.files} file{'s' * (facts.files != 1)}"
    notes = [f"# A draft from {seen}{'' if facts.complete else ' (a part of what is there)'}. Go through it, above all through each DECIDE."]
    if facts.unreadable:
        notes.append(f"# {facts.unreadable:,} more records could not be read as {facts.place.format}; they would go to quarantine.")
    if facts.not_utf8:
        notes.append(f"# {facts.not_utf8:,} lines are not UTF-8; they would go to quarantine. Convert the files, as `iconv -f latin1 -t utf-8` does.")
    if facts.place.format == "csv" and (values := [c.source for c in facts.columns if _VALUE.fullmatch(c.source)]):
        notes.append(f"# The first line was taken for the header, though {comment(', '.join(values[:3]))} look like values: CSV files need one.")
    if facts.left_out:
        notes.append(f"# Left out: {facts.left_out:,} field{'s' * (facts.left_out != 1)} without a name, or with that of another (capitals or not).")
    if facts.repeated:
        notes.append(f"# {facts.repeated:,} records are exact repetitions of others; Silver keeps one of each.")
    return [
        *notes,
        "apiVersion: v3.2.0",
        "kind: DataContract",
        f"id: {uuid.uuid5(uuid.NAMESPACE_URL, f'{facts.domain}/{facts.name}')}",
        f"name: {quoted(facts.name)}",
        "version: 0.1.0",
        "status: draft",
        f"domain: {quoted(facts.domain)}",
        "description:",
        "  purpose: Drafted from sample data.  # DECIDE: what is this table, and who uses it for what?",
        "",
        "servers:",
        "  - server: landing",
        "    type: local",
        f"    path: {quoted(facts.place.path)}{_path_note(facts.place)}",
        f"    format: {facts.place.format}",
        "",
    ]


def _path_note(place: Place) -> str:
    return "  # DECIDE: better relative to the landing folder (LAKEHOUSE_LANDING)" if place.path.startswith("/") else "  # below the landing folder"


def _schema(facts: Facts) -> list[str]:
    identity = " and ".join([", ".join(facts.key), *([_event_date(facts)] if facts.event else [])])
    lines = [
        "schema:",
        f"  - name: {quoted(facts.name)}",
        "    physicalType: table",
        f"    dataGranularityDescription: One row per {identity}.  # DECIDE: say it in words",
        "    properties:",
    ]
    for column in facts.columns:
        lines += ["      " + line for line in column_lines(facts, column)]
    if facts.event and facts.event.guess.logical == "timestamp":
        lines += ["      " + line for line in _derived(facts, facts.event)]
    return [*lines, *_quality(facts), ""]


def _quality(facts: Facts) -> list[str]:
    """An example of a rule, which holds where it stands once the comment signs are gone."""
    number = next((c.name for c in facts.columns if c.guess.logical in ("integer", "number")), None)
    rule = f"`{number}` >= 0" if number else f"`{facts.key[0]}` is not null"
    return [
        "    # quality:  # DECIDE: which rules hold over columns? Such as",
        f"    #   - {{id: plausible, type: custom, engine: lakehouse, implementation: {{expr: '{rule}', onFail: quarantine}}}}",
    ]


def _event_date(facts: Facts) -> str:
    """The event date's name: the date column itself, or a new one beside the timestamp."""
    event = facts.event
    if event is None or event.guess.logical == "date":
        return event.name if event else ""
    base = re.sub(r"_?(at|time|ts|timestamp|datetime)$", "", event.name, flags=re.I)
    base = "event" if not base or base.lower().startswith("time") else base
    name, taken = f"{base}_date", {c.name.lower() for c in facts.columns}
    while name.lower() in taken:
        name = f"{name}_utc"
    return name


def _derived(facts: Facts, event: DraftColumn) -> list[str]:
    return [
        f"- name: {_event_date(facts)}  # DECIDE: the date that the table is partitioned by",
        "  logicalType: date",
        "  required: true",
        "  partitioned: true",
        f"  transformLogic: cast(`{event.name}` as date)",
    ]


def column_lines(facts: Facts, column: DraftColumn) -> list[str]:
    """A column as an item of the contract's `properties`."""
    guess, is_key = column.guess, column.name in facts.key
    is_date = facts.event is column and guess.logical == "date"
    lines = [f"- name: {quoted(column.name)}", f"  logicalType: {guess.logical}"]
    if guess.logical in ("integer", "number", "array", "map", "object") or guess.spark == "binary":
        lines.append(f"  physicalType: {quoted(guess.spark)}")
    if guess.logical == "map":
        lines.append("  map: {key: {logicalType: string}, value: {logicalType: string}}")
    if guess.required or is_key or is_date:
        lines.append(f"  required: true{'' if guess.required else f'  # DECIDE: it is empty in {guess.empty:,} of {guess.records:,} records'}")
    else:
        lines.append(f"  # empty in {guess.empty:,} of {guess.records:,} records, so not required")
    if is_key:
        lines += [f"  primaryKey: true  # {facts.key_note}", f"  primaryKeyPosition: {facts.key.index(column.name) + 1}"]
        lines += [f"  # other candidates: {others}" for others in _others(facts) if column.name == facts.key[0]]
    if is_date:
        lines.append("  partitioned: true  # DECIDE: the date that the table is partitioned by")
    return [*lines, *_options(guess), *_properties(facts, column), *_seen(guess, is_key=is_key), *[f"  # {comment(c)}" for c in guess.comments]]


def _others(facts: Facts) -> list[str]:
    rest = [" + ".join(c) for c in facts.candidates if c != facts.key][:8]
    return ["; ".join(rest)] if rest else []


def _options(guess: Guess) -> list[str]:
    options = [f"format: {quoted(guess.format)}"] if guess.format else []
    note = ""
    if guess.zoned is False:
        options.append("defaultTimezone: Etc/UTC")
        note = "  # DECIDE: the times carry no zone; which is meant?"
    return [f"  logicalTypeOptions: {{{', '.join(options)}}}{note}"] if options else []


def _properties(facts: Facts, column: DraftColumn) -> list[str]:
    personal = bool(_PERSONAL.search(column.name)) and column.name not in facts.key and column.guess.spark == "string"
    renamed = f"{{property: sourceField, value: {quoted(column.source)}}}"
    masking = "{property: masking, value: {policy: sha256}}"
    if column.source == column.name:
        return [f"  # personal? customProperties: [{masking}]"] if personal else []
    return ["  customProperties:", f"    - {renamed}", *([f"    # personal? - {masking}"] if personal else [])]


def _seen(guess: Guess, *, is_key: bool) -> list[str]:
    distinct, count = len(guess.seen), sum(guess.seen.values())
    if guess.logical == "boolean" or not count:
        return []
    few = guess.logical in ("string", "integer") and not is_key and distinct <= _FEW and count >= max(20, 4 * distinct)
    if few:
        values = sorted(guess.seen, key=lambda v: (-guess.seen[v], str(v)))
        listed = ", ".join(f"{{value: {_value(v, guess)}}}" for v in values)
        return [f"  # {distinct} different value{'s' * (distinct != 1)}; DECIDE: are these all there are?", f"  # enum: [{comment(listed)}]"]
    if guess.logical in ("integer", "number", "date", "timestamp") and len(guess.values):
        return [f"  # seen: {comment(_show(min(guess.values)))} to {comment(_show(max(guess.values)))}"]
    examples = sorted(guess.seen, key=lambda v: (-guess.seen[v], str(v)))[:3]
    lengths = [len(str(v)) for v in guess.seen]
    return [f"  # seen: {distinct:,} different, {min(lengths)} to {max(lengths)} characters, such as {comment(', '.join(map(_short, examples)))}"]


def _value(value: Any, guess: Guess) -> str:
    return str(value) if guess.logical == "integer" else quoted(str(value))


def _show(value: Any) -> str:
    return value.isoformat() if isinstance(value, date | datetime) else str(value)


def _short(value: Any) -> str:
    text = str(value)
    return quoted(text if len(text) <= 40 else text[:37] + "...")


def comment(text: str) -> str:
    """Text from data, made fit for a comment: one printable line of at most 600 characters."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    return shown if len(shown) <= 600 else shown[:597] + "..."


def quoted(text: str) -> str:
    """Text as a YAML scalar: plain where no reader could take it for something else, else in double quotes with YAML's escapes."""
    if _PLAIN.match(text) and text.lower() not in _WORDS:
        return text
    return '"' + "".join(_escaped(c) for c in text) + '"'


def _escaped(char: str) -> str:
    if char in ('"', "\\"):
        return f"\\{char}"
    if char.isprintable():
        return char
    code = ord(char)
    if 0xD800 <= code <= 0xDFFF:
        return "\ufffd"  # half a character, which no file in UTF-8 can hold
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _tail(facts: Facts) -> list[str]:
    lines = [
        "# slaProperties:  # DECIDE: how old may the newest row be?",
        f"#   - {{property: freshness, value: 1, unit: d, element: {facts.name}{_clock(facts)}}}",
        "",
    ]
    lines += ["# team: {name: your-team, members: [{username: you@example.com, role: Owner}]}  # DECIDE: whose table is it?", "", "customProperties:"]
    lines += _kind(facts)
    lines += [f"  - {{property: source, value: {{{_source(facts)}}}}}"]
    if facts.place.date_pattern is None:
        lines.append("  # No date in the paths: a file's day is that of its last change. Better: folders dt=YYYY-MM-DD.")
    lines.append(f"  - {{property: partition, value: {{start: '{facts.start.isoformat()}'}}}}  # the first day seen; earlier ones are out of range")
    lines += _lateness(facts)
    if facts.sequence:
        lines.append(
            f"  - {{property: dedupe, value: {{orderBy: [{quoted(facts.sequence)}]}}}}  # DECIDE: of several records of one identity the greatest wins"
        )
    return lines


def _clock(facts: Facts) -> str:
    return f".{facts.event.name}" if facts.event else f".{facts.sequence}" if facts.sequence else ".<column>"


def _kind(facts: Facts) -> list[str]:
    if facts.kind == "event":
        return ["  - {property: kind, value: event}  # rows happen at a time; entity, when a row is the present state of a thing"]
    why = "each file is a snapshot of things" if facts.snapshots else "no date that things happened at was found"
    why = "files without a day of their own hold more than a year: whole tables" if facts.dump and not facts.snapshots else why
    lines = [f"  - {{property: kind, value: entity}}  # {why}; event, when rows happen at a time"]
    if facts.snapshots and facts.place.date_pattern is not None:
        lines.append("  # DECIDE: where each file lists all things that there are, `mode: snapshot` in the source below makes one that is gone a delete.")
    return lines


def _source(facts: Facts) -> str:
    parts = [f"pattern: {quoted(facts.place.pattern)}"]
    if facts.place.date_pattern is None:
        parts.append("date: modified")
    elif facts.place.date_pattern != FileSource.date_pattern:
        parts.append(f"datePattern: {_single(facts.place.date_pattern)}")
    if facts.place.format == "csv":
        parts += [f"delimiter: {quoted(facts.delimiter)}"] if facts.delimiter != "," else []
        parts += [f"nullValue: {quoted(facts.null)}"] if facts.null else []
        parts += ["multiLine: true"] if facts.multi_line else []
    return ", ".join(parts)


def _single(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _lateness(facts: Facts) -> list[str]:
    if facts.event is None:
        return []
    days = min(max(facts.lag, 1), 36_500)
    lines = [f"  - {{property: lateness, value: {{days: {days}}}}}  # DECIDE: records lay up to {facts.lag:,} days behind their file's day"]
    if facts.early:
        lines.append(f"  # {facts.early:,} records lie more than a day ahead of their file's day; they would go to quarantine as `future`.")
    return lines
