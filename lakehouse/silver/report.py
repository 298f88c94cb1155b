"""What a Silver run did, counted: rows in, applied, superseded, refused, per Bronze day; and the audit that nothing went missing.

The counts come from the judged records; the audit reads back what was committed. A day is balanced when both agree: that is conservation (P3).
Not here: writing (`silver.build`), how Dagster shows it (`silver.assets`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from typing import TypeVar

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts.model import Contract
from lakehouse.engine import metadata
from lakehouse.engine.delta import rows_of
from lakehouse.engine.metadata import Day
from lakehouse.errors import RowRuleFailed
from lakehouse.quality.rules import dispositions
from lakehouse.silver.drift import MANY, UNKNOWN, Drift, masks
from lakehouse.silver.history import changes_of
from lakehouse.silver.keys import KeyCount
from lakehouse.silver.parents import due
from lakehouse.silver.plan import Plan, torn
from lakehouse.silver.scd import order_columns

K = TypeVar("K")
MOST_GROUPS = 50_000


@dataclass(frozen=True)
class Group:
    """Judged records that share Bronze day, event date and reasons."""

    day: Day
    date: date | None
    accepted: bool
    reasons: tuple[str, ...]
    rows: int
    unknown: str | None = None  # see `silver.drift`
    absent: tuple[int, ...] = ()


@dataclass(frozen=True)
class Counts:
    """The judged records of a run, counted once."""

    groups: tuple[Group, ...]
    drift: Drift = field(default_factory=Drift)

    @staticmethod
    def of(judged: DataFrame, contract: Contract) -> Counts:
        """Count; the one action that also parses, since its input is kept."""
        event_date = F.col(contract.event_date) if contract.event_date else F.lit(None).cast("date")
        by = [F.col("_source_date"), F.when(F.col("_accepted"), event_date).alias("_d"), F.col("_accepted"), F.col("_reasons")]
        counted = [F.count("*"), *[F.bit_and(m) for m in masks(contract)]]
        found = judged.groupBy(*by, UNKNOWN).agg(*counted).limit(MOST_GROUPS + 1).collect()
        if len(found) > MOST_GROUPS:  # records with names of their own making, such as keys: these are counted as one
            found = judged.groupBy(*by, F.when(F.col(UNKNOWN).isNotNull(), MANY).alias(UNKNOWN)).agg(*counted).collect()
        groups = tuple(Group(r[0], r[1], r[2], tuple(r[3] or ()), r[5], r[4], tuple(r[6:])) for r in found)
        return Counts(groups, Drift.of(contract, [(g.unknown, g.rows, g.absent) for g in groups]))

    @cached_property
    def accepted(self) -> dict[Day, int]:
        """Accepted records per Bronze day."""
        return _sum((g.day, g.rows) for g in self.groups if g.accepted)

    @cached_property
    def refused(self) -> dict[Day, int]:
        """Refused records per Bronze day."""
        return _sum((g.day, g.rows) for g in self.groups if not g.accepted)

    @cached_property
    def dates(self) -> frozenset[date]:
        """The event dates of accepted records."""
        return frozenset(g.date for g in self.groups if g.accepted and g.date is not None)

    @cached_property
    def by_rule(self) -> dict[str, int]:
        """Records per broken rule; a record counts for each of its reasons."""
        return _sum((reason, g.rows) for g in self.groups for reason in g.reasons)

    def held(self, contract: Contract) -> dict[Day, int]:
        """Per Bronze day the refused records that wait for rows of other tables, and for nothing else."""
        actions = dispositions(contract)
        return _sum((g.day, g.rows) for g in self.groups if not g.accepted and {actions.get(r) for r in g.reasons} <= {"hold", "warn"})

    def raise_if_failed(self, contract: Contract) -> None:
        """Raise `RowRuleFailed` when a row breaks a rule that must fail the run."""
        failing = {rule: n for rule, n in self.by_rule.items() if dispositions(contract).get(rule) == "fail"}
        if not failing:
            return
        total, rules = sum(g.rows for g in self.groups), ", ".join(f'"{r}" ({n:,} rows)' for r, n in sorted(failing.items()))
        state = metadata.state(contract.silver)
        raise RowRuleFailed(
            f"{contract.silver} was not written: of {total:,} rows some break {rules}, which the contract says must fail the run.",
            state=f"{contract.bronze} is unchanged; {contract.silver} is still at version {state.version if state else 'none'}.",
            next_step=f"See: lakehouse contract show {contract.name}. Mend the source, or let the rule quarantine; then: lakehouse sync {contract.name}",
        )


def _sum(pairs: Iterable[tuple[K, int]]) -> dict[K, int]:
    total: Counter[K] = Counter()
    for key, n in pairs:
        total[key] += n
    return dict(total)


@dataclass(frozen=True)
class Balance:
    """One Bronze day of a run: every record is applied, superseded or refused; `lost` must be 0."""

    day: Day
    rows_in: int
    applied: int
    superseded: int
    refused: int
    lost: int
    again: bool = False  # of records that had been refused before
    held: int = 0  # of the refused those that wait for a row of another table

    @property
    def balanced(self) -> bool:
        """Whether conservation holds for the day."""
        return self.lost == 0 and self.rows_in == self.applied + self.superseded + self.refused


@dataclass(frozen=True)
class Built:
    """What a run of a Silver table did. Versions are None for a table that needed nothing."""

    contract: Contract
    silver_version: int | None = None
    quarantine_version: int | None = None
    steps: tuple[str, ...] = ()
    dates: frozenset[date] = frozenset()
    days: frozenset[Day] = frozenset()
    balances: tuple[Balance, ...] = ()
    by_rule: dict[str, int] = field(default_factory=dict)
    drift: Drift = field(default_factory=Drift)
    keys: KeyCount | None = None  # of the newest Silver version and its dates, where they were looked at beside the audit

    @property
    def changed(self) -> bool:
        """Whether anything was committed."""
        return self.silver_version is not None or self.quarantine_version is not None

    def and_then(self, other: Built) -> Built:
        """What this and another commit did together."""
        return replace(
            self,
            silver_version=self.silver_version if other.silver_version is None else other.silver_version,
            quarantine_version=self.quarantine_version if other.quarantine_version is None else other.quarantine_version,
            steps=(*self.steps, *other.steps),
            dates=self.dates | other.dates,
            days=self.days | other.days,
            balances=(*self.balances, *other.balances),
            by_rule=dict(Counter(self.by_rule) + Counter(other.by_rule)),
            drift=self.drift if self.drift.records else other.drift,
            keys=None if None not in (self.silver_version, other.silver_version) else self.keys or other.keys,
        )

    @property
    def unbalanced(self) -> tuple[Balance, ...]:
        """The Bronze days whose records are not all accounted for."""
        return tuple(b for b in self.balances if not b.balanced)


def current(contract: Contract) -> bool:
    """Whether Silver and quarantine hold all that Bronze has, and have followed the tables that they wait for; from the logs, without Spark."""
    bronze, silver, refused = (metadata.state(t) for t in (contract.bronze, contract.silver, contract.quarantine))
    if bronze is None or silver is None or refused is None:
        return False
    caught_up = silver.holds(bronze) and refused.holds(bronze) and torn(silver.note, refused.note) == frozenset()
    return caught_up and not due(contract, silver, refused)


def by_day(rows: DataFrame) -> dict[Day, int]:
    """Rows per Bronze day."""
    return {r[0]: r[1] for r in rows.groupBy("_source_date").count().collect()}


def applied_by_rebuild(spark: SparkSession, contract: Contract, where: str | None) -> dict[Day, int]:
    """Read back: the rows that the rebuilt part of Silver holds of each Bronze day."""
    table = spark.table(contract.silver.sql)
    return by_day(table.where(where) if where else table)


@dataclass(frozen=True)
class Merged:
    """Read back after a MERGE, per Bronze day of the batch: winners that Silver holds, that lost to a greater one, that are not there."""

    applied: dict[Day, int]
    superseded: dict[Day, int]
    lost: dict[Day, int]


def applied_by_merge(spark: SparkSession, contract: Contract, won: DataFrame, where: str | None, version: int) -> Merged:
    """Hold the batch's winners against Silver: each identity must be there with an order at least its own.

    They are looked for among the rows that the commit wrote, and in the whole partitions only if some are not among them.
    """
    written = metadata.changes(contract.silver, version - 1, version, contract.event_date)
    if written is not None and written.files:
        found = _held_against(rows_of(spark, contract.silver, written.files), contract, won)
        if not found.lost:
            return found
    table = spark.table(contract.silver.sql)
    return _held_against(table.where(where) if where else table, contract, won)


def _held_against(rows: DataFrame, contract: Contract, won: DataFrame) -> Merged:
    order = F.struct(*[F.col(c) for c in order_columns(contract)])
    held = rows.select(*contract.identity, order.alias("_held"))
    batch = won.select(*contract.identity, "_source_date", order.alias("_own"))
    joined = held.join(batch, list(contract.identity), "right")
    verdict = F.expr("case when _held is null or _held < _own then 'lost' when _held = _own then 'applied' else 'superseded' end")
    found: dict[str, Counter[Day]] = {"applied": Counter(), "superseded": Counter(), "lost": Counter()}
    for day, name, n in joined.groupBy("_source_date", verdict.alias("_verdict")).count().collect():
        found[name][day] += n
    return Merged(dict(found["applied"]), dict(found["superseded"]), dict(found["lost"]))


def kept_by_rebuild(spark: SparkSession, contract: Contract) -> Merged:
    """Read back: of each Bronze day the changes that are versions, and those that repeat one."""
    kept = changes_of(spark.table(contract.silver.sql), contract)
    found = kept.groupBy("_source_date").agg(F.count_if(F.expr("_number = 0")), F.count_if(F.expr("_number > 0"))).collect()
    return Merged({day: n for day, n, _ in found}, {day: n for day, _, n in found}, {})


def kept_by_merge(spark: SparkSession, contract: Contract, batch: DataFrame, version: int) -> Merged:
    """Hold a batch of changes against the rows that its commit wrote; against the whole table only where some are not among them."""
    table = spark.table(contract.silver.sql)
    written = metadata.changes(contract.silver, version - 1, version, None)
    if written is not None and written.files:
        found = _kept(changes_of(rows_of(spark, contract.silver, written.files), contract), contract, batch)
        if not found.lost:
            return found
    return _kept(changes_of(table, contract), contract, batch)


def _kept(kept: DataFrame, contract: Contract, batch: DataFrame) -> Merged:
    """A change is applied as a version, superseded when it repeats one or a greater change stands at its place, else lost."""
    order = F.struct(*[F.col(c) for c in order_columns(contract)])
    held = kept.select(*contract.identity, order.alias("_held"), "_number")
    joined = batch.select(*contract.identity, "_source_date", order.alias("_own")).join(held, list(contract.identity), "left")
    verdict = F.expr("case when _held is null or _held < _own then 'lost' when _held = _own and _number = 0 then 'applied' else 'superseded' end")
    found: dict[str, Counter[Day]] = {"applied": Counter(), "superseded": Counter(), "lost": Counter()}
    for day, name, n in joined.groupBy("_source_date", verdict.alias("_verdict")).count().collect():
        found[name][day] += n
    return Merged(dict(found["applied"]), dict(found["superseded"]), dict(found["lost"]))


def refused_again(contract: Contract, plan: Plan, counts: Counts) -> Built:
    """What a replay did by which no record got into Silver."""
    balances = balance(contract, counts, Merged({}, {}, {}), {}, again=True)
    return Built(contract, steps=(f"{plan}: none passes",), balances=balances, by_rule=counts.by_rule)


def balance(contract: Contract, counts: Counts, merged: Merged, superseded: dict[Day, int], *, again: bool = False) -> tuple[Balance, ...]:
    """The account of each Bronze day of a run."""
    held = counts.held(contract)
    days = sorted({*counts.accepted, *counts.refused}, key=lambda d: (d is not None, d))
    return tuple(
        Balance(
            day,
            counts.accepted.get(day, 0) + counts.refused.get(day, 0),
            merged.applied.get(day, 0),
            merged.superseded.get(day, 0) + superseded.get(day, 0),
            counts.refused.get(day, 0),
            merged.lost.get(day, 0),
            again,
            held.get(day, 0),
        )
        for day in days
    )
