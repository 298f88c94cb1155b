"""Which columns are made of which: a graph of columns, and of what decides which rows a table has.

Pure, and without a word on where it comes from: contracts (`silver.columns`), SQL (`gold.columns`). How Dagster is told: `runs`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

ROWS = "*"


class Ref(NamedTuple):
    """A column of a table (`silver.customer`), or with the column `*` its rows: which there are."""

    table: str
    column: str

    def __str__(self) -> str:
        return f"{self.table}.{self.column}"


@dataclass(frozen=True)
class Lineage:
    """For each column what its values are made of; for a table's rows (`*`) what decides which there are: the tables below, and the columns in filters,
    joins and groupings.
    """

    made_of: Mapping[Ref, frozenset[Ref]] = field(default_factory=dict)

    def joined(self, *others: Lineage) -> Lineage:
        """This and the lineage of other tables, as one."""
        return Lineage({ref: sources for one in (self, *others) for ref, sources in one.made_of.items()})

    @cached_property
    def goes_into(self) -> Mapping[Ref, frozenset[Ref]]:
        """The other way: for each column what is made of it."""
        found: dict[Ref, set[Ref]] = defaultdict(set)
        for ref, sources in self.made_of.items():
            for source in sources:
                found[source].add(ref)
        return {ref: frozenset(into) for ref, into in found.items()}

    @cached_property
    def columns(self) -> Mapping[str, tuple[str, ...]]:
        """Each table's columns, in order, without its rows."""
        found: dict[str, list[str]] = defaultdict(list)
        for ref in self.made_of:
            if ref.column != ROWS:
                found[ref.table].append(ref.column)
        return {table: tuple(columns) for table, columns in found.items()}

    def touched_by(self, refs: Iterable[Ref]) -> frozenset[Ref]:
        """All that is made of any of these, at whatever distance; without them."""
        return _reached(refs, self.goes_into)

    def sources_of(self, refs: Iterable[Ref]) -> frozenset[Ref]:
        """All that these are made of, at whatever distance; without them."""
        return _reached(refs, self.made_of)


def _reached(refs: Iterable[Ref], edges: Mapping[Ref, frozenset[Ref]]) -> frozenset[Ref]:
    seen: set[Ref] = set()
    waiting = list(refs)
    while waiting:
        new = edges.get(waiting.pop(), frozenset()) - seen
        seen |= new
        waiting += new
    return frozenset(seen)
