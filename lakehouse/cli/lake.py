"""What the commands know of this lake without Dagster: its contracts and its marts, and choosing among them by name.

Not here: reading contracts (`lakehouse.contracts`) or the dbt project (`lakehouse.gold.project`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lakehouse.contracts.loader import load_contracts
from lakehouse.contracts.mistakes import nearest
from lakehouse.contracts.model import Contract
from lakehouse.errors import ContractError, SetupError
from lakehouse.gold.marts import lake_marts
from lakehouse.gold.project import Model
from lakehouse.settings import settings


@dataclass(frozen=True)
class Lake:
    """The contracts by name, and the dbt models that these serve. `refused`: models that are left out although they are this lake's, and why."""

    contracts: Mapping[str, Contract]
    marts: tuple[Model, ...]
    refused: Mapping[str, str] = field(default_factory=dict)

    def only(self, names: Sequence[str]) -> Lake:
        """These tables, and the marts that are made from any of them; all when none is named. Raises `ContractError` for a name that is none."""
        if not names:
            return self
        chosen = {name: self.contracts[name] for name in (known_table(n, self.contracts) for n in names)}
        return Lake(chosen, tuple(m for m in self.marts if m.sources & set(chosen)))


def read_lake() -> Lake:
    """Contracts and marts, from files alone. Raises `ContractError`, `SetupError`."""
    contracts = load_contracts(settings().contracts)
    if not contracts:
        raise ContractError(
            f"There is no contract in {settings().contracts}, so there is nothing to build.",
            next_step="Draft one from sample data with: lakehouse contract infer <file>. Or set LAKEHOUSE_CONTRACTS.",
        )
    try:
        found = lake_marts(contracts)
    except OSError as error:
        raise SetupError(f"The dbt project can't be read: {error}.", next_step="Set LAKEHOUSE_DBT_PROJECT to its folder.") from error
    return Lake(contracts, found.models, found.refused)


def known_table(name: str, tables: Collection[str]) -> str:
    """The table that is meant: `sensor_reading`, `silver.sensor_reading` and `silver/sensor_reading` all name one. Raises `ContractError`."""
    short = name.replace("/", ".").rpartition(".")[2]
    if short in tables:
        return short
    meant = nearest(short, tables)
    raise ContractError(
        f"There is no table {name!r}.{f' Did you mean {meant!r}?' if meant else ''}",
        next_step=f"There are: {listing(tables)}.",
    )


def listing(names: Iterable[str]) -> str:
    """Names in a sentence."""
    return ", ".join(sorted(names)) or "none"
