"""A failed step on the terminal. Not here: why it failed, in words (`lakehouse.failures`), running (`runner`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.markup import escape

from lakehouse.cli.output import err
from lakehouse.failures import reasons

if TYPE_CHECKING:
    import dagster as dg


@dataclass(frozen=True)
class Failure:
    """A failed step, and what to say about it."""

    step: str
    lines: tuple[str, ...]

    def show(self, log: str) -> None:
        """The step, the error's own words, and where the whole trace is."""
        err.print(f"[red]{escape(self.step)} failed.[/red] {escape(self.lines[0])}")
        for line in self.lines[1:]:
            err.print(escape(line))
        err.print(f"[dim]The trace: {escape(log)}[/dim]")


def failure_of(event: dg.DagsterEvent) -> Failure:
    """What a step's failure says."""
    return Failure(str(event.step_key), reasons(event))
