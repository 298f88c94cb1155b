"""The columns of two versions of a contract: types, where values come from, declared rules, masking and classification. Pure.

Not here: the table as a whole (`compare`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime

from lakehouse.contracts.change import Area, Change
from lakehouse.contracts.model import Bound, Column, Contract, OnFail
from lakehouse.contracts.spark_types import widens

PERSONAL = ("pii", "personal", "personal-data", "sensitive", "gdpr")  # tags that say so
_SECRECY = {"public": 0, None: 0, "internal": 1, "confidential": 2, "restricted": 3}
_STRENGTH = {None: 0, "sha256": 1, "redact": 2, "null": 3}


def compare_columns(old: Contract, new: Contract) -> Iterator[Change]:
    """Every difference between the contracts' columns."""
    before, after = {c.name: c for c in old.columns}, {c.name: c for c in new.columns}
    for name in (n for n in before if n not in after):
        now = next((c.name for c in new.columns if c.source_field and c.source_field == before[name].source_field), None)
        yield Change("columns", name, f"is gone{f': {now} reads its field' if now else ''}", "breaking", "table")
    for name in (n for n in after if n not in before):
        yield _added(after[name])
    for name in (n for n in before if n in after):
        yield from _column(before[name], after[name], _placed(old) | _placed(new))
    kept = [[n for n in names if n in before and n in after] for names in (before, after)]
    if kept[0] != kept[1]:
        yield Change("columns", "columns", "stand in another order", textual=True)


def refuses(on_fail: OnFail) -> bool:
    """Whether a row that breaks such a rule stays out of Silver."""
    return on_fail != "warn"


def text_change(area: Area, subject: str, key: str, old: str | None, new: str | None) -> Iterator[Change]:
    """Another text for people."""
    if old != new:
        yield Change(area, subject, f"{key} is {_short(new)}, was {_short(old)}", textual=True)


def personal_tags(subject: str, old: Iterable[str], new: Iterable[str]) -> Iterator[Change]:
    """Tags; one that marks personal data is a promise, the others are words."""
    gone, come = [t for t in old if t not in set(new)], [t for t in new if t not in set(old)]
    for tag in (t for t in gone if t.lower() in PERSONAL):
        yield Change("personal data", subject, f"is no longer tagged {tag}", "breaking")
    words = [f"+{t}" for t in come] + [f"-{t}" for t in gone if t.lower() not in PERSONAL]
    if words:
        yield Change("texts", subject, f"tags {' '.join(words)}", textual=True)


def _placed(contract: Contract) -> set[str]:
    """The columns that decide which rows are one row, where it is stored and which record wins."""
    return {*contract.identity, *contract.sequence}


def _added(column: Column) -> Change:
    what = f"is new: {column.type}" + (f" from {column.source_field}" if column.source_field not in ("", column.name) else "")
    if column.expression:
        what += f", computed: {column.expression}"
    if column.required and refuses(column.on_fail):
        what += "; records without it are refused"
    return Change("columns", column.name, what, redo="rows")


def _column(old: Column, new: Column, placed: set[str]) -> Iterator[Change]:
    yield from _type(old, new)
    yield from _origin(old, new, old.name in placed)
    yield from _required(old, new)
    yield from _values(old, new)
    yield from _parent(old, new)
    yield from _masking(old, new, old.name in placed)
    yield from _classification(old, new)
    yield from personal_tags(old.name, old.tags, new.tags)
    yield from text_change("texts", old.name, "logicalType", old.logical_type, new.logical_type)
    yield from text_change("texts", old.name, "description", old.description, new.description)


def _type(old: Column, new: Column) -> Iterator[Change]:
    if old.type == new.type:
        return
    if widens(old.type, new.type):
        yield Change("columns", old.name, f"{old.type} becomes {new.type}, which holds all that it held", "widening", "rows")
    else:
        yield Change("columns", old.name, f"{old.type} becomes {new.type}", "breaking", "table")


def _origin(old: Column, new: Column, placed: bool) -> Iterator[Change]:
    """Where values come from and how they are read: the same name, other values."""
    keys = {"transformLogic": (old.expression, new.expression), "defaultTimezone": (old.timezone, new.timezone), "format": (old.format, new.format)}
    if not old.derived and not new.derived:
        keys["sourceField"] = (old.source_field or old.name, new.source_field or new.name)
    for key, (before, after) in keys.items():
        if before == after:
            continue
        what = f"{key} is {after or 'none'}, was {before or 'none'}"
        if placed:
            yield Change("columns", old.name, f"{what}: which rows are one row, or where they lie, changes", "breaking", "table")
        else:
            yield Change("columns", old.name, f"{what}: the same record gives another value", "widening", "rows")


def _required(old: Column, new: Column) -> Iterator[Change]:
    before, after = (c.required and refuses(c.on_fail) for c in (old, new))
    if before and not after:
        yield Change("rules", old.name, "may be empty, and was promised to have a value", "breaking", "rows")
    elif after and not before:
        yield Change("rules", old.name, "must have a value; records without one are refused", redo="rows")
    elif old.required != new.required:
        yield Change("rules", old.name, f"a missing value is {'reported' if new.required else 'no longer reported'}")


