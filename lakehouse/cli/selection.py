"""Choosing assets and days: Dagster's selection language with bare keys (`silver/sensor_reading+`), and dates held against the partitions.

Not here: running what was chosen (`materialize`, `backfill`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import typer

from lakehouse.cli.lake import listing
from lakehouse.contracts.mistakes import nearest

if TYPE_CHECKING:
    import dagster as dg

EVERYTHING = "*"
_KEY = re.compile(r'"[^"]*"|[\w*]+:[\w*./:@-]+|(?P<key>[A-Za-z_*][\w*-]*[./][\w*-]+)')
SELECTION_HELP = (
    "Which assets, as Dagster writes it: silver/sensor_reading (one), silver/sensor_reading+ (and all that follows from it), "
    "+gold/fct_sales_daily (and all it is made from), 'silver/*', group:factory, and these joined by 'and', 'or', 'not'. Default: everything."
)


@dataclass(frozen=True)
class Days:
    """The days a rebuild is for, both included; `last` None: up to the newest partition."""

    first: date
    last: date | None


@dataclass(frozen=True)
class Chosen:
    """The chosen assets: those with a partition a day, and those that are whole."""

    by_day: tuple[dg.AssetKey, ...]
    whole: tuple[dg.AssetKey, ...]

    @property
    def keys(self) -> tuple[dg.AssetKey, ...]:
        """All of them."""
        return (*self.by_day, *self.whole)

    @property
    def first(self) -> str:
        """The first by day, for a message; a table rather than its quarantine."""
        every = [k.to_user_string() for k in self.by_day]
        return next((name for name in every if not name.startswith("quarantine/")), every[0])

    def names(self, layers: Collection[str] | None = None) -> list[str]:
        """Their names, sorted; of these layers only."""
        return sorted(k.to_user_string() for k in self.keys if layers is None or k.path[0] in layers)


def days_asked(partition: str | None, first: str | None, last: str | None) -> Days | None:
    """The days that the options name. Raises a usage error for what can't be meant."""
    if partition and (first or last):
        raise typer.BadParameter("Name one day with --partition, or a range with --from and --to, not both.")
    if last and not first:
        raise typer.BadParameter("--to needs --from: the first day of the range.")
    if partition:
        return Days(_day(partition, "--partition"), _day(partition, "--partition"))
    if not first:
        return None
    days = Days(_day(first, "--from"), _day(last, "--to") if last else None)
    if days.last and days.last < days.first:
        raise typer.BadParameter(f"--from {days.first} is after --to {days.last}.")
    return days


def _day(text: str, option: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{option} takes a day as YYYY-MM-DD, such as 2026-11-20; {text!r} is none.") from None


def quoted(selection: str) -> str:
    """The selection with its bare keys in the quotes that Dagster's language wants; `layer.table` is `layer/table`."""

    def quote(found: re.Match[str]) -> str:
        key = found["key"]
        return found[0] if key is None else f'key:"{key.replace(".", "/")}"'

    return _KEY.sub(quote, selection.strip())


def choose(graph: dg.AssetGraph, selection: str) -> Chosen:
    """The assets that are meant, with those that are made in the same step (a Silver table and its quarantine). Raises a usage error."""
    import dagster as dg

    known = [k.to_user_string() for k in graph.get_all_asset_keys()]
    try:
        found = dg.AssetSelection.from_string(quoted(selection)).resolve(graph)
    except (dg.DagsterError, ValueError) as error:
        raise _nothing(selection, known) from error
    if not found:
        raise _nothing(selection, known)
    every = {other for key in found for other in graph.get(key).execution_set_asset_keys}
    ordered = [k for k in graph.toposorted_asset_keys if k in every]
    return Chosen(tuple(k for k in ordered if graph.get(k).is_partitioned), tuple(k for k in ordered if not graph.get(k).is_partitioned))


def _nothing(selection: str, known: Sequence[str]) -> typer.BadParameter:
    plain = selection.strip("+* ").replace(".", "/")
    same = [k for k in known if k.split("/")[-1] == plain]
    close = nearest(plain, known)
    meant = same or ([close] if close else [])
    hint = f" Did you mean {' or '.join(meant)}?" if meant else f" There are: {listing(known)}."
    return typer.BadParameter(f"The selection {selection!r} names no asset.{hint}")


def partition_range(graph: dg.AssetGraph, chosen: Chosen, days: Days) -> tuple[str, str]:
    """First and last partition key, which every chosen asset must have. Raises a usage error that says which days there are."""
    import dagster as dg

    ranges = {}
    for key in chosen.by_day:
        definition = graph.get(key).partitions_def
        assert isinstance(definition, dg.DailyPartitionsDefinition)
        ranges[key.to_user_string()] = (str(definition.get_first_partition_key()), str(definition.get_last_partition_key()))
    last = days.last.isoformat() if days.last else min(r[1] for r in ranges.values())
    first = days.first.isoformat()
    outside = [name for name, (low, high) in ranges.items() if first < low or last > high]
    if outside:
        named = chosen.first if chosen.first in outside else outside[0]
        low, high = ranges[named]
        raise typer.BadParameter(
            f"{named} has the days {low} to {high}, and {first if first < low else last} is not one of them"
            + (f" (the same holds for {len(outside) - 1} more)" if len(outside) > 1 else "")
            + ". Its contract's `partition: start` says where it begins; today (UTC) is the last."
        )
    return first, last
