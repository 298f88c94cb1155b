"""The columns of a contract's Silver and quarantine tables, with Spark SQL types as text. Pure: no Spark here. Not here: creating tables (`engine.delta`)."""

from __future__ import annotations

from lakehouse.contracts.model import Column, Contract
from lakehouse.contracts.rules import range_text
from lakehouse.tables import Field

_MASKS = {"sha256": "SHA-256 of the source's value", "redact": "Blacked out", "null": "Always empty: hidden"}


_SOURCE = Field("_source", "string", "Where the record came from: the file's path below the source's folder, topic and partition, or table.")
_POSITION = Field("_source_position", "bigint", "Where it stood there: row in the file (where the format has one), offset.")
_TIME = Field("_source_time", "timestamp", "When the file was last modified, or the record was sent.")
_DATE = Field("_source_date", "date", "The Bronze day: which day's delivery the record came with.")
_INGESTED = Field("_ingested_at", "timestamp", "When the platform took the record in.")


_WAITING = (
    Field("_waits_for", "map<string,string>", "Of a record that waits: the keys of the rows that it waits for, as text, by the rule that it breaks."),
    Field("_held_until", "date", "The last day on which it counts as waiting; empty when it does not wait."),
)


def silver_fields(contract: Contract) -> tuple[Field, ...]:
    """The contract's columns, those of a change feed, then the technical ones. Columns that warn rather than refuse may be empty although required."""
    columns = tuple(Field(c.name, c.type, comment_of(c), _nullable(c, contract)) for c in contract.columns)
    return (*columns, *_feed_fields(contract), *_origin_fields(), *_repeat_fields(contract))


def _origin_fields() -> tuple[Field, ...]:
    return (_SOURCE, _POSITION, _TIME, _DATE, _INGESTED, Field("_record_hash", "bigint", "Hash of the raw record: the last tie-breaker."))


def _feed_fields(contract: Contract) -> tuple[Field, ...]:
    """What a change feed adds; with history, the half-open interval of each version."""
    if contract.feed is None:
        return ()
    deleted = Field("is_deleted", "boolean", "Whether the key is gone: a tombstone, which keeps late changes from bringing it back.")
    if contract.scd == 1:
        return (deleted,)
    return (
        deleted,
        Field("valid_from", "timestamp", "From when on the version is valid (UTC)."),
        Field("valid_to", "timestamp", "Until when, exclusive (UTC); empty while it is valid."),
        Field("is_current", "boolean", "Whether it is the newest version of its key."),
        Field("change_seq", _struct(contract, contract.sequence), "Where in the order of changes the version begins."),
    )


def repeat_columns(contract: Contract) -> tuple[str, ...]:
    """What differs between a change and a later one that changed nothing: all but the key and what is compared."""
    own = {*contract.key, *contract.compared}
    return (*(c.name for c in contract.columns if c.name not in own), *(f.name for f in _origin_fields()))


def _repeat_fields(contract: Contract) -> tuple[Field, ...]:
    if contract.scd == 1:
        return ()
    what = "Changes that changed nothing, in order: a late change between them would make them versions."
    return (Field("_repeats", f"array<{_struct(contract, repeat_columns(contract))}>", what),)


def _struct(contract: Contract, names: tuple[str, ...]) -> str:
    types = {**{c.name: c.type for c in contract.columns}, **{f.name: f.type for f in _origin_fields()}}
    return "struct<" + ",".join(f"{n}:{types[n]}" for n in names) + ">"


def quarantine_fields(contract: Contract) -> tuple[Field, ...]:
    """Where refused records go: as they arrived, with every reason."""
    return (
        Field("_payload", "string", "The raw record, as JSON where the source has columns; empty for dropped rows."),
        Field("_reasons", "array<string>", "Every rule that the record breaks."),
        Field("_disposition", "string", "quarantined; held: it waits for a row of another table; or dropped: counted, and its content not kept."),
        Field("_event_date", "date", "The event date, where it could be read." if contract.event_date else "Always empty: the table has no event date."),
        _SOURCE,
        _POSITION,
        _TIME,
        _DATE,
        _INGESTED,
        Field("_record_hash", "bigint", "Hash of the raw record: with its origin, what it is found by in Bronze."),
        Field("_contract_version", "string", "Version of the contract that refused it."),
        Field("_quarantined_at", "timestamp", "When it was refused."),
        *(_WAITING if contract.waiting_columns else ()),
    )


def silver_ddl(contract: Contract) -> str:
    """The Silver columns as in CREATE TABLE."""
    return ", ".join(f.ddl for f in silver_fields(contract))


def quarantine_ddl(contract: Contract) -> str:
    """The quarantine columns as in CREATE TABLE."""
    return ", ".join(f.ddl for f in quarantine_fields(contract))


def comment_of(column: Column) -> str:
    """What people read about a column: its description, and what hides or bounds its values."""
    bounds = range_text(column)
    facts = [
        f"One of: {', '.join(column.enum)}." if column.enum else "",
        f"Allowed: {bounds}." if bounds else "",
        f"Computed: {column.expression}." if column.expression else "",
        f"{_MASKS[column.masking]}." if column.masking else "",
    ]
    return " ".join(p for p in (_sentence(column.description), *facts) if p)


def _sentence(text: str) -> str:
    return text if not text or text[-1] in ".!?…" else f"{text}."


def _nullable(column: Column, contract: Contract) -> bool:
    if column.name in contract.identity:
        return False
    if contract.feed and column.name not in contract.told_by_deletes:
        return True
    return not column.required or column.on_fail == "warn" or column.masking == "null"
