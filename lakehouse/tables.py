"""The names of tables: one layer and one name give the asset key, the SQL name, the folder and the dbt source.

Not here: what a table holds (`contracts`) or how it is written (`engine.delta`).
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
