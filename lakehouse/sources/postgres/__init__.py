"""A PostgreSQL table as a source: by a cursor (`cursor`) or in snapshots (`snapshot`). Not here: connections (`database`), rows (`rows`)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from lakehouse.contracts.model import Contract, PostgresSource
from lakehouse.engine.metadata import TableState
from lakehouse.sources.postgres import cursor, database, snapshot
from lakehouse.sources.protocol import CHANGE, Look, envelope
from lakehouse.tables import Field

_PAYLOAD = Field("_payload", "string", "The row as the server writes it as JSON.")


@dataclass(frozen=True)
class Postgres:
    """The table of a contract."""

    contract: Contract
    source: PostgresSource

    @property
    def place(self) -> str:
        """The table."""
        return database.place(self.source)

    @property
    def fields(self) -> tuple[Field, ...]:
        """The row, of snapshots what happened to it, and the envelope."""
        position = "The cursor: the number itself, or microseconds since 1970. Of a snapshot: the database's clock then, in microseconds."
        time = "The cursor, where it is a time; else when the row was read, by the database's clock."
        return (_PAYLOAD, *(CHANGE if self.source.compared else ()), *envelope("The table, with its schema.", position, time))

    def look(self, state: TableState | None, *, full: bool = False, force: bool = False) -> Look:
        """What is new. `full`: all of the table is compared with all that is in."""
        if self.source.cursor:
            return cursor.look(self.contract, self.source, state, full=full)
        return snapshot.look(self.contract, self.source, state, full=full)

    def again(self, state: TableState, days: Collection[date], *, force: bool = False) -> Look:
        """These days, as far as the table still tells them."""
        if self.source.cursor:
            return cursor.again(self.contract, self.source, state, days, force=force)
        return snapshot.again(self.contract, self.source, state, days, force=force)
