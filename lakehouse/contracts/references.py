"""Which columns name rows of other tables, and wait for them: `relationships` of a column, and whether the contracts agree about them.

Not here: judging records by it (`lakehouse.silver.parents`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from lakehouse.contracts.mistakes import nearest
from lakehouse.contracts.model import Column, Contract, Parent
from lakehouse.contracts.node import Node
from lakehouse.contracts.profile import RelationshipProperties, read_properties

_TARGET = re.compile(r"([a-z][a-z0-9_]*)\.([A-Za-z][A-Za-z0-9_]*)\Z")


def read_parent(node: Node) -> Parent | None:
    """The table whose rows a column names and waits for. Relationships without `onFail: hold` are documentation."""
    found: Parent | None = None
    for item in node.items("relationships"):
        properties = read_properties(RelationshipProperties, item)
        if properties.onFail is None:
            item.note("is documentation: with the property onFail: hold a record waits for the row that it names")
            continue
        target = _TARGET.match(item.text("to") or "")
        if target is None:
            item.wrong(f"must be <table>.<column>, not {item.value.get('to')!r}", "to")
        elif found is not None:
            item.wrong("a column waits for the rows of one table", "to")
        else:
            found = Parent(target[1], target[2], properties.horizon.days)
    return found


def disagreements(contract: Contract, others: Mapping[str, Contract]) -> Iterator[tuple[str, str]]:
    """What is wrong with the tables that a contract's columns name: the text of `to`, and what."""
    for column in contract.columns:
        if column.parent is not None:
            wrong = _disagreement(contract, column, column.parent, others)
            if wrong:
                yield f"{column.parent.table}.{column.parent.column}", wrong


def _disagreement(contract: Contract, column: Column, parent: Parent, others: Mapping[str, Contract]) -> str | None:
    other = others.get(parent.table)
    if other is None:
        meant = nearest(parent.table, others)
        return f"there is no table {parent.table!r}.{f' Did you mean {meant!r}?' if meant else ''}"
    if other.key != (parent.column,):
        return f"must be the whole key of {other.name}, which is {', '.join(other.key)}"
    target = other.column(parent.column)
    if target.type != column.type:
        return f"is {target.type}, and {column.name} is {column.type}: they must have one type"
    if target.masking or column.masking:
        return f"{target.name if target.masking else column.name} is masked: Silver does not hold what would be compared"
    if contract.name in _above(other, others):
        return f"{other.name} waits for {contract.name} itself: one of them has to come first"
    return None


def _above(contract: Contract, others: Mapping[str, Contract]) -> set[str]:
    """The table itself and those that its rows wait for, directly or not."""
    seen, todo = set[str](), [contract]
    while todo:
        one = todo.pop()
        if one.name not in seen:
            seen.add(one.name)
            todo += [others[c.parent.table] for c in one.columns if c.parent is not None and c.parent.table in others]
    return seen
