"""What of a mart is stale, computed from the tables themselves: the Silver versions in its commit's note against Silver now.

So a run that died between its commit and its Dagster event is repaired by the next one. Not here: rebuilding it (`gold.assets`).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from lakehouse.contracts.model import Contract
from lakehouse.engine import metadata
from lakehouse.engine.lag import Lag, lag
from lakehouse.engine.metadata import Note, TableState
from lakehouse.gold.project import Model

Taken = Mapping[str, tuple[str, int]]  # Silver tables as a note has them: name, and the table's id and version


@dataclass(frozen=True)
class Stale:
    """What a mart needs: nothing (`dates` is empty), these dates, or everything (`dates` is None).

    `taken`: the Silver versions that this was found from, which is what a commit may say that it holds. Silver may move on while a run is at it.
    `moved`: whether any of them is newer than what the mart's note says, even if it tells the same.
    """

    model: Model
    dates: frozenset[date] | None
    taken: Taken
    why: str = ""
    moved: bool = True

    @property
    def current(self) -> bool:
        """Whether its rows are what Silver says."""
        return self.dates is not None and not self.dates

    def noting(self) -> Stale:
        """With a day to build where none differs: its commit says that the mart has followed, else every look would find it behind again."""
        if not self.current:
            return self
        mart = metadata.open_table(self.model.table)
        days = [d for d in metadata.rows_by_partition(mart, self.model.partition) if d is not None] if mart is not None else []
        dates = frozenset([max(days)]) if days else None
        return replace(self, dates=dates, why="Silver was written anew and tells the same: the newest date is built, to note that")


def behind(model: Model, sources: Mapping[str, TableState] | None = None) -> bool:
    """Whether any Silver table of the model has changed since; from the logs, without Spark. `sources`: as `seen` has them, else as they are now."""
    mart = metadata.state(model.table)
    return mart is None or any(_moved(mart, source) for source in (_sources(model) if sources is None else sources).values())


def _moved(mart: TableState, source: TableState) -> bool:
    """Whether a commit since the one that the mart holds has changed rows: of records that were all refused, a commit only notes that they are in."""
    after = mart.consumed(source)
    if mart.holds(source):
        return False
    found = metadata.changes(source.table, after, source.version, None) if after is not None else None
    return found is None or bool(found.days)


def waiting(model: Model) -> list[Lag]:
    """What of each Silver table the mart has not taken in."""
    mart = metadata.state(model.table)
    return [lag(mart, source) for source in _sources(model).values()]


def _sources(model: Model) -> dict[str, TableState]:
    from lakehouse.tables import Table

    found = {name: metadata.state(Table("silver", name)) for name in sorted(model.sources)}
    return {name: state for name, state in found.items() if state is not None}


def missing_sources(model: Model) -> list[str]:
    """Silver tables of the model that were never built."""
    return sorted(model.sources - set(_sources(model)))


def seen(model: Model, planned: Mapping[str, Taken]) -> dict[str, TableState] | None:
    """The model's Silver tables as far as it can see them: what it reads through another mart, it sees as that mart has taken it in.

    `planned`: what marts of this run will have taken in when it is the model's turn. None: a mart that it reads is not there, or has yet to say what it holds.
    """
    silver = _sources(model)
    found = dict(silver)
    for parent in model.parents:
        mart = metadata.state(parent.table) if parent.name not in planned else None
        if mart is None and parent.name not in planned:
            return None
        holds = planned.get(parent.name, mart.note.consumed if mart is not None and mart.note is not None else {})
        for name in parent.sources & set(found):
            source = silver[name]
            own, version = holds.get(str(source.table), ("", -1))
            if own != source.id or version > source.version:
                return None
            if version < found[name].version:  # of several marts that read it, the one that is furthest behind
                found[name] = replace(source, version=version, data=min(version, source.data))
    return found


def all_stale(models: Iterable[Model], contracts: Mapping[str, Contract], spark: Callable[[], SparkSession]) -> list[Stale]:
    """What each of the marts that a run may build needs, upstream first; without those that a mart below them holds up."""
    found: list[Stale] = []
    planned: dict[str, Taken] = {}
    for model in models:
        sources = None if missing_sources(model) else seen(model, planned)
        if sources is not None:
            found.append(stale(model, contracts, spark, sources))
            planned |= {model.name: found[-1].taken} if found[-1].moved else {}
    return found


def stale(model: Model, contracts: Mapping[str, Contract], spark: Callable[[], SparkSession], sources: Mapping[str, TableState] | None = None) -> Stale:
    """Hold a mart's progress against its Silver tables. `spark` is only asked for when an entity table has moved. `sources` as for `behind`."""
    mart, sources = metadata.state(model.table), _sources(model) if sources is None else sources
    now = taken(sources)
    if mart is None:
        return Stale(model, None, now, "it does not exist yet")
    dates: set[date] = set()
    for name, source in sources.items():
        after = mart.consumed(source)
        if mart.holds(source) or not (model.by_day or _moved(mart, source)):
            continue
        if after is None:
            return Stale(model, None, now, f"nothing of {source.table} is recorded as consumed")
        if not model.by_day:
            return Stale(model, None, now, f"{source.table} has changed")
        touched = _touched(model, contracts, name, source, after, spark)
        if touched is None:
            return Stale(model, None, now, f"{source.table} has changed as a whole")
        dates |= touched
    why = "Silver has changed on these dates, or on days that they read"
    moved = bool(dates) or any(_moved(mart, source) for source in sources.values())
    return Stale(model, model.reach.concerned(dates), now, why, moved)


