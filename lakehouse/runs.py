"""What a run asks of a table's asset, and how the asset answers: requested partitions, specs, touched partitions, column lineage.

Layers share it so that Bronze, Silver and Gold read a run's tags in one way. Not here: sensors and jobs (`automation`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg

from lakehouse.contracts.model import Contract
from lakehouse.engine.metadata import Day
from lakehouse.lineage import Lineage, Ref
from lakehouse.tables import Table

MODE, INCREMENTAL = "lakehouse/mode", "incremental"
REPLAY = "lakehouse/replay"  # an incremental run also judges refused records again; which of them, is said here in JSON
FULL = "lakehouse/full"  # an increment looks beyond what usually changes: into folders of long past days, at whole tables
FORCE = "lakehouse/force"  # a rebuild may replace a Bronze day with less than it holds; an increment may go on where the source lacks something


def daily(contract: Contract) -> dg.DailyPartitionsDefinition:
    """One partition a day, UTC, from the contract's start up to and including today."""
    return dg.DailyPartitionsDefinition(start_date=contract.start.isoformat(), end_offset=1)


def known_day(start: date, day: date) -> bool:
    """Whether Dagster has a partition for the day."""
    return start <= day <= datetime.now(UTC).date()


def requested_days(context: dg.AssetExecutionContext) -> list[date] | None:
    """The days a run is to rebuild; None for an incremental run."""
    if context.run.tags.get(MODE) == INCREMENTAL or not (context.has_partition_key or context.has_partition_key_range):
        return None
    return [date.fromisoformat(key) for key in context.partition_keys]


def rebuilds_everything(context: dg.AssetExecutionContext) -> bool:
    """Whether a run of an unpartitioned asset was started by a person rather than as an increment."""
    return context.run.tags.get(MODE) != INCREMENTAL


def asset_spec(  # noqa: PLR0913 - what there is to tell of a table
    contract: Contract, table: Table, description: str, kinds: set[str], deps: tuple[Table, ...] = (), awaited: tuple[Table, ...] = ()
) -> dg.AssetSpec:
    """What Dagster shows of a contract's table. `awaited`: tables whose rows it waits for, on whatever day they come."""
    return dg.AssetSpec(
        table.key,
        deps=[*(dg.AssetDep(t.key) for t in deps), *(dg.AssetDep(t.key, partition_mapping=dg.AllPartitionMapping()) for t in awaited)],
        description=description,
        group_name=contract.domain,
        owners=[o for o in contract.owners if "@" in o or o.startswith("team:")],
        tags={"domain": contract.domain, "layer": table.layer, **{t: "" for t in contract.tags if t.replace("-", "").replace("_", "").isalnum()}},
        kinds=kinds,
        code_version=contract.version,
    )


def column_lineage(lineage: Lineage, table: str) -> dict[str, dg.TableColumnLineage]:
    """A table's column lineage as Dagster's metadata; a value that counts rows depends on the column `*` of the table that has them."""
    deps = {
        column: [dg.TableColumnDep(dg.AssetKey(ref.table.split(".", 1)), ref.column) for ref in sorted(lineage.made_of[Ref(table, column)])]
        for column in lineage.columns.get(table, ())
    }
    return {"dagster/column_lineage": dg.TableColumnLineage(deps)} if deps else {}


def report_partitions(  # noqa: PLR0913 - of one table all that is told
    context: dg.AssetExecutionContext, start: date, table: Table, touched: Iterable[Day], rows: Mapping[Day, int], more: Mapping[str, Any] | None = None
) -> None:
    """Tell Dagster which partitions a run touched, so that late data shows up where it belongs; each with how many rows it has now, and what else is said.

    Partitions within the run's own range, touched or not, get that on the run's event, others an event of their own.
    """
    has_range = context.has_partition_key or context.has_partition_key_range
    asked = {date.fromisoformat(k) for k in context.partition_keys} if has_range else set()
    for day in sorted(asked.union(d for d in touched if d is not None)):
        metadata = {"partition_row_count": rows.get(day, 0), **(more or {})}
        if day in asked:
            context.add_asset_metadata(metadata, asset_key=table.key, partition_key=day.isoformat())
        elif known_day(start, day):
            context.log_event(dg.AssetMaterialization(asset_key=table.key, partition=day.isoformat(), metadata=metadata))


def freshness(window: timedelta | None) -> dg.FreshnessPolicy | None:
    """Dagster's freshness policy for a promise of the contract."""
    return dg.FreshnessPolicy.time_window(fail_window=window) if window else None
