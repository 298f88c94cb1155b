"""What makes a row one row, and which record of it wins: the key's columns and the order. Not here: the event date (`dates`)."""

from __future__ import annotations

from lakehouse.contracts.columns import Declared
from lakehouse.contracts.mistakes import not_one_of
from lakehouse.contracts.model import Column
from lakehouse.contracts.node import Node
from lakehouse.contracts.profile import ContractProperties
from lakehouse.contracts.spark_types import family


def read_key(table: Node, declared: list[Declared]) -> tuple[str, ...]:
    """The key's columns, by position."""
    keys = [d for d in declared if d.key]
    if declared and not keys:
        table.wrong("no column has `primaryKey: true`: a table needs a key", "properties")
    for d in keys:
        for wrong, at in _not_a_key(d):
            d.node.wrong(wrong, at)
    if any(d.key_position is not None for d in keys):
        if sorted(d.key_position or 0 for d in keys) != list(range(1, len(keys) + 1)):
            for d in keys:
                d.node.wrong(f"the positions of the key's columns must be 1 to {len(keys)}, each once", "primaryKeyPosition")
        keys.sort(key=lambda d: d.key_position or 0)
    return tuple(d.column.name for d in keys)


def _not_a_key(d: Declared) -> list[tuple[str, str]]:
    """What keeps a column from being in the key, and the key that says it."""
    kind, masking = family(d.column.type), d.column.masking
    inexact = kind in ("float", "double", "binary", "array", "map", "struct")
    checks = (
        (not d.column.required, "a key column must have `required: true`", "primaryKey"),
        (inexact, f"a key can't be {d.column.type}: use a whole number, text, a date, a time or a decimal", "primaryKey"),
        (d.column.on_fail == "warn", "rows without a key can't be kept: a key column's onFail is quarantine, drop or fail", "customProperties"),
        (masking in ("redact", "null"), f"masking {masking} makes all keys equal. Allowed for a key: sha256", "customProperties"),
    )
    return [(wrong, at) for broken, wrong, at in checks if broken]


def read_sequence(root: Node, properties: ContractProperties, declared: list[Declared]) -> tuple[str, ...]:
    """The columns that decide which record wins."""
    feed, dedupe = properties.changeFeed, properties.dedupe
    if feed is not None and dedupe is not None:
        root.wrong("a change feed's order is its `sequence`: drop the property `dedupe`", "customProperties")
    if feed is None and dedupe is None:
        return ()
    order, place = (feed.sequence, ("changeFeed", "sequence")) if feed is not None else (dedupe.orderBy if dedupe else [], ("dedupe", "orderBy"))
    columns = {d.column.name: d.column for d in declared}
    holder = next((p for p in root.items("customProperties") if p.text("property") == place[0]), root)
    for i, name in enumerate(order):
        wrong = f"{name} stands twice" if name in order[:i] else _no_order(name, columns)
        if wrong:
            holder.wrong(wrong, "value", place[1], i)
    return tuple(order)


def _no_order(name: str, columns: dict[str, Column]) -> str | None:
    if name not in columns:
        return not_one_of("column", name, columns)
    if "map<" in columns[name].type:
        return f"{name} is {columns[name].type}, which has no order"
    return f"{name} is masked, which loses its order" if columns[name].masking else None
