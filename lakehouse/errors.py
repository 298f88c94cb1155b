"""The error tree: every way the platform says no, and the shape of the sentence it says it in.

    LakehouseError                 what happened · what state the data is in · which command is next
    ├── SettingsError              a setting is missing, misspelt or impossible
    ├── ContractError              a contract can't be read, breaks the standard or our profile
    │   ├── ContractChanged        a table was made by a contract that the present one breaks
    │   └── ContractUnreadable     what a table records of the contract that it was made by can't be read
    ├── SetupError                 Python, jars, checksums, disk: the installation itself
    ├── EngineError                the Spark application can't be started or reached
    │   └── QueryRefused           SQL that the read-only door does not take
    ├── StorageError               an object store says no, or can't be reached; a disk is full
    ├── SourceError                a source can't be listed or read
    │   └── SourceShrank           a rebuild would replace a partition with less than it holds
    ├── WriteConflict              another run committed first, again and again
    ├── RowRuleFailed              a row breaks a rule whose onFail is `fail`
    ├── DataError                  a table is not in the state its reader needs
    └── AlertError                 a receiver of alerts could not be told

Here belong the classes and how they print. Not here: catching, logging, exit codes (see `cli`).
"""

from __future__ import annotations


class LakehouseError(Exception):
    """What went wrong, what state the data is in, and the command to run next.

    `what` is one or two sentences; `state` says what was and was not changed; `next_step` is a command or an edit.
    """

    def __init__(self, what: str, *, state: str | None = None, next_step: str | None = None) -> None:
        self.what, self.state, self.next_step = what, state, next_step
        super().__init__("\n".join(line for line in (what, state, next_step) if line))


class SettingsError(LakehouseError):
    """A setting is missing, misspelt or impossible."""


class ContractError(LakehouseError):
    """A contract can't be read, or breaks the standard or the profile."""


class ContractChanged(ContractError):
    """A table was made by a contract that the present one breaks: a person decides."""


class ContractUnreadable(ContractError):
    """What a table records of the contract that it was made by can't be read: nobody can tell whether the present one breaks it."""


class SetupError(LakehouseError):
    """The installation itself is incomplete or damaged."""


class EngineError(LakehouseError):
    """The Spark application can't be started or reached."""


class QueryRefused(EngineError):
    """SQL that the read-only door does not take."""


class StorageError(LakehouseError):
    """An object store says no, or can't be reached; a disk is full."""


class SourceError(LakehouseError):
    """A source can't be listed or read."""


class ServerAway(SourceError):
    """A source's server does not answer in time: whatever else is asked of it would wait as long."""


class SourceShrank(SourceError):
    """A rebuild would replace a partition with less than it holds."""


class WriteConflict(LakehouseError):
    """Another run committed first, again and again."""


class RowRuleFailed(LakehouseError):
    """A row breaks a rule whose `onFail` is `fail`; nothing was written."""


class DataError(LakehouseError):
    """A table is not in the state its reader needs."""


class AlertError(LakehouseError):
    """A receiver of alerts could not be told; it is tried again."""
