"""Change feeds: what of a contract says that its source tells changes, and how long they are remembered. Not here: applying them (`silver.history`)."""

from __future__ import annotations

from lakehouse.contracts.columns import Declared
from lakehouse.contracts.expressions import check_expression, columns_of
from lakehouse.contracts.mistakes import not_one_of
from lakehouse.contracts.model import ChangeFeed, Column
from lakehouse.contracts.node import Node
from lakehouse.contracts.profile import ContractProperties, FileOptions, KafkaOptions

OWN = ("is_deleted", "valid_from", "valid_to", "is_current", "change_seq")  # columns that the platform adds


def read_feed(root: Node, properties: ContractProperties, declared: list[Declared], sequence: tuple[str, ...]) -> ChangeFeed | None:
    """The change feed, or None where the source tells records. Reports what does not fit together."""
    said = properties.changeFeed
    _check_kind(root, properties)
    snapshots = not isinstance(properties.source, KafkaOptions) and properties.source is not None and properties.source.mode == "snapshot"
    if said is None and not snapshots:
        return None
    columns = {d.column.name: d.column for d in declared}
    _check_names(declared)
    if snapshots and isinstance(properties.source, FileOptions):
        _check_key(declared)
    if said is None:  # snapshots are compared, and tell deletes by themselves
        return ChangeFeed(control=_control(columns, sequence, None))
    value = _holder(root, "changeFeed").node("value")
    _check_sequence(value, columns, sequence, history=properties.scd.type == 2)
    for i, name in enumerate(said.ignore):
        if name not in columns:
            value.wrong(not_one_of("column", name, columns), "ignore", i)
    if said.deleteWhen is not None:
        for wrong in check_expression(said.deleteWhen, {n: c.type for n, c in columns.items()}, truth=True):
            value.wrong(wrong, "deleteWhen")
    feed = ChangeFeed(said.form, said.deleteWhen, _control(columns, sequence, said.deleteWhen), tuple(said.ignore))
    _check_compared(value, columns, feed, {d.column.name for d in declared if d.key})
    return feed


def _check_names(declared: list[Declared]) -> None:
    for d in declared:
        if d.column.name.lower() in OWN:
            d.node.wrong(f"{d.column.name!r} is a column that the platform adds to a change feed: choose another; `sourceField` names the field", "name")


def _check_key(declared: list[Declared]) -> None:
    for d in declared:
        if d.key and (d.column.derived or d.column.source_field.startswith("_source_")):
            d.node.wrong("snapshots are compared by their own fields: a key column can't be computed, or tell where a record came from", "name")


def _check_sequence(value: Node, columns: dict[str, Column], sequence: tuple[str, ...], *, history: bool) -> None:
    for i, name in enumerate(sequence):
        column = columns.get(name)
        if column is not None and not (column.required and column.on_fail != "warn"):
            value.wrong(f"{name} must have `required: true`, and an onFail other than warn: a change without it has no place in the order", "sequence", i)
    first = columns.get(sequence[0]) if sequence else None
    if history and first is not None and first.type not in ("date", "timestamp"):
        value.wrong(f"{first.name} is {first.type}: with history the first column is the time of the change, a date or a timestamp", "sequence", 0)


def _holder(root: Node, name: str) -> Node:
    return next((p for p in root.items("customProperties") if p.text("property") == name), root)


def _check_kind(root: Node, properties: ContractProperties) -> None:
    event = getattr(properties, "kind", "entity") == "event"
    for name in ("scd", "changeFeed"):
        holder = _holder(root, name)
        if event and holder is not root:
            holder.wrong("is for entity tables, and this table's kind is event", "value")
    if properties.scd.type == 2 and properties.changeFeed is None and not event:
        _holder(root, "scd").wrong("type 2 keeps the changes that a feed tells: it needs the property changeFeed", "value", "type")
    if properties.changeFeed is not None and properties.changeFeed.form == "debezium":
        if getattr(properties.source, "mode", None) == "snapshot":
            _holder(root, "changeFeed").wrong("snapshots have rows, and Debezium tells changes of them: the form must be columns", "value", "form")
        forms = {(s.text("type") == "kafka", s.text("format") or "json") for s in root.items("servers")}
        if not forms & {(True, "json"), (True, "avro"), (False, "json")}:
            told = "Debezium's envelope is read as JSON, from Kafka also as Avro: the server's format must be json, or there avro"
            _holder(root, "changeFeed").wrong(told, "value", "form")


def _control(columns: dict[str, Column], sequence: tuple[str, ...], delete_when: str | None) -> tuple[str, ...]:
    """What the sequence and the delete condition are made of, through derived columns."""
    used = {n.lower() for n in sequence} | (columns_of(delete_when) if delete_when else set())
    for column in reversed(columns.values()):  # a derived column uses columns before it, or ones that are read
        if column.name.lower() in used and column.expression:
            used |= columns_of(column.expression)
    return tuple(n for n in columns if n.lower() in used)


def _check_compared(value: Node, columns: dict[str, Column], feed: ChangeFeed, keys: set[str]) -> None:
    for name, column in columns.items():
        if "map<" in column.type and name not in keys | {*feed.control, *feed.ignore}:
            value.wrong(f"{name} is {column.type}, which can't be compared: name it in `ignore`", "ignore")
