"""The names of tables: one layer and one name give the asset key, the SQL name, the folder and the dbt source.

Also a column of a table to be, and how SQL writes a text. Not here: what a table holds (`contracts`) or how it is written (`engine.delta`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Layer = Literal["bronze", "silver", "quarantine", "gold"]
LAYERS: tuple[Layer, ...] = get_args(Layer)


@dataclass(frozen=True, order=True)
class Table:
    """One table of the lake."""

    layer: Layer
    name: str

    @property
    def key(self) -> list[str]:
        """Dagster's asset key."""
        return [self.layer, self.name]

    @property
    def sql(self) -> str:
        """The name in SQL, quoted."""
        return f"`{self.layer}`.`{self.name}`"

    def location(self, warehouse: str) -> str:
        """The table's folder or URL below the warehouse."""
        return f"{warehouse.rstrip('/')}/{self.layer}/{self.name}"

    def __str__(self) -> str:
        return f"{self.layer}.{self.name}"


@dataclass(frozen=True)
class Field:
    """A column of a table to be: its name, Spark SQL type, comment, and whether it may be empty."""

    name: str
    type: str
    comment: str = ""
    nullable: bool = True

    @property
    def ddl(self) -> str:
        """The column as in CREATE TABLE."""
        comment = f" COMMENT {literal(self.comment)}" if self.comment else ""
        return f"`{self.name}` {self.type}" + ("" if self.nullable else " NOT NULL") + comment


def literal(text: str) -> str:
    """A text as SQL writes it."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
