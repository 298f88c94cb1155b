"""What an incremental pass would have to do, found by looking at sources and tables; without Spark, without Dagster, so that a look is cheap.

Not here: doing it (`bronze`, `silver`, `gold`), asking for it (`automation`, `cli`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date

from lakehouse.bronze.ingest import pending
from lakehouse.contracts.model import Contract, KafkaSource, PostgresSource
from lakehouse.engine import metadata
from lakehouse.errors import LakehouseError, ServerAway
from lakehouse.gold.progress import Taken, behind, missing_sources, seen, taken
from lakehouse.gold.project import Model
from lakehouse.pauses import SECONDS, Pauses
from lakehouse.silver.report import current
from lakehouse.sources.protocol import Look

Server = tuple[str, ...]


@dataclass(frozen=True)
class Trouble:
    """A source or table that could not be looked at: why, and what mends it."""

    table: str
    why: str
    next_step: str

    def __str__(self) -> str:
        return f"{self.table}: {self.why}"


@dataclass(frozen=True)
class Due:
    """What an incremental pass has to do: tables with something new at the source or in Bronze, and stale marts.

    `held`: Silver tables that failed their checks, and the marts that are left as they are for that.
    """

    tables: tuple[str, ...]
    models: tuple[str, ...]
    days: tuple[date, ...]
    fingerprint: str
    problems: tuple[Trouble, ...] = ()
    held: tuple[Trouble, ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether everything is current."""
        return not self.tables and not self.models

    def without(self, condemned: Mapping[str, Trouble], marts: Iterable[Model]) -> Due:
        """Without the marts over Silver tables whose checks have condemned them, other than those that this pass makes and judges again."""
        due_, bad = [m for m in marts if m.name in self.models], condemned.keys() - set(self.tables)
        above = {name: [m.name for m in due_ if name in m.sources] for name in sorted(bad)}
        held = tuple(replace(condemned[name], why=f"{condemned[name].why} Until it passes, not built: {', '.join(of)}.") for name, of in above.items() if of)
        return replace(self, models=tuple(m.name for m in due_ if not m.sources & bad), held=held)


def due(contracts: Iterable[Contract], marts: Iterable[Model], *, full: bool = False, force: bool = False) -> Due:
    """Look at sources and tables, without Spark. `full` and `force` as in `sources.protocol.Source.look`."""
    tables: list[str] = []
    problems: list[Trouble] = []
    looked: list[object] = []
    days: set[date] = set()
    away: dict[Server, ServerAway] = {}
    for contract in contracts:
        try:
            look = _ask(contract, away, full=full, force=force)
            if look.portions or (metadata.state(contract.bronze) is not None and not current(contract)):
                awaited = [str(metadata.state(parent.silver)) for _, parent in contract.waiting_columns]
                looked.append((contract.name, look.fingerprint, str(metadata.state(contract.bronze)), look.hidden, *awaited))
                tables.append(contract.name)
                days |= {day for day in look.days if day is not None}
        except (LakehouseError, OSError) as error:
            problems.append(_trouble(contract.name, error, f"lakehouse sync {contract.name}"))
    models: list[str] = []
    for found in _stale(marts, tables):
        if not isinstance(found, Trouble):
            models.append(found[0])
            looked.append(found)
        elif found.why not in {p.why for p in problems}:  # of a Silver table it is told once, not for each mart above it
            problems.append(found)
    return Due(tuple(tables), tuple(models), tuple(sorted(days)), hashlib.sha256(repr(looked).encode()).hexdigest()[:16], tuple(problems))


def _ask(contract: Contract, away: dict[Server, ServerAway], *, full: bool, force: bool) -> Look:
    """A look at one source. A server that did not answer is not asked again for its other tables, so that it costs one timeout and not one for each."""
    server = _server(contract)
    if server in away:
        raise away[server]
    try:
        return pending(contract, full=full, force=force)
    except ServerAway as error:
        away[server] = error
        raise


def _server(contract: Contract) -> Server:
    match contract.source:
        case KafkaSource(brokers=brokers):
            return (brokers,)
        case PostgresSource(host=host, port=port):
            return (host, str(port))
    return (contract.name,)


def _stale(marts: Iterable[Model], tables: list[str]) -> Iterator[tuple[str, str] | Trouble]:
    """The marts that have to follow, once these tables are current, each with its state as text, and those that can't be looked at."""
    planned: dict[str, Taken] = {}
    for model in (m for m in marts if m.materialized != "view"):
        try:
            if not _ready(model, tables):
                continue
            sources = seen(model, planned)
            if model.sources & set(tables) or (sources is not None and behind(model, sources)):
                yield model.name, str(metadata.state(model.table))
                planned |= {model.name: taken(sources)} if sources is not None else {}
        except (LakehouseError, OSError) as error:
            yield _trouble(str(model.table), error, "lakehouse sync")


def look_again(contracts: Iterable[Contract], marts: Iterable[Model], pauses: Pauses, now: float, seconds: float = SECONDS) -> tuple[Due, Pauses]:
    """The same as `due`, without what is paused, and the pauses after it, of so many seconds: of one who looks again and again."""
    paused = pauses.paused(now)
    asked, followed = [c for c in contracts if c.name not in paused], [m for m in marts if str(m.table) not in paused]
    work = due(asked, followed)
    looked_at = [*(c.name for c in asked), *(str(m.table) for m in followed)]
    return work, pauses.after(looked_at, {t.table: (t.why, t.next_step) for t in work.problems}, now, seconds)


def _trouble(table: str, error: LakehouseError | OSError, again: str) -> Trouble:
    if isinstance(error, LakehouseError):
        return Trouble(table, error.what, error.next_step or f"Then: {again}")
    return Trouble(table, f"It can't be looked at: {' '.join(str(error).split())}", f"Let this user read that, then: {again}")


def _ready(model: Model, tables: list[str]) -> bool:
    return not set(missing_sources(model)) - set(tables)
