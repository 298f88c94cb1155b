"""What a column of sample values probably is: logical type, Spark type, options; and what was seen, for people to decide.

Not here: reading samples (`sample`), how dates are written (`time_patterns`), keys and dates of the table (`infer`), YAML (`draft`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from lakehouse.contracts.sample import Digits, OutOfReach
from lakehouse.contracts.time_patterns import ISO_DATE, fitting_dates, fitting_times

NULL_WORDS = ("NA", "N/A", "NULL", "null", "None", "\\N", "nan", "-")
_MONEY = re.compile(r"price|cost|amount|total|fee|tax|discount|revenue|salary|balance|paid|money", re.I)
_DAY_NAME = re.compile(r"date|day|\bdt\b|_dt|_on$", re.I)
_INTEGER = re.compile(r"[+-]?(0|[1-9]\d*)\Z")
_FIXED = re.compile(r"[+-]?(\d+)\.(\d+)\Z")
_PADDED = re.compile(r"[+-]?0\d")  # a code, not a number
_WHOLE = re.compile(r"[+-]?(0|[1-9]\d*)\.0+\Z")
_FLOAT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\Z")
_POINT = re.compile(r"-?[$€£¥]?\s?-?(\d+|\d{1,3}(,\d{3})+)(\.\d+)?\s?[€%]?")
_COMMA = re.compile(r"-?[$€£¥]?\s?-?(\d+|\d{1,3}(\.\d{3})+)(,\d+)?\s?[€%]?")
_ZONE = re.compile(r"(Z|[+-]\d{2}:?\d{2})\Z")
_ISO_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})?\Z")


@dataclass
class Guess:
    """A column's probable type and what was seen. `format` is Spark's pattern; `zoned` None for what is no timestamp."""

    logical: str
    spark: str
    format: str = ""
    zoned: bool | None = None
    comments: list[str] = field(default_factory=list)
    records: int = 0
    empty: int = 0
    seen: Counter[Any] = field(default_factory=Counter)
    values: Sequence[Any] = ()  # comparable: numbers, dates, times, text
    days: dict[Any, date] = field(default_factory=dict)  # of dates and timestamps: the day of each value seen

    @property
    def required(self) -> bool:
        """Whether every record has a value."""
        return self.empty == 0


def guess_text(name: str, seen: Counter[Any], nulls: frozenset[str]) -> Guess:
    """A CSV column, from how often each value was seen. `nulls` are the texts that mean no value."""
    present = Counter({v: n for v, n in seen.items() if v is not None and v not in nulls})
    guess = _text(name, list(present), csv=True)
    guess.seen, guess.records = present, sum(seen.values())
    guess.empty = guess.records - sum(present.values())
    return guess


def guess_json(name: str, values: Sequence[Any]) -> Guess:
    """A JSON field, nested ones too."""
    present = [v for v in values if v is not None]
    kinds = {_kind(v) for v in present}
    if kinds == {"text"}:
        guess = _text(name, list(dict.fromkeys(present)), csv=False)
    elif kinds == {"truth"}:
        guess = Guess("boolean", "boolean", values=present)
    elif kinds == {"number"}:
        guess = _number(name, list({str(v): v for v in present}.values())) or Guess("number", "double")
    elif kinds == {"object"}:
        guess = _object(present)
    elif kinds == {"list"}:
        guess = _list(name, present)
    else:
        mixed = f"several types in one field ({', '.join(sorted(kinds))}): kept as text" if kinds else "no value in the sample: what is its type?"
        guess = Guess("string", "string", comments=[mixed])
    return _counted(guess, values, present)


def guess_arrow(name: str, kind: Any, values: Sequence[Any]) -> Guess:
    """A Parquet column, by its own type."""
    present = [v for v in values if v is not None]
    far = [v for v in present if isinstance(v, OutOfReach)]
    reached = [v for v in present if not isinstance(v, OutOfReach)] if far else present
    spark, comments = arrow_type(kind)
    comments = [*comments, *_far(far)]
    logical = _LOGICAL.get(re.split(r"[(<]", spark)[0], "string")
    guess = Guess(logical, spark, comments=comments)
    if logical == "timestamp":
        guess.zoned = getattr(kind, "tz", None) is not None
    if logical in ("date", "timestamp"):
        guess.days = {v: v.date() if isinstance(v, datetime) else v for v in reached}
    guess.values = reached if logical in ("string", "integer", "number", "date", "timestamp") and spark != "binary" else ()
    return _counted(guess, values, present)


_LOGICAL = {
    "string": "string", "binary": "string", "boolean": "boolean", "tinyint": "integer", "smallint": "integer", "int": "integer", "bigint": "integer",
    "float": "number", "double": "number", "decimal": "number", "date": "date", "timestamp": "timestamp", "array": "array", "map": "map", "struct": "object",
}  # fmt: skip


def guess_type(spark: str) -> Guess:
    """A column whose type is known."""
    return Guess(_LOGICAL.get(re.split(r"[(<]", spark)[0], "string"), spark)


def _counted(guess: Guess, values: Sequence[Any], present: Sequence[Any]) -> Guess:
    guess.records, guess.empty = len(values), len(values) - len(present)
    if guess.logical not in ("array", "map", "object") and guess.spark != "binary":
        guess.seen = Counter(v for v in present if not isinstance(v, dict | list))
    return guess


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, int | float | Digits):
        return "number"
    return "object" if isinstance(value, dict) else "list" if isinstance(value, list) else "text"


def _text(name: str, distinct: Sequence[str], *, csv: bool) -> Guess:
    if not distinct:
        return Guess("string", "string", comments=["no value in the sample: what is its type?"])
    if csv and {v.lower() for v in distinct} <= {"true", "false"}:
        return Guess("boolean", "boolean")
    day = _date(name, distinct) or _timestamp(distinct)
    if day:
        return day
    number = _number(name, distinct) if csv else None
    return number or Guess("string", "string", values=distinct, comments=_signs(distinct))


def _signs(distinct: Sequence[str]) -> list[str]:
    """How texts become numbers that are written for people: $1,200.50, 1.200,50 € or 12.5 %."""
    plain, comma = "translate(<column>, '{}', '')", "translate(translate(<column>, '{}', ''), ',', '.')"
    for written, kept, sql in ((_POINT, ".-", plain), (_COMMA, ",-", comma)):
        if not all(written.fullmatch(v) for v in distinct):
            continue
        signs = "".join(sorted({c for v in distinct for c in v if not c.isdigit() and c not in kept}))
        if signs:
            return [f"numbers with signs; a column beside this one can hold them as such, by transformLogic: cast({sql.format(signs)} as decimal(18,2))"]
    return []


def _date(name: str, distinct: Sequence[str]) -> Guess | None:
    fitting = fitting_dates(distinct, compact=bool(_DAY_NAME.search(name)))
    if not fitting:
        return None
    pattern, read = next(iter(fitting.items()))
    days = {text: time.date() for text, time in read.items()}
    return Guess("date", "date", format="" if pattern == ISO_DATE else pattern, values=list(days.values()), days=days, comments=_doubt(list(fitting)))


def _doubt(formats: list[str]) -> list[str]:
    return [f"DECIDE: {' or '.join(formats)}? The sample fits both"] if len(formats) > 1 else []


def _timestamp(distinct: Sequence[str]) -> Guess | None:
    if all(_ISO_TIME.match(v) for v in distinct):
        try:
            iso = {v: datetime.fromisoformat(v) for v in distinct}
        except ValueError:
            return None
        zoned = [v for v in distinct if _ZONE.search(v[11:])]
        comments = ["some times carry a zone and some don't"] if 0 < len(zoned) < len(distinct) else []
        return _times(iso, "", len(zoned) == len(distinct), comments)
    fitting = fitting_times(distinct)
    if not fitting:
        return None
    pattern, read = next(iter(fitting.items()))
    return _times(read, pattern, False, _doubt(list(fitting)))


def _times(read: dict[str, datetime], pattern: str, zoned: bool, comments: list[str]) -> Guess:
    utc = {text: there for text, time in read.items() if (there := _utc(time)) is not None}
    days = {text: time.date() for text, time in utc.items()}
    comments = [*comments, *_far([text for text in read if text not in utc])]
    return Guess("timestamp", "timestamp", format=pattern, zoned=zoned, comments=comments, values=list(utc.values()), days=days)


def _utc(time: datetime) -> datetime | None:
    """The time in UTC, without its zone. None where that lies before year 1 or after 9999, as 9999-12-31T23:59:59-05:00 does."""
    try:
        return time.astimezone(UTC).replace(tzinfo=None) if time.tzinfo else time
    except OverflowError:
        return None


def _far(values: Sequence[str]) -> list[str]:
    few = ", ".join(list(dict.fromkeys(values))[:3])
    return [f"out of reach, before year 1 or after 9999 in UTC: {few}; DECIDE: do they stand for no value?"] if values else []


def _number(name: str, distinct: Sequence[Any]) -> Guess | None:
    """A number from its texts (CSV), or from JSON's whole numbers and `Digits`."""
    written = [str(v) for v in distinct]
    if all(_INTEGER.match(v) for v in written):
        return _integer(name, [int(v) for v in written])
    if not all(_FLOAT.match(v) for v in written) or any(_PADDED.match(v) for v in written):
        return None
    if all(_INTEGER.match(v) or _WHOLE.match(v) for v in written):
        guess = _integer(name, [int(v.partition(".")[0]) for v in written])
        guess.comments.append("written with .0, and always whole")
        return guess
    values = [float(v) for v in written]
    scale, whole, fixed = _decimals(written)
    # Always the same places, as exports of money have, or a name that speaks of money asks for decimal. JSON writers cut zeros off.
    same = fixed and scale > 1 and not any(isinstance(v, Digits | int) for v in distinct)
    if 0 < scale <= 4 and whole + scale <= 30 and (same or _MONEY.search(name)):
        spark = f"decimal({max(10, whole + scale + 2)},{scale})"
        return Guess("number", spark, values=values, comments=["DECIDE: decimal is exact, as money must be; double is for measurements"])
    return Guess("number", "double", values=values)


