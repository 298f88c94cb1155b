"""How commands talk: the consoles, the shape of an error, small words for numbers and times, and the log that takes what others print.

Results go to standard output, everything about them to standard error. Not here: what is said (the commands).
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import time
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid
from rich.tree import Tree

if TYPE_CHECKING:
    from lakehouse.errors import LakehouseError

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)
LARGEST_LOG = 10_000_000
PIPE_WIDTH = 10_000  # as wide as the values are


def show_error(error: LakehouseError, console: Console | None = None) -> None:
    """What happened, what state the data is in, which command is next; one paragraph each."""
    told = console or err
    told.print(f"[red]{escape(error.what)}[/red]")
    for line in (error.state, error.next_step):
        if line:
            told.print(escape(line))


def grid(*headers: str, right: tuple[str, ...] = ()) -> Grid:
    """A table without a frame, as all commands show it."""
    made = Grid(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)
    for header in headers:
        made.add_column(header, justify="right" if header in right else "left", no_wrap=header in right, overflow="fold")
    return made


def show(table: Grid | Tree) -> None:
    """Print a table or a tree: as wide as the terminal; into a file or a pipe as wide as it is."""
    told = out if out.is_terminal else Console(file=out.file, width=PIPE_WIDTH, highlight=False)
    told.print(table, soft_wrap=False)


def seconds(value: float) -> str:
    """A duration of work."""
    return f"{value:.1f} s" if value < 100 else f"{int(value) // 60} min {int(value) % 60} s"


def age(then: datetime | None, now: datetime | None = None) -> str:
    """How long ago, in the largest unit that tells it."""
    if then is None:
        return "never"
    passed = ((now or datetime.now(UTC)) - then).total_seconds()
    return "in the future" if passed < 0 else f"{span(passed)} ago"


def span(passed: float) -> str:
    """A stretch of time, in the largest unit that tells it."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if passed >= 2 * size:
            return f"{int(passed) // size} {unit}"
    return f"{int(passed)} s"


def size(count: int) -> str:
    """Bytes."""
    value = float(count)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:,.0f} {unit}"
        value /= 1000
    return f"{value:,.1f} GB"


def plural(count: int, one: str, many: str = "") -> str:
    """A count with its noun."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


class Clock:
    """Seconds since it was made, and the seconds of named parts."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.parts: dict[str, float] = {}

    def __call__(self) -> float:
        return time.monotonic() - self._began

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Measure one part."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.parts[name] = self.parts.get(name, 0.0) + time.monotonic() - began


def open_log(home: Path, name: str) -> TextIO:
    """`<home>/logs/<name>` to append to, the older one put aside when it has become large."""
    log = home / "logs" / name
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LARGEST_LOG:
        log.replace(log.with_name(f"{name}.1"))
    stream = log.open("a", encoding="utf-8", errors="backslashreplace")
    stream.write(f"\n==== {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC, process {os.getpid()}: {' '.join(sys.argv[1:])}\n")
    stream.flush()
    return stream


def log_defect(home: Path, error: BaseException) -> Path:
    """Append the whole trace to `<home>/logs/cli.log`; returns where."""
    with open_log(home, "cli.log") as log:
        traceback.print_exception(error, file=log)
    return home / "logs" / "cli.log"


@contextlib.contextmanager
def others_to(log: TextIO) -> Iterator[None]:
    """Standard output and error, of this process and of those it starts, go to the log; only the two consoles keep the terminal.

    Dagster, dbt and Spark's client print on their own account, from subprocesses too: hence the file descriptors.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [(number, os.dup(number)) for number in (1, 2)]
    terminals = [_terminal(console, copy) for console, (_, copy) in zip((out, err), kept, strict=True)]
    files = [(console, console._file) for console in (out, err)]  # noqa: SLF001 - rich has no way to ask whether one was set
    for console, terminal in zip((out, err), terminals, strict=True):
        if terminal is not None:
            console.file = terminal
    try:
        for number in (1, 2):
            os.dup2(log.fileno(), number)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, copy in kept:
            os.dup2(copy, number)
        for console, file in files:
            console._file = file  # noqa: SLF001
        for terminal, (_, copy) in zip(terminals, kept, strict=True):
            if terminal is not None:
                terminal.close()
            os.close(copy)


def _terminal(console: Console, copy: int) -> TextIO | None:
    """The console's own way to the terminal; None when it does not write to the process's output (a test's, say) and needs no other."""
    try:
        console.file.fileno()
    except (AttributeError, ValueError, io.UnsupportedOperation):
        return None
    return os.fdopen(os.dup(copy), "w", encoding="utf-8", errors="replace")
