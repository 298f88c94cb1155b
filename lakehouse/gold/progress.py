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


def behind(model: Model) -> bool:
    """Whether any Silver table of the model has changed since; from the logs, without Spark."""
    mart = metadata.state(model.table)
    return mart is None or any(_moved(mart, source) for source in _sources(model).values())


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


def stale(model: Model, contracts: Mapping[str, Contract], spark: Callable[[], SparkSession]) -> Stale:
    """Hold a mart's progress against its Silver tables. `spark` is only asked for when an entity table has moved."""
    mart, sources = metadata.state(model.table), _sources(model)
    taken = _taken(sources.values())
    if mart is None:
        return Stale(model, None, taken, "it does not exist yet")
    dates: set[date] = set()
    for name, source in sources.items():
        after = mart.consumed(source)
        if mart.holds(source) or not (model.by_day or _moved(mart, source)):
            continue
        if after is None:
            return Stale(model, None, taken, f"nothing of {source.table} is recorded as consumed")
        if not model.by_day:
            return Stale(model, None, taken, f"{source.table} has changed")
        touched = _touched(model, contracts[name], source, after, spark)
        if touched is None:
            return Stale(model, None, taken, f"{source.table} has changed as a whole")
        dates |= touched
    why = "Silver has changed on these dates, or on days that they read"
    moved = bool(dates) or any(_moved(mart, source) for source in sources.values())
    return Stale(model, model.reach.concerned(dates), taken, why, moved)


def _touched(model: Model, contract: Contract, source: TableState, after: int, spark: Callable[[], SparkSession]) -> set[date] | None:
    """The event dates that changed in a Silver table; None when all may have."""
    if contract.event_date is not None:
        found = metadata.changes(contract.silver, after, source.version, contract.event_date)
        return None if found is None else {d for d in found.days if d is not None}
    if contract.scd == 2:
        return _since(model, contract, source, after, spark)
    # An entity has no dates: a row that differs concerns every day, but a new snapshot that says the same concerns none.
    columns = ", ".join(f"`{c.name}`" for c in contract.columns)
    then, now = (f"SELECT {columns} FROM {contract.silver.sql} VERSION AS OF {v}" for v in (after, source.version))
    try:
        same = spark().sql(f"(({now}) EXCEPT ({then})) UNION ALL (({then}) EXCEPT ({now}))").isEmpty()
    except PySparkException:  # the old version has been vacuumed: then nobody can tell
        return None
    return set() if same else None


def _since(model: Model, contract: Contract, source: TableState, after: int, spark: Callable[[], SparkSession]) -> set[date] | None:
    """The mart's dates from the first moment on at which the history tells something else than it did."""
    columns = ", ".join(f"`{c}`" for c in (*(c.name for c in contract.columns), "is_deleted", "valid_from"))
    then, now = (f"SELECT {columns}, valid_to FROM {contract.silver.sql} VERSION AS OF {v}" for v in (after, source.version))
    differing = f"(({now}) EXCEPT ({then})) UNION ALL (({then}) EXCEPT ({now}))"
    # A version that only ends elsewhere stands in it twice, and was the same until the earlier of both ends.
    each = f"SELECT if(count(*) = 2, min(valid_to), any_value(valid_from)) AS since FROM ({differing}) GROUP BY {columns}"
    mart = metadata.open_table(model.table)
    try:
        since = spark().sql(f"SELECT min(cast(since AS date)) FROM ({each})").collect()[0][0]
    except PySparkException:  # the old version has been vacuumed: then nobody can tell
        return None
    dates = metadata.rows_by_partition(mart, model.partition) if mart is not None else {}
    return {d for d in dates if d is not None and since is not None and d >= since}


def notes(models: Iterable[Model], run: str, taken: Mapping[str, Taken]) -> dict[str, str]:
    """The note that each mart's commit will carry; its contract is the model's code. `taken`: by model what its commit takes in of Silver; one of which
    it says nothing copies what was known.
    """
    result = {}
    for model in models:
        mart, consumed = metadata.state(model.table), dict(taken.get(model.name, {}))
        note: Note = metadata.advanced(mart.note if mart else None, f"{run}/{uuid.uuid4().hex[:8]}", model.code, mart.version if mart else -1, consumed)
        result[model.name] = note.to_json()
    return result


def taken_now(model: Model) -> Taken:
    """The Silver versions of this moment: what a commit holds that is wholly made from now on."""
    return _taken(_sources(model).values())


def _taken(sources: Iterable[TableState]) -> Taken:
    return {str(s.table): (s.id, s.version) for s in sources}
