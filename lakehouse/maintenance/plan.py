"""What of a table's upkeep is worth doing, decided from its log and the names of its files, without Spark.

A partition that is written to today is left to its writer (`crowded` tells it when it pays); all others are made into few files where they have become
many, and days that are seldom written to any more where they have two: else years of days with few files each would be read as so many small files. Files
that only older versions have are removed once no reader or consumer needs them. Not here: doing it (`work`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING, Any

from lakehouse.contracts.model import Contract, Upkeep
from lakehouse.engine import metadata
from lakehouse.engine.upkeep import DEFAULTS, Files, files_of, ranges_of, unreferenced
from lakehouse.tables import Table

if TYPE_CHECKING:  # only its name: the engine alone opens tables
    from deltalake import DeltaTable

Partition = Any  # a value of the partition column; None also where the table has none
MANY, NEARLY_ALL = 8, 0.75  # files of a partition that are worth an order; the part of their pairs that may not overlap
SETTLED_DAYS, SETTLED_FILES = 7, 2  # a day that is older than this is worth compacting from so many small files on
COMMITS, SHORTEST_LOG = 5_000, 2  # so many commits are history enough, but not fewer days: whoever looks at a table on a local disk lists all of its log
OPEN_FACTOR = 10  # today's partition is tidied by its writer once it has so many times the small files that are worth it at night
_LOG = "delta.logRetentionDuration"


@dataclass(frozen=True)
class Kept:
    """A table, its policy, and the tables that are made from it by reading its versions one after the other."""

    table: Table
    policy: Upkeep
    consumers: tuple[Table, ...] = ()
    statistics: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What is worth doing for a table.

    `partitions` are made into fewer files (`files`, of so many `bytes`, are what they have now). `garbage` is what can be removed. `properties` are those that
    the table has otherwise than its policy says. `left` says why something is not done.
    """

    kept: Kept
    column: str | None = None
    partitions: tuple[Partition, ...] = ()
    files: Files = Files()
    garbage: Files = Files()
    properties: Mapping[str, str] = field(default_factory=dict)
    left: str = ""

    @property
    def nothing(self) -> bool:
        """Whether the table is in order."""
        return not (self.partitions or self.garbage.count or self.properties)


def kept_tables(contracts: Mapping[str, Contract], marts: Iterable[tuple[Table, Collection[str]]]) -> list[Kept]:
    """All tables of the lake. `marts`: Gold's tables, each with the names of the Silver tables that it is made from."""
    above: dict[str, list[Table]] = defaultdict(list)
    gold = []
    for mart, sources in marts:
        gold.append(Kept(mart, Upkeep()))
        for name in sources:
            above[name].append(mart)
    kept = []
    for c in contracts.values():
        kept.append(Kept(c.bronze, c.maintenance.bronze, (c.silver, c.quarantine)))
        kept.append(Kept(c.silver, c.maintenance.silver, tuple(above[c.name]), _statistics(c)))
        kept.append(Kept(c.quarantine, c.maintenance.quarantine))
    return kept + gold


def _statistics(contract: Contract) -> tuple[str, ...]:
    """The columns of which files have to tell their least and greatest value; empty for Delta's own choice."""
    policy = contract.maintenance.silver
    if not policy.statistics:
        return ()
    needed = (*contract.key, *contract.sequence, *filter(None, [contract.freshness_column]), *policy.order_by, *policy.statistics)
    partition = "is_current" if contract.scd == 2 else contract.event_date
    return tuple(dict.fromkeys(c for c in needed if c != partition))


def plan(kept: Kept, now: datetime) -> Plan | None:
    """What is worth doing; None when there is no such table."""
    delta = metadata.open_table(kept.table)
    if delta is None:
        return None
    state = metadata.state_of(kept.table, delta)
    policy, column = kept.policy, next(iter(delta.metadata().partition_columns), None)
    idle = _days_since(kept.table, state.data, now)
    have = {**DEFAULTS, **delta.metadata().configuration}
    log_days = _log_days(kept, state, now)
    until = min(log_days, _days(have[_LOG], log_days)) - 1
    if state.note is not None and (idle is None or idle >= until):
        # A commit of ours could make Delta clean the log of the very commit that says what the table has consumed.
        return Plan(kept, column, left=f"nothing was written for {until} days: it stays as it is, and so does its record of progress")
    files = {p: f for p, f in files_of(delta, column).items() if not _is_open(p, now.date())}
    settled = {p: f for p, f in files.items() if isinstance(p, date) and p < now.date() - timedelta(days=SETTLED_DAYS)}
    untidy = {**_unordered(delta, column, files, policy), **_crowded(files, policy, policy.compact_files), **_crowded(settled, policy, SETTLED_FILES)}
    waiting = _waiting_for(kept, state, now)
    garbage = Files() if waiting else unreferenced(delta, kept.table, policy.keep_days)
    wanted = _properties(kept, log_days)
    differing = {k: v for k, v in wanted.items() if have.get(k) != v}
    return Plan(kept, column, tuple(untidy), sum(untidy.values(), Files()), garbage, differing, waiting)


