"""What an incremental pass would have to do, found by looking at sources and tables; without Spark, without Dagster, so that a look is cheap.

Not here: doing it (`bronze`, `silver`, `gold`), asking for it (`automation`, `cli`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from lakehouse.bronze.ingest import pending
from lakehouse.contracts.model import Contract
from lakehouse.engine import metadata
from lakehouse.errors import LakehouseError
from lakehouse.gold.progress import Taken, behind, missing_sources, seen, taken
from lakehouse.gold.project import Model
from lakehouse.silver.report import current


@dataclass(frozen=True)
class Trouble:
    """A source that could not be looked at: why, and what mends it."""

    table: str
    why: str
    next_step: str

    def __str__(self) -> str:
        return f"{self.table}: {self.why}"


@dataclass(frozen=True)
class Due:
    """What an incremental pass has to do: tables with something new at the source or in Bronze, and stale marts."""

    tables: tuple[str, ...]
    models: tuple[str, ...]
    days: tuple[date, ...]
    fingerprint: str
    problems: tuple[Trouble, ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether everything is current."""
        return not self.tables and not self.models


def due(contracts: Iterable[Contract], marts: Iterable[Model], *, full: bool = False, force: bool = False) -> Due:
    """Look at sources and tables, without Spark. `full` and `force` as in `sources.protocol.Source.look`."""
    tables: list[str] = []
    problems: list[Trouble] = []
    looked: list[object] = []
    days: set[date] = set()
    for contract in contracts:
        try:
            look = pending(contract, full=full, force=force)
        except LakehouseError as error:
            problems.append(Trouble(contract.name, error.what, error.next_step or f"Then: lakehouse sync {contract.name}"))
            continue
        if look.portions or (metadata.state(contract.bronze) is not None and not current(contract)):
            tables.append(contract.name)
            days |= {day for day in look.days if day is not None}
            awaited = [str(metadata.state(parent.silver)) for _, parent in contract.waiting_columns]
            looked.append((contract.name, look.fingerprint, str(metadata.state(contract.bronze)), look.hidden, *awaited))
    models: list[Model] = []
    planned: dict[str, Taken] = {}
    for model in (m for m in marts if m.materialized != "view" and _ready(m, tables)):
        sources = seen(model, planned)
        if model.sources & set(tables) or (sources is not None and behind(model, sources)):
            models.append(model)
            planned |= {model.name: taken(sources)} if sources is not None else {}
    looked += [(m.name, str(metadata.state(m.table))) for m in models]
    return Due(tuple(tables), tuple(m.name for m in models), tuple(sorted(days)), hashlib.sha256(repr(looked).encode()).hexdigest()[:16], tuple(problems))


def _ready(model: Model, tables: list[str]) -> bool:
    return not set(missing_sources(model)) - set(tables)