def _values(old: Column, new: Column) -> Iterator[Change]:
    """The rules about a column's values: tighter ones refuse more records, looser ones let readers meet new values."""
    held, asked = (refuses(c.on_fail) for c in (old, new))
    for key, was, now, tighter in _limits(old, new):
        if not held and not asked:
            yield Change("rules", old.name, f"{key} is {now}, was {was}: reported only")
        elif tighter:
            yield Change("rules", old.name, f"{key} is {now}, was {was}: fewer values are allowed", redo="rows")
        else:
            yield Change("rules", old.name, f"{key} is {now}, was {was}: values come in that the old contract excluded", "widening", "rows")
    if old.on_fail != new.on_fail:
        what = f"a row that breaks its rules: {new.on_fail}, was {old.on_fail}"
        yield Change("rules", old.name, what, "widening" if held and not asked else "compatible", "rows" if held != asked else "nothing")


def _parent(old: Column, new: Column) -> Iterator[Change]:
    """The table whose rows a column names, and waits for."""
    before, after = (f"{c.parent.silver}.{c.parent.column}" if c.parent else None for c in (old, new))
    if before is None and after is not None:
        yield Change("rules", old.name, f"waits for its row in {after}; records without one are refused until then", redo="rows")
    elif before != after:
        what = f"waits for its row in {after}, no longer in {before}" if after else f"no longer waits for its row in {before}: values come in that name none"
        yield Change("rules", old.name, what, "widening", "rows")
    elif old.parent and new.parent and old.parent.horizon_days != new.parent.horizon_days:
        days = f"a record waits for {new.parent.horizon_days} days, was {old.parent.horizon_days}"
        yield Change("rules", old.name, f"{days}, before it counts as refused", textual=True)


def _limits(old: Column, new: Column) -> Iterator[tuple[str, str, str, bool]]:
    """(key, old, new, whether only values that were allowed are allowed now) of each limit that differs."""
    if old.enum != new.enum:
        tighter = bool(new.enum) and (not old.enum or set(new.enum) <= set(old.enum))
        yield "enum", ", ".join(old.enum) or "none", ", ".join(new.enum) or "none", tighter
    if old.pattern != new.pattern:
        yield "pattern", old.pattern or "none", new.pattern or "none", old.pattern is None
    for key in ("minimum", "exclusive_minimum", "min_length"):
        yield from _limit(key, getattr(old, key), getattr(new, key), lower=True)
    for key in ("maximum", "exclusive_maximum", "max_length"):
        yield from _limit(key, getattr(old, key), getattr(new, key), lower=False)


def _limit(key: str, old: Bound, new: Bound, *, lower: bool) -> Iterator[tuple[str, str, str, bool]]:
    if old == new:
        return
    tighter = old is None or (new is not None and _above(new, old) is lower)
    yield key, "none" if old is None else str(old), "none" if new is None else str(new), tighter


def _above(one: float | str, other: float | str) -> bool | None:
    """Whether a bound lies above another; None when that can't be told."""
    if isinstance(one, str) or isinstance(other, str):
        moments = [_moment(str(value)) for value in (one, other)]
        if None in moments or (moments[0].tzinfo is None) != (moments[1].tzinfo is None):  # type: ignore[union-attr]
            return None
        return moments[0] > moments[1]  # type: ignore[operator]
    return one > other


def _moment(text: str) -> datetime | None:
    try:
        return datetime.combine(date.fromisoformat(text), datetime.min.time()) if len(text) == 10 else datetime.fromisoformat(text)
    except ValueError:
        return None


def _masking(old: Column, new: Column, placed: bool) -> Iterator[Change]:
    if old.masking == new.masking:
        return
    weaker = _STRENGTH[new.masking] < _STRENGTH[old.masking]
    if weaker:
        told = "shows what was hidden" if new.masking is None else "shows more than it did"
    else:
        told = "readers no longer find the values that were there; days that are not rebuilt still hold them"
    yield Change("personal data", old.name, f"masking {new.masking or 'none'}, was {old.masking or 'none'}: {told}", "breaking", "table" if placed else "rows")


def _classification(old: Column, new: Column) -> Iterator[Change]:
    if old.classification == new.classification:
        return
    before, after = (_SECRECY.get(c.classification.lower() if c.classification else None) for c in (old, new))
    # A word that is not known: only a first classification, or a step from what was public, can't be a downgrade.
    lowered = (after is None and before != 0) or before is None or (after is not None and after < before)
    what = f"classification {new.classification or 'none'}, was {old.classification or 'none'}"
    if lowered:
        yield Change("personal data", old.name, what, "breaking")
    else:
        yield Change("personal data", old.name, what)


def _short(text: str | None) -> str:
    return "none" if not text else f"'{text}'" if len(text) <= 60 else f"'{text[:57]}…'"