def _decimals(written: Sequence[str]) -> tuple[int, int, bool]:
    """(decimal places, digits before them, whether all have the same places); no places when one has an exponent."""
    if not all(_FIXED.match(v) or _INTEGER.match(v) for v in written):
        return 0, 0, False
    parts = [v.lstrip("+-").partition(".") for v in written]
    places = {len(fraction) for _, _, fraction in parts}
    return max(places), max(len(w) for w, _, _ in parts), len(places) == 1 and len(parts) >= 10


def _integer(name: str, values: list[int]) -> Guess:
    low, high = min(values), max(values)
    comments = []
    if re.search(r"time|_at$|\bts\b|_ts|epoch", name, re.I) and low >= 10**9 and high < 10**14:
        function = "timestamp_seconds" if high < 10**11 else "timestamp_millis"
        comments.append(f"DECIDE: seconds or milliseconds since 1970? Then derive a timestamp with transformLogic: {function}({name})")
    if low >= -(2**63) and high < 2**63:
        return Guess("integer", "bigint", values=values, comments=comments)
    if max(len(str(abs(low))), len(str(abs(high)))) <= 38:
        return Guess("integer", "decimal(38,0)", values=values)
    return Guess("string", "string", comments=["numbers of more than 38 digits: kept as text"])


def _object(present: Sequence[dict[str, Any]]) -> Guess:
    names = list(dict.fromkeys(k for v in present for k in v))
    if not names or _odd(names) or len(names) > 50:
        return Guess("map", "map<string,string>", comments=["objects without fixed fields: kept as a map"])
    inner = {n: guess_json(n, [v.get(n) for v in present]) for n in names}
    fields = ",".join(f"{n if re.match(r'[A-Za-z_][A-Za-z0-9_]*$', n) else f'`{n}`'}:{_nested(g)}" for n, g in inner.items())
    return Guess("object", f"struct<{fields}>")


