"""The contract that a table was made by, as its properties record it; and no run that would write under one that breaks it.

Read from the table's log, without Spark. Not here: comparing (`contracts.compare`), recording, which every writer does (`engine.shape`).
"""

from __future__ import annotations

from collections.abc import Sequence

from lakehouse.contracts.change import Change, announces, grown, next_version, required
from lakehouse.contracts.compare import compare
from lakehouse.contracts.model import Contract
from lakehouse.contracts.recorded import HASH, properties, recorded
from lakehouse.engine.metadata import TableState
from lakehouse.errors import ContractChanged


def deployed(contract: Contract, state: TableState | None) -> Contract | None:
    """The contract that the table was last written under; None where there is no table, or none is recorded. Raises `ContractUnreadable`."""
    return recorded(state.table, state.properties, contract.file) if state else None


def differences(contract: Contract, state: TableState | None) -> tuple[Change, ...]:
    """What the contract says otherwise than the one that the table was last written under; nothing where none is recorded."""
    if state is None or state.properties.get(HASH) == properties(contract)[HASH]:
        return ()
    old = deployed(contract, state)
    return compare(old, contract) if old else ()


def raise_if_broken(contract: Contract, state: TableState | None) -> None:
    """Raise `ContractChanged` where writing the table under this contract would break what it was made by, or take it back to an older version.

    A Bronze table only knows its source, so that what arrives goes on being kept.
    """
    old, found = deployed(contract, state), differences(contract, state)
    if state is None or old is None or not found:
        return
    bronze = state.table.layer == "bronze"
    stops = [c for c in found if c.stops_runs and (not bronze or c.area == "source")]
    unchanged = f"{state.table} is unchanged, at version {state.version}."
    if stops:
        raise ContractChanged(
            f"{state.table} was made by version {old.version} of its contract, and {contract.file.name} ({contract.version}) breaks it:\n"
            + "\n".join(f"  {c}" for c in stops[:5])
            + (f"\n  and {len(stops) - 5} more" if len(stops) > 5 else ""),
            state=unchanged,
            next_step=f"See what it means, and what to do: lakehouse contract plan {contract.name}",
        )
    if grown(contract.version, old.version) and not bronze:
        raise ContractChanged(
            f"{state.table} was made by version {old.version} of its contract, and this run knows {contract.version}, which is older.",
            state=unchanged,
            next_step=f"Load the contracts anew: lakehouse up. To go back on purpose: lakehouse contract apply {contract.name}",
        )


def raise_if_unannounced(old: Contract, new: Contract, changes: Sequence[Change]) -> None:
    """Raise `ContractChanged` where something breaks without a version that says so."""
    level = required(changes)
    if level == "major" and not announces(old.version, new.version, level):
        raise ContractChanged(
            f"{new.name} {old.version} is deployed, and {new.file.name} breaks it without saying so: its version is {new.version}.",
            state="Nothing was changed.",
            next_step=f"Make its version {next_version(old.version, level)} once those who read it agree; what breaks: lakehouse contract plan {new.name}",
        )
