"""A second opinion on generated files: reads them with the standard library, judges every record by the contracts, and counts.

Shares no code with the generator or the platform. Slow and small on purpose; meant for small scales. Not here: expectations (see the tests).
"""

from __future__ import annotations

import csv
import gzip
import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq
import yaml

Values = dict[str, Any]

# The contracts' own SQL rules, in Python. True for a good row; None (a missing value) passes.
RULES: dict[str, Callable[[Values], bool | None]] = {
    "vibration_not_negative": lambda r: r["metric"] != "vibration" or not r["value"] < 0,
    "not_the_test_bench": lambda r: r["machine_id"] != "M00",
    "usual_temperature": lambda r: r["metric"] != "temperature" or r["value"] <= 200,
    "scrap_not_above_produced": lambda r: r["scrap_units"] <= r["produced_units"],
    "ends_after_start": lambda r: r["ended_at"] >= r["started_at"],
    "output_near_plan": lambda r: 4 * r["produced_units"] <= 5 * r["planned_units"],
    "discount_not_above_price": lambda r: r["discount"] <= r["quantity"] * r["unit_price"],
    "promised_not_before_order": lambda r: r["promised_date"] >= r["ordered_at"].date(),
    "not_a_bot": lambda r: "bot" not in r["user_agent"].lower(),
    "purchase_has_order": lambda r: r["action"] != "purchase" or r["order_id"] is not None,
    "price_covers_cost": lambda r: r["list_price"] >= r["unit_cost"],
    "pressure_band": lambda r: r["pressure_min"] < r["pressure_max"],
}


class WrongType(Exception):
    """The value is not of the declared type."""


@dataclass
class Counted:
    """What was found in one table's files."""

    records: int = 0
    quarantined: int = 0
    dropped: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    warned: Counter[str] = field(default_factory=Counter)
    by_source_date: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    by_event_date: Counter[str] = field(default_factory=Counter)
    winners: list[Values] = field(default_factory=list)
    undecided: int = 0  # identities whose winner would hang on a hash of differing records


@dataclass
class Record:
    """A record as found: its fields by name, or why it can't be read, and where it stands; of a change, whether it deletes."""

    fields: dict[str, Any] | None
    problems: list[str]
    raw: Any
    source: str
    position: int
    deletes: bool = False


def recount(landing: Path, contracts: Path) -> dict[str, Counted]:
    """Judge all files below `landing` by the contracts in that folder; by table."""
    return {c["name"]: _table(landing, c) for c in (yaml.safe_load(f.read_text(encoding="utf-8")) for f in sorted(contracts.rglob("*.odcs.yaml")))}


def _table(landing: Path, contract: dict[str, Any]) -> Counted:
    custom = {p["property"]: p["value"] for p in contract["customProperties"]}
    counted, best = Counted(), {}
    start, lateness = date.fromisoformat(custom["partition"]["start"]), custom.get("lateness", {}).get("days", 0)
    schema, feed = contract["schema"][0], custom.get("changeFeed")
    if feed:
        return _table_of_changes(landing, contract, custom, feed)
    event = next((p["name"] for p in schema["properties"] if p.get("partitioned")), None)
    keys = [p["name"] for p in schema["properties"] if p.get("primaryKey")] + ([event] if event else [])
    for record in _records(landing / contract["servers"][0]["path"], contract["servers"][0]["format"], custom["source"].get("delimiter", ","), schema):
        day = date.fromisoformat(re.search(r"dt=(\d{4}-\d\d-\d\d)", record.source)[1])  # type: ignore[index]
        in_range = day >= start
        values, reasons = _judge(record, schema, day if in_range else None, event, lateness)
        bucket = counted.by_source_date[str(day) if in_range else "out_of_range"]
        counted.records += 1
        bucket["records"] += 1
        fate = _fate(reasons, schema)
        if fate != "good":
            setattr(counted, fate, getattr(counted, fate) + 1)
            counted.reasons.update(reasons)
            bucket[fate] += 1
            continue
        counted.warned.update(reasons)
        bucket["superseded"] += 1
        order = ([values[c] for c in custom["dedupe"]["orderBy"]], record.source, record.position)
        identity = tuple(values[k] for k in keys)
        if identity in best and best[identity][0] == order and best[identity][3] != record.raw:
            counted.undecided += 1
        if identity not in best or order >= best[identity][0]:
            best[identity] = (order, day, values, record.raw)
    for _, day, values, _ in best.values():
        counted.by_source_date[str(day)].update({"accepted": 1, "superseded": -1})
        if event:
            counted.by_event_date[str(values[event])] += 1
        counted.winners.append(values)
    return counted