def _odd(names: Sequence[str]) -> bool:
    """Whether these can't be the fields of one Spark type."""
    return any("`" in n or not n for n in names) or len({n.lower() for n in names}) < len(names)


def _list(name: str, present: Sequence[list[Any]]) -> Guess:
    return Guess("array", f"array<{_nested(guess_json(name, [x for v in present for x in v]))}>")


def _nested(guess: Guess) -> str:
    """The type inside an object or list: dates and times stay text there, since their formats and zones can't be declared."""
    return "string" if guess.logical in ("date", "timestamp") else guess.spark


def arrow_type(kind: Any) -> tuple[str, list[str]]:
    """(Spark type, what to say about it) of an Arrow type."""
    import pyarrow.types as pt

    if pt.is_dictionary(kind):
        return arrow_type(kind.value_type)
    for test, spark in ((pt.is_boolean, "boolean"), (pt.is_int8, "tinyint"), (pt.is_int16, "smallint"), (pt.is_uint8, "smallint"), (pt.is_int32, "int"),
                        (pt.is_uint16, "int"), (pt.is_int64, "bigint"), (pt.is_uint32, "bigint"), (pt.is_uint64, "decimal(20,0)"), (pt.is_float16, "float"),
                        (pt.is_float32, "float"), (pt.is_float64, "double"), (pt.is_date, "date"), (pt.is_string, "string"), (pt.is_large_string, "string"),
                        (pt.is_binary, "binary"), (pt.is_large_binary, "binary"), (pt.is_fixed_size_binary, "binary")):  # fmt: skip
        if test(kind):
            return spark, []
    if pt.is_decimal(kind):
        fits = 0 <= kind.scale <= kind.precision <= 38
        return (f"decimal({kind.precision},{kind.scale})", []) if fits else ("string", [f"{kind} has more digits than Spark's decimal: is text enough?"])
    if pt.is_timestamp(kind):
        return "timestamp", ["written in nanoseconds, which Spark does not read: write microseconds"] if kind.unit == "ns" else []
    return _nested_arrow(kind)


def _nested_arrow(kind: Any) -> tuple[str, list[str]]:
    import pyarrow.types as pt

    if pt.is_list(kind) or pt.is_large_list(kind) or pt.is_fixed_size_list(kind):
        spark, comments = arrow_type(kind.value_type)
        return f"array<{spark}>", comments
    if pt.is_map(kind):
        (key, _), (item, comments) = arrow_type(kind.key_type), arrow_type(kind.item_type)
        return f"map<{key},{item}>", comments
    if pt.is_struct(kind) and kind.num_fields:
        if _odd([f.name for f in kind]):
            return "string", ["DECIDE: its fields have no names that differ in more than case, which Spark needs: is text enough?"]
        inner = [(f.name, *arrow_type(f.type)) for f in kind]
        fields = ",".join(f"{n if re.match(r'[A-Za-z_][A-Za-z0-9_]*$', n) else f'`{n}`'}:{t}" for n, t, _ in inner)
        return f"struct<{fields}>", [c for _, _, cs in inner for c in cs]
    return "string", [f"Arrow type {kind} has no counterpart in Spark: is text enough?"]
