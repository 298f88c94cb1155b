"""A backfill as the command line knows it: one of Dagster's, or several that share a name where a run must not take too many days.

Requested, looked at, cancelled, and what it left. Not here: options and what is printed (`backfill`), which days (`undone`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lakehouse.cli.output import plural
from lakehouse.cli.undone import Todo
from lakehouse.errors import LakehouseError

if TYPE_CHECKING:
    import dagster as dg
    from dagster._core.definitions.assets.graph.asset_graph_subset import AssetGraphSubset
    from dagster._core.execution.asset_backfill import AssetBackfillData
    from dagster._core.execution.backfill import PartitionBackfill

GROUP = "lakehouse/backfill"  # tag: the name that the parts of one backfill share
PRIORITY = "dagster/priority"  # tag of a run: what sensors ask for has 0 and goes first, then the parts of a backfill, the oldest days first
_PART = " (part "
_SEE = "See them with: lakehouse backfill --list"
_WORDS = {"COMPLETED_SUCCESS": "complete", "COMPLETED_FAILED": "ended with failures", "REQUESTED": "going", "CANCELING": "being cancelled"}
# Of several parts, the first of these says how all of them stand.
_ORDER = ("REQUESTED", "CANCELING", "FAILING", "FAILED", "COMPLETED_FAILED", "CANCELED", "COMPLETED", "COMPLETED_SUCCESS")


@dataclass(frozen=True)
class Progress:
    """How far a backfill has got, in partitions of assets."""

    status: str
    done: int
    failed: int
    total: int
    runs: int

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self.status in ("COMPLETED", "COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED")

    @property
    def good(self) -> bool:
        """Whether all of it was built."""
        return self.status in ("COMPLETED", "COMPLETED_SUCCESS") and not self.failed

    @property
    def text(self) -> str:
        """One line."""
        words = f"{self.done:,} of {self.total:,} partitions built, {plural(self.runs, 'run')}"
        return f"{_WORDS.get(self.status, self.status.lower())}: {words}" + (f", {self.failed:,} failed" if self.failed else "")


@dataclass(frozen=True)
class Group:
    """One backfill: its name and Dagster's records of it, the oldest days first."""

    name: str
    parts: tuple[PartitionBackfill, ...]

    @property
    def title(self) -> str:
        """What it is for."""
        return str(self.parts[0].title or "").partition(_PART)[0]

    @property
    def requested(self) -> datetime:
        """When."""
        return datetime.fromtimestamp(self.parts[0].backfill_timestamp, UTC)

    @property
    def filters(self) -> Mapping[str, str | list[str]]:
        """The tag of its runs."""
        return {"dagster/backfill": [p.backfill_id for p in self.parts]}

    def progress(self, instance: dg.DagsterInstance, graph: dg.AssetGraph) -> Progress:
        """How far it has got."""
        import dagster as dg

        data = [p.get_asset_backfill_data(graph) for p in self.parts]
        subsets = [(_left(d), d.failed_and_downstream_subset, d.target_subset) for d in data]
        left, failed, total = (sum(s.num_partitions_and_non_partitioned_assets for s in kind) for kind in zip(*subsets, strict=True))
        statuses = {p.status.value for p in self.parts}
        runs = instance.get_runs_count(dg.RunsFilter(tags=self.filters))
        return Progress(next(s for s in _ORDER if s in statuses), total - left, failed, total, runs)

    def left(self, graph: dg.AssetGraph) -> Todo:
        """What was to be built and is not."""
        by_day: dict[dg.AssetKey, frozenset[str]] = {}
        whole: list[dg.AssetKey] = []
        for part in self.parts:
            subset = _left(part.get_asset_backfill_data(graph))
            whole += sorted(subset.non_partitioned_asset_keys)
            for key, days in subset.partitions_subsets_by_asset_key.items():
                by_day[key] = by_day.get(key, frozenset()) | frozenset(days.get_partition_keys())
        return Todo({k: days for k, days in by_day.items() if days}, tuple(whole))

    def cancel(self, instance: dg.DagsterInstance) -> None:
        """Have the daemon end it and its runs. Raises `LakehouseError` when it is over."""
        from dagster._core.execution.backfill import BULK_ACTION_TERMINAL_STATUSES, BulkActionStatus

        going = [p for p in self.parts if p.status not in BULK_ACTION_TERMINAL_STATUSES]
        if not going:
            raise LakehouseError(f"There is no backfill {self.name!r} that is going.", state="Nothing was changed.", next_step=_SEE)
        for part in going:
            instance.update_backfill(part.with_status(BulkActionStatus.CANCELING))  # type: ignore[no-untyped-call]


def _left(data: AssetBackfillData) -> AssetGraphSubset:
    """What was asked for and is not built. Runs report days beyond those that were asked for, too, where late records touched them; and what was asked for
    *and* is built can't be had by `&`, which loses assets without days as soon as there are two. So it is this that is counted."""
    return data.target_subset - data.materialized_subset


def request(instance: dg.DagsterInstance, graph: dg.AssetGraph, name: str, portions: list[Todo], tags: Mapping[str, str]) -> None:
    """Hand it to the daemon: the same records that the web UI writes, one for each portion."""
    from dagster._core.definitions.assets.graph.asset_graph_subset import AssetGraphSubset
    from dagster._core.execution.backfill import PartitionBackfill

    for number, portion in enumerate(portions):
        subsets = {}
        for key, days in portion.by_day.items():
            definition = graph.get(key).partitions_def
            assert definition is not None
            subsets[key] = definition.subset_with_partition_keys(days)
        record = PartitionBackfill.from_asset_graph_subset(
            # The web UI shows the first eight letters of an id: with the number there, parts can be told from each other.
            backfill_id=name if len(portions) == 1 else f"{number + 1:0{len(str(len(portions)))}d}-{name}",
            backfill_timestamp=time.time(),
            tags={GROUP: name, PRIORITY: str(-1 - number), **tags},
            dynamic_partitions_store=instance,
            asset_graph_subset=AssetGraphSubset(subsets, set(portion.whole)),  # type: ignore[call-arg]  # its fields have defaults that mypy can not see
            title=_title(portions) + (f"{_PART}{number + 1} of {len(portions)}: {_title([portion])})" if len(portions) > 1 else ""),
            description=None,
            run_config=None,
        )
        instance.add_backfill(record)


def _title(portions: list[Todo]) -> str:
    days = [day for portion in portions for day in portion.days]
    return f"{days[0]} to {days[-1]}" if days else "tables without days"


def find(instance: dg.DagsterInstance, name: str) -> Group:
    """The backfill of that name, one of the web UI's too. Raises `LakehouseError`."""
    found = [g for g in groups(instance) if g.name == name]
    if not found:
        raise LakehouseError(f"There is no backfill {name!r}.", state="Nothing was changed.", next_step=_SEE)
    return found[0]


def groups(instance: dg.DagsterInstance) -> list[Group]:
    """All backfills, the newest first."""
    return list(_grouped([b for b in instance.get_backfills() if b.is_asset_backfill]))


def _grouped(records: list[PartitionBackfill]) -> Iterator[Group]:
    by_name: dict[str, list[PartitionBackfill]] = {}
    for record in records:
        by_name.setdefault((record.tags or {}).get(GROUP, record.backfill_id), []).append(record)
    for name, parts in by_name.items():
        yield Group(name, tuple(sorted(parts, key=lambda p: p.backfill_id)))