def _table_of_changes(landing: Path, contract: dict[str, Any], custom: dict[str, Any], feed: dict[str, Any]) -> Counted:
    """Every change judged; of those at one place of a key the last file's; sorted, and those kept that change something. The winners are versions."""
    schema, counted = contract["schema"][0], Counted()
    key = next(p["name"] for p in schema["properties"] if p.get("primaryKey"))
    placed: dict[str, dict[tuple[Any, ...], tuple[str, str, Values]]] = defaultdict(dict)
    for record in _records(landing / contract["servers"][0]["path"], "json", ",", schema, envelope=feed.get("form") == "debezium"):
        day = re.search(r"dt=(\d{4}-\d\d-\d\d)", record.source)[1]  # type: ignore[index]
        record.deletes = record.deletes or (record.fields or {}).get("op") == "d"
        told = {"properties": [p for p in schema["properties"] if _told(p["name"], key, feed)], "quality": []} if record.deletes else schema
        values, reasons = _judge(record, told, date.fromisoformat(day), None, 0)
        counted.records += 1
        counted.by_source_date[day]["records"] += 1
        if _fate(reasons, schema) != "good":
            counted.quarantined += 1
            counted.reasons.update(reasons)
            counted.by_source_date[day]["quarantined"] += 1
            continue
        counted.warned.update(reasons)
        counted.by_source_date[day]["superseded"] += 1
        place = tuple(values[c] for c in feed["sequence"])
        held = placed[values[key]].get(place)
        if held is None or record.source >= held[0]:
            placed[values[key]][place] = record.source, day, values | {"is_deleted": record.deletes}
    for changes in placed.values():
        line: list[Values] = []
        for place, (_, day, values) in sorted(changes.items()):
            if not line or _compared(line[-1], schema, key, feed) != _compared(values, schema, key, feed):
                counted.by_source_date[day].update({"accepted": 1, "superseded": -1})
                line.append(values | {"valid_from": place[0], "valid_to": None})
                if len(line) > 1:
                    line[-2]["valid_to"] = place[0]
        counted.winners += line
    return counted


def _told(name: str, key: str, feed: dict[str, Any]) -> bool:
    """Whether a delete has a value for the column: key, place, and what these and the condition are made of."""
    return name in {key, *feed["sequence"], *feed.get("deleteWhen", "").split(" ")[:1], "committed_ms"}


def _compared(values: Values, schema: dict[str, Any], key: str, feed: dict[str, Any]) -> list[Any]:
    """What makes a version, as it is kept: masked values can't be seen to change (a hash can)."""
    hidden = [p["name"] for p in schema["properties"] for c in p.get("customProperties", []) if c["property"] == "masking" and c["value"]["policy"] != "sha256"]
    return [values["is_deleted"], *(values.get(p["name"]) for p in schema["properties"] if not _told(p["name"], key, feed) and p["name"] not in hidden)]


def _fate(reasons: list[str], schema: dict[str, Any]) -> str:
    actions = {q["id"]: q["implementation"]["onFail"] for q in schema["quality"] if q.get("engine") == "lakehouse"}
    for prop in schema["properties"]:
        on_fail = next((c["value"] for c in prop.get("customProperties", []) if c["property"] == "onFail"), None)
        if on_fail:
            actions |= {f"{prop['name']}_{rule}": on_fail for rule in ("required", "in_set", "pattern", "in_range", "length")}
    taken = {actions.get(reason, "quarantine") for reason in reasons}
    assert "fail" not in taken, reasons
    return "quarantined" if "quarantine" in taken else "dropped" if "drop" in taken else "good"


def _records(folder: Path, kind: str, delimiter: str, schema: dict[str, Any], *, envelope: bool = False) -> Iterator[Record]:
    known = {_source(p) for p in schema["properties"] if "transformLogic" not in p}
    for file in sorted(f for f in folder.rglob("*") if f.is_file()):
        source = file.relative_to(folder).as_posix()
        if kind == "parquet":
            for position, row in enumerate(pq.ParquetFile(file).read().to_pylist()):
                yield Record(row, [], row, source, position)
            continue
        data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        lines = [line for line in data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").split(b"\n") if line]
        if kind == "json":
            read = (_json(line, source, known) for line in lines)
            yield from map(_opened, read) if envelope else read
        elif lines:
            header = next(csv.reader([lines[0].decode()], delimiter=delimiter))
            yield from (_csv(line, header, delimiter, source) for line in lines[1:])


def _json(line: bytes, source: str, known: set[str]) -> Record:
    problems: list[str] = []

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in found]
        if len(set(names)) < len(names):
            problems.append("duplicate_field")
        if any(name not in known and name.lower() in {k.lower() for k in known} for name in names):
            problems.append("field_case")
        return dict(found)

    try:
        text = line.decode("utf-8", "replace")
        fields = json.loads(text, object_pairs_hook=pairs)
    except ValueError:
        return Record(None, ["malformed"], line, source, 0)
    try:
        line.decode()
    except UnicodeDecodeError:
        problems.append("invalid_utf8")
    return Record(fields, problems, line, source, 0)


