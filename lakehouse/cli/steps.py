"""The steps of a run on the terminal: a live list where there is one, a line for each that ended where there is none.

Not here: where the events come from (`runner`).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table as Grid
from rich.text import Text

from lakehouse.cli.output import err, seconds

_SIGNS = {"waiting": " ", "done": "[green]✓[/green]", "failed": "[red]✗[/red]", "skipped": "[yellow]-[/yellow]", "not run": "[yellow]-[/yellow]"}


@dataclass
class Step:
    """One step, as far as it got."""

    name: str
    state: str = "waiting"
    began: float = 0.0
    took: float = 0.0
    said: str = ""


class Steps:
    """What has been done and what is being done. A context manager: the list is live while it is open."""

    def __init__(self, names: Iterable[str]) -> None:
        self.steps = {name: Step(name) for name in names}
        self._live: Live | None = None
        self._spinner = Spinner("dots")

    @staticmethod
    def waiting(for_what: str) -> contextlib.AbstractContextManager[object]:
        """A spinner with what is waited for; nothing where there is no terminal."""
        return err.status(f"{for_what} …") if err.is_terminal else contextlib.nullcontext()

    def __enter__(self) -> Self:
        if err.is_terminal:
            self._live = Live(get_renderable=self._list, console=err, refresh_per_second=8, redirect_stdout=False, redirect_stderr=False)
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for step in self.steps.values():
            if step.state == "running":
                self.end(step.name, "failed")
            elif step.state == "waiting":
                step.state = "not run"
        if self._live:
            self._live.stop()
            self._live = None

    def start(self, name: str) -> None:
        """A step has begun."""
        step = self.steps.setdefault(name, Step(name))
        step.state, step.began = "running", time.monotonic()

    def says(self, name: str, text: str) -> None:
        """What a step is doing."""
        if name in self.steps:
            self.steps[name].said = text.strip().splitlines()[0] if text.strip() else ""

    def end(self, name: str, state: str) -> None:
        """A step has ended: done, failed or skipped."""
        step = self.steps.setdefault(name, Step(name))
        step.state = state
        step.took = time.monotonic() - step.began if step.began else 0.0
        if self._live is None:
            err.print(f"  {_SIGNS[state]} {step.name}  {_took(step)} {'' if state == 'done' else state}".rstrip())

    def _list(self) -> RenderableType:
        rows = Grid.grid(padding=(0, 2))
        rows.add_column(width=1)
        rows.add_column(no_wrap=True)
        rows.add_column(justify="right", no_wrap=True)
        rows.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for step in self._shown():
            sign = self._spinner if step.state == "running" else Text.from_markup(_SIGNS[step.state])
            rows.add_row(sign, Text(step.name, style="" if step.state != "waiting" else "dim"), _took(step), Text(_note(step), style="dim"))
        return rows

    def _shown(self) -> list[Step]:
        """All steps, or, where the terminal is too low for that, those around what is running."""
        every, room = list(self.steps.values()), max(err.size.height - 3, 5)
        if len(every) <= room or self._live is None:
            return every
        running = next((n for n, s in enumerate(every) if s.state in ("running", "waiting")), len(every))
        first = min(max(running - room + 2, 0), len(every) - room)
        return every[first : first + room]


def _took(step: Step) -> str:
    if step.state == "running":
        return seconds(time.monotonic() - step.began)
    return seconds(step.took) if step.took else ""


def _note(step: Step) -> str:
    return step.said if step.state == "running" else "" if step.state in ("done", "waiting") else step.state
