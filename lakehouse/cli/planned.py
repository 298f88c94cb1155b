"""What a change of contracts would do, worked out before anything is done: from contracts, the tables' logs and the marts' SQL; no Spark, nothing is written.

Not here: what differs (`contracts.compare`), showing it (`evolution`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from typing import Any, Literal

from lakehouse.contracts.change import Change, Level, announces, next_version, required
from lakehouse.contracts.compare import compare
from lakehouse.contracts.expressions import columns_of
from lakehouse.contracts.model import Contract
from lakehouse.engine import metadata
from lakehouse.errors import ContractUnreadable
from lakehouse.gold.columns import GoldColumns, Touched
from lakehouse.governance.deployed import deployed
from lakehouse.lineage import ROWS, Ref
from lakehouse.silver.dates import bronze_days
from lakehouse.tables import Table

State = Literal["new", "unrecorded", "same", "changed", "gone"]
NOBODY = Touched({}, ())
Lines = Callable[[Mapping[str, Contract]], GoldColumns]  # how marts are made of Silver tables as these contracts say


@dataclass(frozen=True)
class Rows:
    """What becomes stale: the days (None: the table has none), the rows that are made anew, and the Bronze records that are read for it."""

    days: tuple[date, ...] | None
    rows: int
    records: int

    def plain(self) -> dict[str, Any]:
        """All of it, fit for JSON."""
        return {"days": None if self.days is None else [d.isoformat() for d in self.days], "rows": self.rows, "records": self.records}


@dataclass(frozen=True)
class Planned:
    """One table. `old` is what the contract is compared with: the one deployed, or the one at a git ref; `new` is None where there is none any more."""

    name: str
    old: Contract | None
    new: Contract | None
    state: State
    changes: tuple[Change, ...] = ()
    stale: Rows | None = None
    touched: Touched = NOBODY
    mart_rows: Mapping[str, int] = field(default_factory=dict)

    @property
    def level(self) -> Level | None:
        """The part of the version that has to grow."""
        return "major" if self.state == "gone" else required(self.changes)

    @property
    def announced(self) -> bool:
        """Whether the contract's version says what changes."""
        return self.state != "gone" and (not self.old or not self.new or announces(self.old.version, self.new.version, self.level))

    @property
    def breaks_unannounced(self) -> bool:
        """Whether readers would be broken without having been told."""
        return self.level == "major" and not self.announced

    @property
    def needs(self) -> str | None:
        """The least version that says what changes; None where the contract's own does."""
        return next_version(self.old.version, self.level) if self.old and self.level and not self.announced else None

    @property
    def steps(self) -> tuple[str, ...]:
        """What to do next, in order."""
        return tuple(_steps(self))

    def plain(self) -> dict[str, Any]:
        """All of it, fit for JSON."""
        return {
            "table": self.name,
            "state": self.state,
            "old_version": self.old.version if self.old else None,
            "version": self.new.version if self.new else None,
            "changes": [{**asdict(c), "level": c.level} for c in self.changes],
            "level": self.level,
            "announced": self.announced,
            "breaks_unannounced": self.breaks_unannounced,
            "needs_version": self.needs,
            "stale": self.stale.plain() if self.stale else None,
            "touched": {"marts": {m: list(columns) for m, columns in self.touched.marts.items()}, "exposures": list(self.touched.exposures)},
            "mart_rows": dict(self.mart_rows),
            "next": list(self.steps),
        }


def against_deployed(contracts: Mapping[str, Contract], *, forget: bool = False) -> list[Planned]:
    """Contracts against what their tables were made by. Raises `ContractUnreadable`, unless such records may be forgotten."""
    return [_deployed(contract, forget) for contract in contracts.values()]


def against(base: Mapping[str, Contract], contracts: Mapping[str, Contract]) -> list[Planned]:
    """Contracts against other ones, tables that are new or gone among them."""
    pairs = [(name, base.get(name), contracts.get(name)) for name in sorted({*base, *contracts})]
    return [_changed(old, new) if old and new else Planned(name, old, new, "gone" if old else "new") for name, old, new in pairs]