def _opened(record: Record) -> Record:
    """The row in a message of Debezium, with its place in the log."""
    message = record.fields
    if message is None:
        return record
    row = message["before"] if message["op"] == "d" else message["after"] if message["op"] in "cru" else None
    if row is None:
        return Record(None, ["unknown_operation"], record.raw, record.source, 0)
    place = {f"__source_{name}": value for name, value in message["source"].items()}
    return Record(row | place, record.problems, record.raw, record.source, 0, deletes=message["op"] == "d")


def _csv(line: bytes, header: list[str], delimiter: str, source: str) -> Record:
    values = next(csv.reader([line.decode()], delimiter=delimiter))
    if len(values) != len(header):
        return Record(None, ["malformed"], line, source, 0)
    return Record({name: value or None for name, value in zip(header, values, strict=True)}, [], line, source, 0)


def _source(prop: dict[str, Any]) -> str:
    name: str = next((c["value"] for c in prop.get("customProperties", []) if c["property"] == "sourceField"), prop["name"])
    return name


def _judge(record: Record, schema: dict[str, Any], day: date | None, event: str | None, lateness: int) -> tuple[Values, list[str]]:
    reasons, values = list(record.problems), {}
    if day is None:
        reasons.append("source_date_out_of_range")
    if record.fields is None:
        return values, reasons
    for prop in schema["properties"]:
        if "transformLogic" in prop:
            millis = re.fullmatch(r"timestamp_millis\((\w+)\)", prop["transformLogic"])
            values[prop["name"]] = datetime.fromtimestamp(values[millis[1]] / 1000, UTC) if millis else None
            continue
        name = prop["name"]
        try:
            values[name] = _typed(prop, record.fields.get(_source(prop)))
        except WrongType:
            values[name] = None
            reasons.append(f"{name}_type")
            continue
        reasons += [f"{name}_{rule}" for rule in _implied(prop, values[name])]
    if event:
        of = re.fullmatch(r"cast\((\w+) as date\)", next(p["transformLogic"] for p in schema["properties"] if p["name"] == event))[1]  # type: ignore[index]
        values[event] = values[of].date() if values[of] else None
        if values[event] and day:
            reasons += ["late"] * (values[event] < day - timedelta(days=lateness)) + ["future"] * (values[event] > day + timedelta(days=1))
    return values, reasons + [q["id"] for q in schema["quality"] if q.get("engine") == "lakehouse" and not _passes(q["id"], values)]


def _passes(rule: str, values: Values) -> bool:
    try:
        return RULES[rule](values) is not False
    except (TypeError, AttributeError):
        return True  # a missing value is other rules' business


def _typed(prop: dict[str, Any], raw: Any) -> Any:
    if raw is None or (not isinstance(raw, str | int | float)):
        return raw  # missing, or typed by Parquet
    options, kind = prop.get("logicalTypeOptions", {}), prop.get("physicalType", prop["logicalType"])
    read: dict[str, Callable[[Any], Any]] = {
        "string": str,
        "double": float,
        "int": int,
        "bigint": int,
        "decimal(10,2)": _money,
        "boolean": lambda value: value if isinstance(value, bool) else {"true": True, "false": False}[value],
        "date": lambda text: datetime.strptime(text, "%d.%m.%Y").date() if "format" in options else date.fromisoformat(text),
        "timestamp": lambda text: _instant(str(text), options.get("defaultTimezone")),
    }
    try:
        return read[kind](raw)
    except (ValueError, KeyError, InvalidOperation) as error:
        raise WrongType from error


def _money(text: str) -> Decimal:
    value = Decimal(text)
    if value != value.quantize(Decimal("0.01")) or abs(value) >= 10**8:
        raise WrongType
    return value


def _instant(raw: str, zone: str | None) -> datetime:
    if not re.match(r"\d{4}-\d\d-\d\d[T ]\d\d:", raw):
        raise WrongType
    moment = datetime.fromisoformat(raw)
    if moment.tzinfo is None:
        if zone is None:
            raise WrongType
        moment = moment.replace(tzinfo=ZoneInfo(zone), fold=0)
    return moment.astimezone(UTC)


def _implied(prop: dict[str, Any], value: Any) -> Iterator[str]:
    options = prop.get("logicalTypeOptions", {})
    if value is None:
        if prop.get("required"):
            yield "required"
        return
    if isinstance(value, float) and not math.isfinite(value):
        yield "not_nan"
        return
    if "enum" in prop and value not in [e["value"] for e in prop["enum"]]:
        yield "in_set"
    if "pattern" in options and not re.search(options["pattern"], value):
        yield "pattern"
    if not options.get("minLength", 0) <= (len(value) if isinstance(value, str) else 0) <= options.get("maxLength", 1 << 30) and isinstance(value, str):
        yield "length"
    if any(
        (
            "minimum" in options and value < options["minimum"],
            "maximum" in options and value > options["maximum"],
            "exclusiveMinimum" in options and value <= options["exclusiveMinimum"],
        )
    ):
        yield "in_range"
