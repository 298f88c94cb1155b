"""Event tables and their event date; entity tables, which have none. Not here: Bronze's dates (`source`)."""

from __future__ import annotations

from lakehouse.contracts.columns import Declared
from lakehouse.contracts.node import Node
from lakehouse.contracts.profile import ContractProperties


def check_dates(root: Node, table: Node, properties: ContractProperties, declared: list[Declared]) -> tuple[str | None, int]:
    """(event date column, days of lateness) of a contract; completes nothing, reports what does not fit its kind."""
    marked = [d for d in declared if d.partitioned]
    for d in declared:
        if not d.partitioned and (d.node.whole("partitionKeyPosition") or -1) != -1:
            d.node.wrong("needs `partitioned: true`", "partitionKeyPosition")
    kind = getattr(properties, "kind", None)
    if kind == "entity":
        _entity(root, marked)
        return None, 0
    if kind == "event":
        _event(table, marked)
    return marked[0].column.name if marked else None, properties.lateness.days


def _entity(root: Node, marked: list[Declared]) -> None:
    for d in marked:
        d.node.wrong("an entity table is not partitioned: drop it, or make the contract's kind event", "partitioned")
    for item in root.items("customProperties"):
        if item.text("property") == "lateness":
            item.wrong("is for event tables, and this table's kind is entity", "value")


def _event(table: Node, marked: list[Declared]) -> None:
    if not marked:
        example = "such as one with `transformLogic: cast(event_time as date)`"
        table.wrong(f"an event table needs one date column with `partitioned: true`, {example}", "properties")
    for d in marked[1:]:
        d.node.wrong(f"only one column can be the event date, and {marked[0].column.name} is", "partitioned")
    for d in marked[:1]:
        for wrong, key in _event_date(d):
            d.node.wrong(wrong, key)


def _event_date(d: Declared) -> list[tuple[str, str]]:
    """What keeps a column from being the event date, and the key that says it."""
    checks = (
        (d.column.type != "date", f"the event date must have logicalType date, not {d.column.logical_type}", "logicalType"),
        (d.key, "the event date is part of the row's identity anyway: drop `primaryKey`", "primaryKey"),
        (d.required is not True, "the event date must have `required: true`", "required"),
        (d.column.on_fail == "warn", "rows without an event date can't be kept: its onFail is quarantine, drop or fail", "customProperties"),
        (d.column.masking is not None, "the event date can't be masked: rows are stored by it", "customProperties"),
        (d.node.whole("partitionKeyPosition") not in (None, -1, 1), "must be 1: there is one partition column", "partitionKeyPosition"),
    )
    return [(wrong, key) for broken, wrong, key in checks if broken]
