"""A contract as a table's properties record it, so that it can be compared later: version, hash, and all that the platform acts on, as JSON.

What a contract says for other tools and people alone (usage, limitations, examples) is not recorded. Not here: writing properties (`engine`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from lakehouse.contracts.model import Contract
from lakehouse.errors import ContractUnreadable
from lakehouse.tables import Table

PREFIX = "lakehouse.contract"
VERSION, HASH = f"{PREFIX}.version", f"{PREFIX}.hash"
_NOT_SAID = {"file", "raw"}


@lru_cache(maxsize=1)
def _adapter() -> TypeAdapter[Contract]:
    return TypeAdapter(Contract)


def properties(contract: Contract) -> dict[str, str]:
    """The properties of a table that is made by this contract."""
    text = _adapter().dump_json(contract, exclude=_NOT_SAID, warnings=False).decode()
    return {PREFIX: text, VERSION: contract.version, HASH: hashlib.sha256(text.encode()).hexdigest()[:16]}


def recorded(table: Table, found: Mapping[str, str], file: Path) -> Contract | None:
    """The contract that a table's properties record; None when there is none. Raises `ContractUnreadable`.

    `file` is where its successor is: the record does not say.
    """
    if PREFIX not in found:
        return None
    try:
        said: dict[str, Any] = _plain().validate_json(found[PREFIX])
        return _adapter().validate_python({**said, "file": file})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ContractUnreadable(
            f"What {table} records of the contract that it was made by can't be read ({where + ': ' if where else ''}{first['msg']}): another version of the "
            "platform wrote it, or it was changed by hand. Nobody can tell whether the present contract breaks it.",
            state="The table is unchanged.",
            next_step=f"Go on with the version that wrote it; or, to record the present contract instead: lakehouse contract apply {table.name} --breaking",
        ) from error


@lru_cache(maxsize=1)
def _plain() -> TypeAdapter[dict[str, Any]]:
    return TypeAdapter(dict[str, Any])
