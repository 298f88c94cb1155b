"""Doing what a plan says, and saying what it gained. Not here: what is worth doing (`plan`), when (`job`)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from pyspark.sql import SparkSession

from lakehouse.contracts.model import Upkeep
from lakehouse.engine import upkeep
from lakehouse.engine.upkeep import Busy, Files
from lakehouse.maintenance.plan import Partition, Plan, crowded
from lakehouse.tables import Table

ATTEMPTS = 3


@dataclass(frozen=True)
class Gained:
    """What was done for a table. `left` says why something was not."""

    table: Table
    compacted: Files = Files()  # the files that were made into
    into: Files = Files()  # these
    removed: Files = Files()
    properties: tuple[str, ...] = ()
    left: str = ""

    @property
    def text(self) -> str:
        """In a sentence."""
        did = [f"{self.compacted.count:,} files made into {self.into.count:,}"] * bool(self.compacted.count)
        did += [f"{self.removed.count:,} files removed ({self.removed.bytes:,} bytes)"] * bool(self.removed.count)
        return ", ".join([*did, *self.properties, *filter(None, [self.left])])

    @property
    def metadata(self) -> dict[str, int | str]:
        """For people and for Dagster."""
        counts = {"files_before": self.compacted.count, "files_after": self.into.count, "bytes_before": self.compacted.bytes, "bytes_after": self.into.bytes}
        told: dict[str, int | str] = {**counts, "files_removed": self.removed.count, "bytes_removed": self.removed.bytes}
        return told | {k: v for k, v in (("properties", ", ".join(self.properties)), ("left", self.left)) if v}


def tidy(spark: SparkSession, table: Table, policy: Upkeep, partitions: Collection[Partition] | None, say: Callable[[str], object]) -> None:
    """Compact what a table's writer has just added one small file too many to: nobody else writes there at that moment. Else costs a look at the log."""
    found = crowded(table, policy, partitions)
    if found is not None:
        say(f"{table}: {carry_out(spark, found).text}")


def carry_out(spark: SparkSession, plan: Plan) -> Gained:
    """Properties, then compaction, then removal: what compaction replaces is kept for `keep_days`, so it is not of this removal."""
    table = plan.kept.table
    gained = Gained(table, properties=tuple(f"{k}={v}" for k, v in plan.properties.items()), left=plan.left)
    if plan.properties:
        upkeep.set_properties(spark, table, plan.properties)
    if plan.partitions:
        gained = _compacted(spark, plan, gained)
    if plan.garbage.count:
        upkeep.vacuum(spark, table)
        gained = replace(gained, removed=plan.garbage)
    return gained


def _compacted(spark: SparkSession, plan: Plan, gained: Gained) -> Gained:
    """Delta lets the one who commits first win: after a few losses to runs that write, the table is left for the next time."""
    where = upkeep.among(plan.column, plan.partitions) if plan.column else None
    for _ in range(ATTEMPTS):
        try:
            before, after = upkeep.compact(spark, plan.kept.table, where, plan.kept.policy.target_bytes, plan.kept.policy.order_by)
        except Busy:
            continue
        return replace(gained, compacted=before, into=after)
    return replace(gained, left=f"{gained.left + '; ' if gained.left else ''}runs wrote to the same files {ATTEMPTS} times: compacted the next time")