def crowded(table: Table, policy: Upkeep, partitions: Collection[Partition] | None) -> Plan | None:
    """What the table's writer does at once about these partitions (None: all) that it just wrote to: something where small files have become very many."""
    delta = metadata.open_table(table)
    if delta is None:
        return None
    column = next(iter(delta.metadata().partition_columns), None)
    files = {p: f for p, f in files_of(delta, column).items() if partitions is None or p in partitions}
    found = _crowded(files, policy, policy.compact_files * OPEN_FACTOR)
    # Without an order: Z-order would write the whole partition anew each time.
    return Plan(Kept(table, replace(policy, order_by=())), column, tuple(found), sum(found.values(), Files())) if found else None


def _crowded(files: Mapping[Partition, Collection[int]], policy: Upkeep, enough: int) -> dict[Partition, Files]:
    """The partitions with so many small files; with these files."""
    small = {p: [size for size in sizes if size < policy.target_bytes // 2] for p, sizes in files.items()}
    return {p: Files(len(sizes), sum(sizes)) for p, sizes in small.items() if len(sizes) >= enough}


def _unordered(delta: DeltaTable, column: str | None, files: Mapping[Partition, Collection[int]], policy: Upkeep) -> dict[Partition, Files]:
    """The partitions of many files that a query by one of the columns of the order has to read nearly all of; with these files."""
    many = {p: sizes for p, sizes in files.items() if policy.order_by and len(sizes) >= MANY}
    ranges = ranges_of(delta, column, policy.order_by) if many else {}
    return {p: Files(len(sizes), sum(sizes)) for p, sizes in many.items() if any(_overlap(spans) > NEARLY_ALL for spans in ranges.get(p, ()))}


def _overlap(spans: Sequence[tuple[Any, Any]]) -> float:
    """The part of all pairs of files that have values in common, by their least and greatest values: 0 where files follow each other."""
    starts = sorted(least for least, _ in spans)
    apart = sum(len(starts) - bisect_right(starts, greatest) for _, greatest in spans)
    pairs = len(spans) * (len(spans) - 1) / 2
    return 1 - apart / pairs if pairs else 0.0


def _is_open(partition: Partition, today: date) -> bool:
    """Whether a run may be writing to it at any moment."""
    return isinstance(partition, date) and partition >= today


def _waiting_for(kept: Kept, state: metadata.TableState, now: datetime) -> str:
    """Who still needs files that only older versions have; empty when nobody does. Who is behind for as long as the log reaches builds anew anyway."""
    for consumer, version, days in _behind(kept, state, now):
        if days is not None and kept.policy.keep_days <= days < kept.policy.log_days:
            return f"{consumer} has not taken in version {version} yet: nothing is removed until it has, or for {kept.policy.log_days} days"
    return ""


def _behind(kept: Kept, state: metadata.TableState, now: datetime) -> Iterator[tuple[Table, int, float | None]]:
    """The consumers that have yet to read something: who, the first version of it, how many days ago that was committed (None: the log has it no more)."""
    for consumer in kept.consumers:
        reader = metadata.state(consumer)
        version = reader.consumed(state) if reader else None
        if version is not None and version < state.data:
            yield consumer, version + 1, _days_since(kept.table, version + 1, now)


def _days_since(table: Table, version: int, now: datetime) -> float | None:
    """How long ago a version was committed; None when the log has it no more."""
    actions = metadata.actions(table, version)
    millis = next((a["commitInfo"]["timestamp"] for a in actions or () if a.get("commitInfo")), None)
    return (now - datetime.fromtimestamp(millis / 1000, UTC)).total_seconds() / 86_400 if millis else None


def _log_days(kept: Kept, state: metadata.TableState, now: datetime) -> int:
    """How long the log is worth keeping: as the policy says, but of a stream's thousands of commits a day only so many, and what a consumer has yet to read."""
    held = _days_since(kept.table, state.version - COMMITS, now)
    needed = [held if held is not None else kept.policy.log_days, SHORTEST_LOG, *((days or 0) + 1 for _, _, days in _behind(kept, state, now))]
    return min(ceil(max(needed)), kept.policy.log_days)


def _days(interval: str, otherwise: int) -> int:
    """The days of an interval as we write it; others are somebody's own, and not understood here."""
    words = interval.split()
    return int(words[1]) if len(words) == 3 and words[1].isdigit() and words[2] == "days" else otherwise


def _properties(kept: Kept, log_days: int) -> dict[str, str]:
    wanted = {"delta.deletedFileRetentionDuration": f"interval {kept.policy.keep_days} days", _LOG: f"interval {log_days} days"}
    return wanted | ({"delta.dataSkippingStatsColumns": ",".join(kept.statistics)} if kept.statistics else {})
