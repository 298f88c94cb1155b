"""Which models a lake builds, and why it leaves the others out. Not here: reading dbt's project (`gold.project`) and its SQL (`gold.columns`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from lakehouse.contracts.model import Contract
from lakehouse.gold.columns import GoldColumns, gold_columns
from lakehouse.gold.project import Model, is_compiled, manifest_path, models, unserved
from lakehouse.lineage import ROWS, Ref

Refs = frozenset[Ref]
_DAY_OF = re.compile(r"\s*cast\(\s*(\w+)\s+as\s+date\s*\)\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Marts:
    """The models that are built, upstream first; and the others by name, with the reason.

    `elsewhere`: those over Silver tables of another lake. `refused`: those that could not be kept right.
    """

    models: tuple[Model, ...] = ()
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)


def lake_marts(contracts: Mapping[str, Contract]) -> Marts:
    """The models of the dbt project in a lake with these contracts. Where dbt can't compile the project without an engine, days are taken on trust."""
    manifest = manifest_path()
    every = models(manifest, manifest.stat().st_mtime)
    dates = _Dates(every, contracts, gold_columns(contracts)) if is_compiled() else None
    elsewhere: dict[str, str] = {}
    refused: dict[str, str] = {}
    for model in every:
        below = sorted(p.name for p in model.parents if p.name in refused)
        if why := unserved(model, contracts):
            (elsewhere if model.sources else refused)[model.name] = why
        elif below:
            refused[model.name] = f"It reads {', '.join(below)}, which is left out."
        elif dates is not None and (why := dates.wrong(model)):
            refused[model.name] = why
    return Marts(tuple(m for m in every if m.name not in elsewhere and m.name not in refused), elsewhere, refused)


class _Dates:
    """Holds the days by which marts are kept against Silver's event dates: of a changed day of Silver the same day of a mart is built."""

    def __init__(self, every: tuple[Model, ...], contracts: Mapping[str, Contract], columns: GoldColumns) -> None:
        self._tables = {f"{m.schema}.{m.name}": m for m in every if m.materialized != "view"}
        self._contracts, self._columns = contracts, columns
        dated = ((c, column.expression or "") for c in contracts.values() for column in c.columns if column.name == c.event_date)
        times = ((c, _DAY_OF.fullmatch(expression)) for c, expression in dated)
        self._times = {Ref(str(c.silver), day_of[1]): Ref(str(c.silver), str(c.event_date)) for c, day_of in times if day_of}

    def wrong(self, model: Model) -> str | None:
        """Why the days of a mart are none of Silver's; None also where it declares itself what it reads, or its SQL can't be followed."""
        own = f"{model.schema}.{model.name}"
        if not model.by_day or model.declares_days or model.partition is None:
            return None
        day = Ref(own, model.partition.lower())
        below = {own, *(ref.table for ref in self._columns.lineage.sources_of([day, Ref(own, ROWS)]))}
        if below & self._columns.unreadable.keys():
            return None
        origins = self._origins(self._columns.copies[day]) if day in self._columns.copies else frozenset({day})
        same, dates = {ref: self._equal(ref, below) for ref in origins}, self._event_dates(model)
        lacking = dates.difference(*same.values())
        if not lacking and all(equal & dates or self._concerns_all(ref, model) for ref, equal in same.items()):
            return None
        of = f"the event date of {', '.join(map(str, sorted(lacking)))}" if lacking else "an event date of Silver"
        return (
            f"Its partition column {model.partition} does not hold {of} as it stands, so that of a changed day of Silver the wrong days would be built. "
            "Declare the days that it reads (meta: reads_days), or make it a `table` over a daily mart."
        )

    def _event_dates(self, model: Model) -> Refs:
        """Of all Silver tables that a mart by day follows by day."""
        found = {name: self._contracts[name] for name in model.sources - model.reach.whole}
        return frozenset(Ref(str(c.silver), c.event_date) for c in found.values() if c.event_date)

    def _origins(self, refs: Refs) -> Refs:
        """Where days come from that are taken over as they are. The days of another mart are those of its Silver tables, and so is that of an event's time."""
        found: set[Ref] = set()
        for ref in (self._times.get(ref, ref) for ref in refs):
            mart = self._tables.get(ref.table)
            if mart is None:
                found |= self._origins(self._columns.copies[ref]) if ref in self._columns.copies else {ref}
            elif mart.by_day and mart.partition and ref.column == mart.partition.lower():
                found |= self._event_dates(mart)
            elif mart.by_day and ref in self._columns.copies:
                found |= self._origins(self._columns.copies[ref])
            else:
                found.add(ref)
        return frozenset(found)

    def _equal(self, ref: Ref, tables: set[str]) -> Refs:
        """All that is equal to a value where these tables join and filter."""
        groups = [self._origins(group) for table in tables for group in self._columns.equal.get(table, ())]
        found = frozenset({ref})
        while more := [group for group in groups if group & found and not group <= found]:
            found = found.union(*more)
        return found

    def _concerns_all(self, ref: Ref, model: Model) -> bool:
        """Whether a change of where a value comes from has all days of a mart built."""
        if mart := self._tables.get(ref.table):
            return not mart.by_day
        found = (c for c in self._contracts.values() if str(c.silver) == ref.table)
        return any(c.name in model.reach.whole or (c.event_date is None and c.scd != 2) for c in found)
