"""What the columns of a Silver table are made of, as its contract says: fields of the source, through Bronze. Pure. Not here: doing it (`silver.parse`)."""

from __future__ import annotations

from collections.abc import Iterable

from lakehouse.contracts.expressions import columns_of
from lakehouse.contracts.model import Column, Contract, FileSource, KafkaSource, Source
from lakehouse.contracts.rules import refusing
from lakehouse.lineage import ROWS, Lineage, Ref
from lakehouse.silver.changes import PLACES, is_debezium
from lakehouse.silver.transforms import transform_of

_PAYLOAD = "_payload"


def silver_lineage(contract: Contract) -> Lineage:
    """The contract's columns and those of a change feed, each to the fields of Bronze that it is read or computed from; these to the source's.

    Bronze's `_payload.x` is the field `x` of the raw record. Which rows there are is decided by the key, the order, and the rules that refuse.
    """
    made = {Ref(str(contract.silver), name): fields for name, fields in _columns(contract).items()}
    deciding = (*contract.identity, *contract.sequence, *((contract.event_date,) if contract.event_date else ()), *refusing(contract))
    made[Ref(str(contract.silver), ROWS)] = _fields(contract, deciding) | _deletes(contract) | {Ref(str(contract.bronze), ROWS)}
    bronze = sorted(frozenset().union(*made.values()))
    return Lineage(made | {ref: frozenset({_at_source(ref, contract.source)}) for ref in bronze if not _is_place(ref)})


def _columns(contract: Contract) -> dict[str, frozenset[Ref]]:
    columns = {c.name: _fields(contract, [c.name]) for c in contract.columns}
    if transform_of(contract.name) is not None:  # code may make any column of any field
        columns = dict.fromkeys(columns, _fields(contract, columns))
    if contract.feed is None:
        return columns
    columns["is_deleted"] = _deletes(contract)
    if contract.scd == 2:
        ordered = _fields(contract, [*contract.key, *contract.sequence])
        columns |= {"valid_from": _fields(contract, contract.sequence[:1]), "valid_to": ordered, "is_current": ordered}
        columns["change_seq"] = _fields(contract, contract.sequence)
    return columns


def _fields(contract: Contract, names: Iterable[str]) -> frozenset[Ref]:
    """The fields of Bronze that these columns are made of, through computed columns."""
    wanted = made_of(contract, names)
    return frozenset(_field(contract, c) for c in contract.read_columns if c.name.lower() in wanted)


def made_of(contract: Contract, names: Iterable[str]) -> set[str]:
    """These columns and all that they are computed from, in lower case."""
    wanted = {n.lower() for n in names}
    for column in reversed(contract.derived_columns):  # each may use those before it
        if column.name.lower() in wanted:
            wanted |= columns_of(column.expression or "")
    return wanted


def _field(contract: Contract, column: Column) -> Ref:
    name = column.source_field or column.name
    if contract.feed and name in PLACES:
        return Ref(str(contract.bronze), name)
    if is_debezium(contract) and name.startswith("__"):  # of the envelope, by the names that Debezium gives when it flattens
        name = name.removeprefix("__").replace("source_", "source.", 1)
    return Ref(str(contract.bronze), f"{_PAYLOAD}.{name}" if contract.source.is_text else name)


def _deletes(contract: Contract) -> frozenset[Ref]:
    """What tells that a key is gone."""
    feed = contract.feed
    if feed is None:
        return frozenset()
    told = _fields(contract, columns_of(feed.delete_when)) if feed.delete_when else frozenset()
    if is_debezium(contract):
        return told | {Ref(str(contract.bronze), f"{_PAYLOAD}.op")}
    return told | ({Ref(str(contract.bronze), "_op")} if contract.source.compared else frozenset())  # Bronze tells what happened


def _is_place(ref: Ref) -> bool:
    """Whether Bronze itself wrote it, rather than the source."""
    return ref.column in (*PLACES, "_op")


def _at_source(ref: Ref, source: Source) -> Ref:
    return Ref(_named(source), ref.column.removeprefix(f"{_PAYLOAD}."))


def _named(source: Source) -> str:
    if isinstance(source, FileSource):
        return f"{source.format} files {source.path}"
    if isinstance(source, KafkaSource):
        return f"topic {source.topic or source.topic_pattern}"
    return f"table {source.schema}.{source.table} of {source.database}"
