"""The date that a record belongs to: with it the record is built anew, in Silver and in quarantine, by one and the same condition.

It is the record's event date where that is within reach of its Bronze day, and so Silver can hold it; else its Bronze day; without either, None. A rule that
changes does not move a record to another date, so whichever dates are built anew, the others stay right. What does move records (how the event date is read
or computed, the lateness) is told by `placed_by`: tables that were placed otherwise can only be built anew as a whole. Pure, but for a transform's text.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Collection
from datetime import timedelta

from lakehouse.contracts.model import Contract
from lakehouse.contracts.recorded import HASH, properties
from lakehouse.engine.metadata import Day, TableState, rows
from lakehouse.silver.columns import made_of
from lakehouse.silver.transforms import transform_of

_READING = 1  # raised by a change of the platform that reads or computes dates or times otherwise


def event_dates(contract: Contract, days: Collection[Day]) -> frozenset[Day]:
    """The dates that records of these Bronze days can belong to."""
    reach = range(-contract.lateness_days, 2)
    return frozenset({day + timedelta(days=n) for day in days if day is not None for n in reach} | {day for day in days if day is None})


def bronze_days(contract: Contract, dates: Collection[Day]) -> frozenset[Day]:
    """The Bronze days whose records can belong to these dates."""
    reach = range(-1, contract.lateness_days + 1)
    return frozenset({d + timedelta(days=n) for d in dates if d is not None for n in reach} | {d for d in dates if d is None})


def among(column: str, days: Collection[Day]) -> str:
    """SQL: the column is one of these days; None is NULL."""
    some = ", ".join(f"date'{d}'" for d in sorted(d for d in days if d is not None))
    parts = [f"{column} in ({some})"] * bool(some) + [f"{column} is null"] * (None in days)
    return f"({' or '.join(parts)})" if parts else "false"


def belonging(contract: Contract, column: str, dates: Collection[Day]) -> str:
    """SQL: rows with the event date in `column`, accepted or refused, that belong to these dates."""
    near = f"{column} between date_sub(_source_date, {contract.lateness_days}) and date_add(_source_date, 1)"
    own = f"case when {near} then {column} else _source_date end"
    return f"{among('_source_date', bronze_days(contract, dates))} and {among(own, dates)}"


def placed_by(contract: Contract) -> str:
    """A fingerprint of all that decides which date a record belongs to; empty where a table has no dates."""
    if contract.event_date is None:
        return ""
    code = _code(contract)
    names = {c.name.lower() for c in contract.columns} if code else made_of(contract, [contract.event_date])
    read = [(c.name, c.type, c.source_field, c.expression, c.timezone, c.format) for c in contract.columns if c.name.lower() in names]
    return _hash(repr((_READING, contract.event_date, contract.lateness_days, read, code)))


def judged_by(contract: Contract) -> str:
    """A fingerprint of all that records are judged by, but for the rows of other tables."""
    return _hash(repr((properties(contract)[HASH], _code(contract))))


def placed(contract: Contract, target: TableState) -> bool:
    """Whether all rows of a Silver or quarantine table are at the dates that they belong to under this contract."""
    if target.note is None:
        return rows(target.table, target.version) == 0
    return target.note.placed == placed_by(contract)


def _code(contract: Contract) -> str:
    transform = transform_of(contract.name)
    module = inspect.getmodule(transform)
    return inspect.getsource(module) if module is not None else ""


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
