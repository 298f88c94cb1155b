"""Which of the chosen days need building: those that are missing, whose last attempt failed, or that are stale by what the tables' own notes say.

Not here: choosing assets and days by name (`selection`), building them (`backfill`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING

from lakehouse.cli.lake import Lake
from lakehouse.cli.selection import Chosen
from lakehouse.engine.metadata import open_table, rows_by_partition
from lakehouse.engine.outdated import outdated
from lakehouse.gold.progress import missing_sources, stale
from lakehouse.gold.project import Model
from lakehouse.tables import Table

if TYPE_CHECKING:
    import dagster as dg
    from pyspark.sql import SparkSession

    from lakehouse.contracts.model import Contract


class Only(StrEnum):
    """What of the chosen days is to be built."""

    missing = "missing"
    failed = "failed"
    stale = "stale"


@dataclass(frozen=True)
class Todo:
    """What is to be built: the partition keys of each asset by day, and the assets that are whole."""

    by_day: Mapping[dg.AssetKey, frozenset[str]]
    whole: tuple[dg.AssetKey, ...] = ()

    @property
    def days(self) -> list[str]:
        """All days, in order."""
        return sorted(frozenset().union(*self.by_day.values()))

    def portions(self, most: int | None) -> list[Todo]:
        """Parts of at most so many days, oldest first; what is whole comes with the first."""
        days = self.days
        size = most or max(len(days), 1)
        windows = [frozenset(days[n : n + size]) for n in range(0, len(days), size)] or [frozenset()]
        return [
            Todo({key: keys & window for key, keys in self.by_day.items() if keys & window}, self.whole if n == 0 else ()) for n, window in enumerate(windows)
        ]


@dataclass(frozen=True)
class Lookout:
    """Where to look: Dagster's instance and graph, the tables, and (for entities that changed) Spark, asked for when it is needed."""

    instance: dg.DagsterInstance
    graph: dg.AssetGraph
    lake: Lake
    spark: Callable[[], SparkSession]

    def undone(self, chosen: Chosen, days: Iterable[str], only: Only) -> Todo:
        """Of the chosen assets and days those that need it. A table and its quarantine, made in one step, come together."""
        wanted = frozenset(days)
        look = {Only.missing: self._missing, Only.failed: self._failed, Only.stale: self._stale}[only]
        found = {key: look(key, wanted) for key in chosen.by_day}
        together = {key: frozenset().union(*(found.get(k, frozenset()) for k in self.graph.get(key).execution_set_asset_keys)) for key in found}
        whole = {key for key in chosen.whole if self._whole(key, only)}
        sets = {k for key in whole for k in self.graph.get(key).execution_set_asset_keys}
        return Todo({key: keys for key, keys in together.items() if keys}, tuple(k for k in chosen.whole if k in sets))

    def _missing(self, key: dg.AssetKey, days: frozenset[str]) -> frozenset[str]:
        """Dagster knows of no materialization; or the table has no row of a day of which the layer before it has some."""
        return days - self._status(key)[0] | (days & self._lost(key))

    def _failed(self, key: dg.AssetKey, days: frozenset[str]) -> frozenset[str]:
        return days & self._status(key)[1]

    def _stale(self, key: dg.AssetKey, days: frozenset[str]) -> frozenset[str]:
        model, contract = self._model(key), self._contract(key)
        if contract is not None:
            return _keys(outdated(contract.silver, contract.event_date, contract.version)) & days
        if model is None or missing_sources(model):
            return frozenset()
        found = stale(model, self.lake.contracts, self.spark)
        if found.dates is None:
            return days
        return (_keys(found.dates) | _keys(outdated(model.table, model.partition, model.code))) & days

    def _whole(self, key: dg.AssetKey, only: Only) -> bool:
        """Whether an asset without partitions needs building."""
        model, contract = self._model(key), self._contract(key)
        if only is Only.stale:
            if contract is not None:
                return bool(outdated(contract.silver, None, contract.version))
            gone = model is not None and not missing_sources(model)
            return gone and model is not None and (not stale(model, self.lake.contracts, self.spark).current or bool(outdated(model.table, None, model.code)))
        record = next(iter(self.instance.get_asset_records([key])), None)
        entry = record.asset_entry if record else None
        if only is Only.missing:
            table = contract.silver if contract else model.table if model else None
            return entry is None or entry.last_materialization is None or (table is not None and open_table(table) is None)
        planned = self.instance.get_run_by_id(entry.last_run_id) if entry and entry.last_run_id else None
        made_by = entry.last_materialization.run_id if entry and entry.last_materialization else None
        return planned is not None and planned.is_failure and made_by != planned.run_id

    def _status(self, key: dg.AssetKey) -> tuple[frozenset[str], frozenset[str]]:
        """The partitions that Dagster knows as materialized, and as failed when last tried."""
        from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value

        definition = self.graph.get(key).partitions_def
        assert definition is not None
        found = get_and_update_asset_status_cache_value(self.instance, key, definition)
        if found is None:
            return frozenset(), frozenset()
        made, failed = found.deserialize_materialized_partition_subsets(definition), found.deserialize_failed_partition_subsets(definition)
        return frozenset(made.get_partition_keys()), frozenset(failed.get_partition_keys())

    def _lost(self, key: dg.AssetKey) -> frozenset[str]:
        """Days of which a table holds no row, and the tables that it is made from do."""
        model, contract = self._model(key), self._contract(key)
        if contract is not None:
            return _days(contract.bronze, "_source_date") - _days(contract.silver, contract.event_date)
        if model is None:
            return frozenset()
        dated = [c for name in model.sources if (c := self.lake.contracts[name]).event_date]
        return frozenset().union(*(_days(c.silver, c.event_date) for c in dated)) - _days(model.table, model.partition)

    def _contract(self, key: dg.AssetKey) -> Contract | None:
        """The contract of a Silver asset: the other layers' rows follow from it (quarantine), or not at all (Bronze keeps what arrived)."""
        return self.lake.contracts.get(key.path[1]) if key.path[0] == "silver" else None

    def _model(self, key: dg.AssetKey) -> Model | None:
        """The model of a mart."""
        return next((m for m in self.lake.marts if [m.schema, m.name] == key.path and m.materialized != "view"), None)


def _days(table: Table, column: str | None) -> frozenset[str]:
    delta = open_table(table)
    return _keys(d for d, n in rows_by_partition(delta, column).items() if n) if delta is not None else frozenset()


def _keys(days: Iterable[date | None]) -> frozenset[str]:
    return frozenset(d.isoformat() for d in days if d is not None)