def _touched(  # noqa: PLR0913 - a step of the above, told what that knows
    model: Model, contracts: Mapping[str, Contract], name: str, source: TableState, after: int, spark: Callable[[], SparkSession]
) -> set[date] | None:
    """The mart's days that a change of a Silver table concerns, before those that it reads around; None when all may be."""
    contract, whole = contracts[name], name in model.reach.whole
    if contract.event_date is not None:
        found = metadata.changes(contract.silver, after, source.version, contract.event_date)
        return None if found is None or (whole and found.days) else {d for d in found.days if d is not None}
    if contract.scd == 2:
        since = _since(contract, source, after, spark)
        return None if since is None or (whole and since < date.max) else {d for d in _days(model, contracts) if d >= since}
    # An entity has no dates: a row that differs concerns every day, but a new snapshot that says the same concerns none.
    columns = ", ".join(f"`{c.name}`" for c in contract.columns)
    then, now = (f"SELECT {columns} FROM {contract.silver.sql} VERSION AS OF {v}" for v in (after, source.version))
    try:
        same = spark().sql(f"(({now}) EXCEPT ({then})) UNION ALL (({then}) EXCEPT ({now}))").isEmpty()
    except PySparkException:  # the old version has been vacuumed: then nobody can tell
        return None
    return set() if same else None


def _since(contract: Contract, source: TableState, after: int, spark: Callable[[], SparkSession]) -> date | None:
    """The date of the first moment on at which the history tells something else than it did, or the last of all where it tells the same; None: unknown."""
    columns = ", ".join(f"`{c}`" for c in (*(c.name for c in contract.columns), "is_deleted", "valid_from"))
    then, now = (f"SELECT {columns}, valid_to FROM {contract.silver.sql} VERSION AS OF {v}" for v in (after, source.version))
    differing = f"(({now}) EXCEPT ({then})) UNION ALL (({then}) EXCEPT ({now}))"
    # A version that only ends elsewhere stands in it twice, and was the same until the earlier of both ends.
    each = f"SELECT if(count(*) = 2, min(valid_to), any_value(valid_from)) AS since FROM ({differing}) GROUP BY {columns}"
    try:
        found: date | None = spark().sql(f"SELECT min(cast(since AS date)) FROM ({each})").collect()[0][0]
    except PySparkException:  # the old version has been vacuumed: then nobody can tell
        return None
    return date.max if found is None else found


def _days(model: Model, contracts: Mapping[str, Contract]) -> set[date]:
    """The days that a mart may have rows of: those it has, and those of its Silver tables by day, whose rows may have met nothing in a history so far."""
    by_day = [(contracts[name].silver, contracts[name].event_date) for name in model.sources if contracts[name].event_date]
    tables = [(metadata.open_table(table), column) for table, column in ((model.table, model.partition), *by_day)]
    return {d for table, column in tables if table is not None for d in metadata.rows_by_partition(table, column) if d is not None}


def notes(models: Iterable[Model], run: str, takes: Mapping[str, Taken]) -> dict[str, str]:
    """The note that each mart's commit will carry; its contract is the model's code. `takes`: by model what its commit takes in of Silver; one of which
    it says nothing copies what was known.
    """
    result = {}
    for model in models:
        mart, consumed = metadata.state(model.table), dict(takes.get(model.name, {}))
        note: Note = metadata.advanced(mart.note if mart else None, f"{run}/{uuid.uuid4().hex[:8]}", model.code, mart.version if mart else -1, consumed)
        result[model.name] = note.to_json()
    return result


def taken_now(models: Iterable[Model]) -> dict[str, Taken]:
    """By mart the Silver versions that it sees at this moment: what a commit holds that is wholly made from now on. Upstream first."""
    now: dict[str, Taken] = {}
    for model in models:
        now[model.name] = taken(seen(model, now) or {})
    return now


def taken(sources: Mapping[str, TableState]) -> Taken:
    """What a commit made from these may say that it holds."""
    return {str(s.table): (s.id, s.version) for s in sources.values()}
