"""What a contract says of how its tables are kept in order. Not here: doing it (`lakehouse.maintenance`)."""

from __future__ import annotations

from lakehouse.contracts.columns import Declared
from lakehouse.contracts.mistakes import not_one_of
from lakehouse.contracts.model import Maintenance, Upkeep
from lakehouse.contracts.node import Node
from lakehouse.contracts.profile import ContractProperties, LayerUpkeep, SilverUpkeep
from lakehouse.contracts.spark_types import family

# What has neither an order nor a least value in a file's statistics.
_NO_STATISTICS = ("array", "map", "struct", "binary", "variant")


def read_maintenance(root: Node, properties: ContractProperties, declared: list[Declared], event_date: str | None) -> Maintenance:
    """The policy of each layer. Reports what does not fit together."""
    said = properties.maintenance
    holder = root.property("maintenance")
    for layer in ("bronze", "silver", "quarantine"):
        options: LayerUpkeep = getattr(said, layer)
        if options.logDays <= options.keepDays:
            holder.node(layer).wrong(f"must be more than keepDays ({options.keepDays}): a version is read by what the log says of it", "logDays")
    types = {d.column.name: d.column.type for d in declared}
    for key in ("orderBy", "statistics"):
        for i, name in enumerate(getattr(said.silver, key)):
            if name not in types:
                holder.node("silver").wrong(not_one_of("column", name, types), key, i)
            elif name == event_date:
                holder.node("silver").wrong(f"{name} is what the table is partitioned by: its files are told apart by it already", key, i)
            elif family(types[name]) in _NO_STATISTICS:
                holder.node("silver").wrong(f"{name} is {types[name]}, of which files tell no least and greatest value", key, i)
    return Maintenance(_upkeep(said.bronze), _upkeep(said.silver), _upkeep(said.quarantine))


def _upkeep(options: LayerUpkeep) -> Upkeep:
    silver = options if isinstance(options, SilverUpkeep) else SilverUpkeep()
    return Upkeep(options.compactFiles, options.targetMegabytes << 20, options.keepDays, options.logDays, tuple(silver.orderBy), tuple(silver.statistics))
