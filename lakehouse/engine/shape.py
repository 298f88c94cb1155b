"""What a table is to look like, as SQL: the statement that makes it, and those that make an older one the same where Delta can without writing data.

Adds columns, widens types, renews comments and properties. Pure: nothing is executed. Not here: running the statements (`delta`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lakehouse.engine.metadata import TableState
from lakehouse.errors import DataError
from lakehouse.tables import Field, Table, literal

_WIDENING = "delta.enableTypeWidening"
_SYNONYMS = {"integer": "int", "long": "bigint", "short": "smallint", "byte": "tinyint", "real": "float", "dec": "decimal", "numeric": "decimal"}


def _never(old: str, new: str) -> bool:
    return False


@dataclass(frozen=True)
class Shape:
    """What a table looks like: columns in order, partition column, comment, properties; and which types may become which."""

    fields: tuple[Field, ...]
    partition: str | None = None
    comment: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)
    widens: Callable[[str, str], bool] = _never


def creation(table: Table, shape: Shape, location: str) -> str:
    """CREATE TABLE for a table that is not there."""
    columns = ", ".join(f.ddl for f in shape.fields)
    partition = f" PARTITIONED BY (`{shape.partition}`)" if shape.partition else ""
    properties = f" TBLPROPERTIES ({_pairs(shape.properties)})" if shape.properties else ""
    return (
        f"CREATE TABLE IF NOT EXISTS {table.sql} ({columns}) USING delta{partition} LOCATION {literal(location)} COMMENT {literal(shape.comment)}{properties}"
    )


def alterations(found: TableState, have: Sequence[Field], shape: Shape, partition_columns: Sequence[str]) -> list[str]:
    """The statements that make a table with the columns `have` what the shape says; the properties last, so that they tell what has been reached.

    Raises `DataError` when a column's type can't become what it should be, or the table is partitioned otherwise.
    """
    held = {f.name.lower(): f for f in have}
    pairs = [(f, held[f.name.lower()]) for f in shape.fields if f.name.lower() in held]
    changed = [(new, old) for new, old in pairs if _plain(new.type) != _plain(old.type)]
    stuck = [(new, old) for new, old in changed if not shape.widens(_plain(old.type), _plain(new.type))]
    if stuck or list(partition_columns) != [p for p in (shape.partition,) if p]:
        raise _other_shape(found.table, stuck, partition_columns)
    return list(_statements(found, [f for f in shape.fields if f.name.lower() not in held], pairs, shape))


def _statements(found: TableState, missing: Sequence[Field], pairs: Sequence[tuple[Field, Field]], shape: Shape) -> Iterator[str]:
    alter = f"ALTER TABLE {found.table.sql}"
    wider = [new for new, old in pairs if _plain(new.type) != _plain(old.type)]
    if missing:
        yield f"{alter} ADD COLUMNS ({', '.join(f.ddl for f in missing)})"
    if wider and found.properties.get(_WIDENING) != "true":
        yield f"{alter} SET TBLPROPERTIES ({_pairs({_WIDENING: 'true'})})"
    for new in wider:
        yield f"{alter} ALTER COLUMN `{new.name}` TYPE {new.type}"
    for new, old in pairs:
        if new.comment != old.comment:
            yield f"{alter} ALTER COLUMN `{new.name}` COMMENT {literal(new.comment)}"
    if shape.comment != found.comment:
        yield f"COMMENT ON TABLE {found.table.sql} IS {literal(shape.comment)}"
    if any(found.properties.get(k) != v for k, v in shape.properties.items()):
        yield f"{alter} SET TBLPROPERTIES ({_pairs(shape.properties)})"


def _other_shape(table: Table, stuck: Sequence[tuple[Field, Field]], partition_columns: Sequence[str]) -> DataError:
    differences = ", ".join(f"{new.name} is {old.type} and should be {new.type}" for new, old in stuck)
    differences = differences or f"it is partitioned by {', '.join(partition_columns) or 'nothing'}"
    return DataError(
        f"{table} can't take the shape its contract declares: {differences}.",
        state=f"{table} is unchanged.",
        next_step=f"To build it anew from the layer before it: lakehouse materialize {table.layer}/{table.name} --recreate",
    )


def _pairs(properties: Mapping[str, str]) -> str:
    return ", ".join(f"{literal(k)} = {literal(v)}" for k, v in properties.items())


def _plain(type_: str) -> str:
    text = type_.lower().replace(" ", "")
    return _SYNONYMS.get(text, text)