def with_downstream(found: list[Planned], contracts: Mapping[str, Contract], lines: Lines) -> list[Planned]:
    """The same with what lies downstream. `contracts`: all of the lake; `lines` is only asked where something has changed."""
    if not any(p.changes or p.state == "gone" for p in found):
        return found
    both = {p.name: _with_both_columns(p.old, p.new) for p in found if p.old or p.new}
    gold = lines({**contracts, **both})
    return [replace(p, touched=below, mart_rows=dict(_mart_rows(below))) for p in found for below in (gold.touched(_refs(p)),)]


def _deployed(contract: Contract, forget: bool) -> Planned:
    bronze, state = metadata.state(contract.bronze), metadata.state(contract.silver)
    if state is None:
        return Planned(contract.name, None, contract, "new")
    try:
        _, old = deployed(contract, bronze), deployed(contract, state)
    except ContractUnreadable:
        if not forget:
            raise
        old = None
    return _changed(old, contract) if old else Planned(contract.name, None, contract, "unrecorded")


def _changed(old: Contract, new: Contract) -> Planned:
    changes = compare(old, new)
    return Planned(new.name, old, new, "changed" if changes else "same", changes, _stale(old, new, changes))


def _with_both_columns(old: Contract | None, new: Contract | None) -> Contract:
    """A contract with the columns of both: marts may still name those that are gone."""
    one = new or old
    assert one is not None
    names = {c.name for c in one.columns}
    return replace(one, columns=(*one.columns, *(c for c in (old or one).columns if c.name not in names)))


def _refs(plan: Planned) -> set[Ref]:
    """The columns of Silver that change, and those computed from them; its rows where a change decides which there are, or concerns the table as a whole."""
    if plan.state == "gone":
        return {Ref(f"silver.{plan.name}", ROWS)}
    columns = {c.name: c for contract in (plan.old, plan.new) if contract for c in contract.columns}
    telling = [c for c in plan.changes if not c.textual]
    changed = {c.subject for c in telling if c.subject in columns}
    for name, column in columns.items():
        if column.expression and columns_of(column.expression) & {n.lower() for n in changed}:
            changed.add(name)
    placed = {name for contract in (plan.old, plan.new) if contract for name in (*contract.identity, *contract.sequence)}
    rows = any(c.subject not in columns or c.area == "rules" or (c.redo == "table" and c.subject in placed) for c in telling)
    return {Ref(f"silver.{plan.name}", c) for c in (*changed, *([ROWS] if rows else []))}


def _stale(old: Contract, new: Contract, changes: tuple[Change, ...]) -> Rows | None:
    """What has to be made again: of an event table its days, from the Bronze days that can hold their records."""
    redo = {c.redo for c in changes}
    delta, bronze = metadata.open_table(new.silver), metadata.open_table(new.bronze)
    if not redo & {"rows", "table"} or delta is None or bronze is None:
        return None
    records = metadata.rows_by_partition(bronze, "_source_date")
    if old.event_date is None or new.event_date is None or "table" in redo:
        return Rows(None, sum(metadata.rows_by_partition(delta, None).values()), sum(records.values()))
    rows = metadata.rows_by_partition(delta, old.event_date)
    days = sorted(d for d, n in rows.items() if d is not None and n)
    return Rows(tuple(days), sum(rows.values()), sum(records.get(d, 0) for d in bronze_days(new, days)))


def _mart_rows(below: Touched) -> Iterator[tuple[str, int]]:
    """How many rows the marts have."""
    for mart in below.marts:
        delta = metadata.open_table(Table("gold", mart.rpartition(".")[2]))
        if delta is not None:
            yield mart, sum(metadata.rows_by_partition(delta, None).values())


def _steps(plan: Planned) -> Iterator[str]:
    if plan.old is None or plan.new is None or plan.state == "same":
        return
    redo = {c.redo for c in plan.changes}
    if plan.needs:
        yield f"make the version {plan.needs} in {plan.new.file.name}"
    if "source" in redo:
        yield "declare a table of another name beside it: docs/changing-a-contract.md"
        return
    if "table" in redo:
        yield f"lakehouse materialize silver/{plan.name} --recreate"
        return
    yield f"lakehouse contract apply {plan.name}" + (" --breaking" if plan.level == "major" else "")
    if plan.stale and plan.stale.days:
        yield f"lakehouse backfill silver/{plan.name}+ --from {plan.stale.days[0]} --only stale"
    elif plan.stale and plan.stale.rows:
        yield f"lakehouse materialize silver/{plan.name}"
