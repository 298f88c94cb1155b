"""What a contract promises beyond its columns: row rules, volume, freshness. Not here: rules that columns imply (`rules`), and keeping promises (`quality`)."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import Any

from lakehouse.contracts.columns import Declared
from lakehouse.contracts.expressions import check_expression, columns_of
from lakehouse.contracts.mistakes import nearest, not_one_of
from lakehouse.contracts.model import Rule, Volume
from lakehouse.contracts.node import Node
from lakehouse.contracts.profile import Implementation, read_model
from lakehouse.contracts.rules import implied_names

ENGINE = "lakehouse"
RULE_NAME = re.compile(r"[a-z][a-z0-9_]{0,99}\Z")
_UNITS = {"m": "m", "min": "m", "minute": "m", "minutes": "m", "h": "h", "hr": "h", "hour": "h", "hours": "h", "d": "d", "day": "d", "days": "d"}
_BOUNDS = ("mustBe", "mustBeGreaterThan", "mustBeGreaterOrEqualTo", "mustBeLessThan", "mustBeLessOrEqualTo", "mustBeBetween")


def read_quality(table: Node, declared: list[Declared]) -> tuple[tuple[Rule, ...], Volume | None]:
    """The row rules and the volume that a table's and its columns' quality items say."""
    rules: dict[str, Rule] = {}
    volumes: list[Volume] = []
    types = {d.column.name: d.column.type for d in declared}
    implied = implied_names(tuple(d.column for d in declared))
    for holder in (table, *(d.node for d in declared)):
        for item in holder.items("quality"):
            kind = item.text("type") or "library"
            if kind == "custom":
                rule = _rule(item, types)
                if rule and (rule.name in rules or rule.name in implied):
                    item.wrong(f"a rule called {rule.name!r} {'stands above' if rule.name in rules else 'follows from the columns'}: give it another id", "id")
                elif rule:
                    rules[rule.name] = rule
            elif kind == "library" and item.text("metric") == "rowCount" and holder is table:
                volumes += _volume(item)
            elif kind != "text":
                _not_evaluated(item, kind)
    return tuple(rules.values()), _merged(table, volumes)


def _rule(item: Node, types: dict[str, str]) -> Rule | None:
    engine = item.text("engine")
    if engine != ENGINE:
        if engine and nearest(engine, [ENGINE]):
            item.wrong(f"unknown engine {engine!r}. Did you mean {ENGINE!r}?", "engine")
        elif engine:
            item.note(f"engine {engine!r} is another tool's: not evaluated by this version", "engine")
        return None
    name = _rule_name(item)
    if "implementation" not in item.value:
        return None  # the standard's schema says so
    say = read_model(Implementation, item.value["implementation"], item.at("implementation"), item.report)
    if say is None:
        return None
    for wrong in check_expression(say.expr, types, truth=True):
        item.wrong(wrong, "implementation", "expr")
    return Rule(name, say.expr.strip(), say.onFail, " ".join((item.text("description") or "").split()))


def _rule_name(item: Node) -> str:
    name = item.text("id")
    if name is None:
        item.wrong("a rule needs an `id`: the reason that quarantined rows carry")
    elif not RULE_NAME.match(name):
        item.wrong(f"{name!r} must begin with a small letter and go on with small letters, digits and '_'", "id")
    return name or ""


def _not_evaluated(item: Node, kind: str) -> None:
    what = f"metric {item.text('metric')}" if kind == "library" else f"type {kind}"
    hints = {
        "duplicateValues": "the key is unique anyway",
        "nullValues": "use `required: true`",
        "missingValues": "use `required: true`",
        "invalidValues": "use `enum` or `pattern`",
        "rowCount": "it is evaluated in the table's quality, not in a column's",
    }
    hint = hints.get(item.text("metric") or "", "for rows, write a rule (type custom, engine lakehouse)")
    item.note(f"{what} is not evaluated by this version: {hint}")


def _volume(item: Node) -> list[Volume]:
    least: int | None = None
    most: int | None = None
    operators = [k for k in item.value if k.startswith("must")]
    for key in operators:
        if key not in _BOUNDS:
            item.wrong(not_one_of("operator for rowCount", key, _BOUNDS), key)
            return []
        low, high = _limits(key, item.value[key])
        if low is None and high is None:
            item.wrong(f"must be {'two numbers' if key == 'mustBeBetween' else 'a number'} of rows, from 0 on, not {item.value[key]!r}", key)
            return []
        least, most = low if least is None else least, high if most is None else most
    if item.text("unit") not in (None, "rows"):
        item.wrong(f"{item.text('unit')!r} is not evaluated. Allowed: rows", "unit")
    severity = item.text("severity") or "warning"
    if severity not in ("warning", "error"):
        item.wrong(not_one_of("severity", severity, ("warning", "error")), "severity")
        return []
    return [Volume(least, most, "error" if severity == "error" else "warning")] if operators else []


def _limits(key: str, value: Any) -> tuple[int | None, int | None]:
    numbers = value if isinstance(value, list) else [value]
    if any(isinstance(n, bool) or not isinstance(n, int | float) or not math.isfinite(n) or n < 0 for n in numbers):
        return None, None
    if key == "mustBeBetween":
        return (math.ceil(numbers[0]), math.floor(numbers[1])) if len(numbers) == 2 else (None, None)
    n = numbers[0]
    return {
        "mustBe": (math.ceil(n), math.floor(n)),
        "mustBeGreaterThan": (math.floor(n) + 1, None),
        "mustBeGreaterOrEqualTo": (math.ceil(n), None),
        "mustBeLessThan": (None, math.ceil(n) - 1),
        "mustBeLessOrEqualTo": (None, math.floor(n)),
    }[key]


def _merged(table: Node, volumes: list[Volume]) -> Volume | None:
    if not volumes:
        return None
    low = [v.minimum for v in volumes if v.minimum is not None]
    high = [v.maximum for v in volumes if v.maximum is not None]
    if len({v.severity for v in volumes}) > 1 or len(low) > 1 or len(high) > 1:
        table.wrong("rowCount may be bounded once from below and once from above, with one severity", "quality")
    volume = Volume(max(low, default=None), min(high, default=None), volumes[0].severity)
    if volume.minimum is not None and volume.maximum is not None and volume.minimum > volume.maximum:
        table.wrong(f"no row count is at least {volume.minimum} and at most {volume.maximum}", "quality")
    return volume


def read_freshness(root: Node, name: str, declared: list[Declared], event_date: str | None, sequence: tuple[str, ...]) -> tuple[timedelta | None, str | None]:
    """How old the newest row may be, and by which column."""
    found: timedelta | None = None
    column: str | None = None
    for item in root.items("slaProperties"):
        said = item.text("property") or ""
        if said != "freshness":
            if nearest(said, ["freshness"]):
                item.wrong(f"unknown property {said!r}. Did you mean 'freshness'?", "property")
            else:
                item.note(f"{said} is not acted on by this version", "property")
        elif found is not None:
            item.wrong("freshness is said twice", "property")
        else:
            found = _duration(item)
            column = _clock(item, name, declared, event_date, sequence)
    return found, column


def _duration(item: Node) -> timedelta | None:
    value, unit = item.number("value"), item.text("unit")
    if value is None or not math.isfinite(value) or value <= 0:
        item.wrong(f"must be a number above 0, not {item.value.get('value')!r}", "value")
    if unit is None:
        if "unit" not in item.value:
            item.wrong("'unit' is missing. Allowed: m (minutes), h (hours), d (days)")
    elif unit not in _UNITS:
        item.wrong(not_one_of("unit", unit, ("m", "h", "d")), "unit")
    elif value is not None and 0 < value < 1e7:
        return timedelta(**{{"m": "minutes", "h": "hours", "d": "days"}[_UNITS[unit]]: value})
    return None


def _clock(item: Node, name: str, declared: list[Declared], event_date: str | None, sequence: tuple[str, ...]) -> str | None:
    times = {d.column.name: d for d in declared if d.column.type in ("date", "timestamp")}
    table, _, column = (item.text("element") or name).partition(".")
    if table != name:
        item.wrong(f"{table!r} is another table: write {name}.<column>", "element")
        return None
    if column:
        if column not in times:
            item.wrong(not_one_of("column", column, times) + " It must be a date or a timestamp.", "element")
            return None
        if times[column].column.masking:
            item.wrong(f"{column} is masked", "element")
        return column
    clock = _default_clock(times, event_date) if event_date else next((c for c in sequence if c in times), None)
    if clock is None:
        allowed = ", ".join(times) or "none: there is no date or timestamp"
        item.wrong(f"name the column that tells how fresh the table is: {name}.<column>. Allowed: {allowed}", "element")
    return clock


def _default_clock(times: dict[str, Declared], event_date: str) -> str:
    """The timestamp that the event date is derived from, else the event date."""
    expression = times[event_date].column.expression if event_date in times else None
    used = [n for n in times if expression and n.lower() in columns_of(expression)]
    return used[0] if len(used) == 1 else event_date
