"""The command line: `lakehouse`. Here: which commands there are, and how a failure ends. Not here: any command (one module each).

A command's module is imported when it is called: help and `engine status` need neither Dagster nor Spark's client.
"""

from __future__ import annotations

import difflib
import signal
import sys
from errno import EDQUOT, EFBIG, ENOSPC
from importlib import import_module
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from lakehouse.errors import LakehouseError

# In the order in which people meet them. The summaries are repeated here so that help imports nothing; a test holds them against the commands.
COMMANDS = {
    "demo": "Generate the files of Mega Awesome Toys, build everything from them, and show what there is.",
    "up": "Start the engine, Dagster's web UI and its daemon with the sensors on: new files flow to Gold by themselves.",
    "down": "Stop the daemon, the web UI and the engine.",
    "sync": "Take in whatever is new in the sources, and bring Silver and Gold up to date.",
    "materialize": "Rebuild exactly the selected assets for exactly these days, in this process; twice gives the same.",
    "backfill": "Rebuild many days under the running daemon, beside the sensors.",
    "maintain": "Make many small files few, and remove files that nobody needs any more: what the schedule does at night. No row changes.",
    "status": "Show every table: rows, version, lag behind its source, freshness against its promise, refused records.",
    "lineage": "Show what columns are made of, from the source's field to the dashboard, and what is made of them.",
    "query": "Ask the lake in SQL, read-only.",
    "contract": "Check, show and draft data contracts, and change them.",
    "quarantine": "See which records were refused, and why; put them through again.",
    "backup": "Copy all tables to another folder or bucket, while they are written to; again, only what is new.",
    "engine": "Start, stop and look at the engine: one Spark application that all commands share and start on demand.",
    "services": "Start and stop servers to try things with, on this machine: Kafka, PostgreSQL, and Kafka Connect between them.",
    "doctor": "Say what is wrong with this installation, and the command that mends it.",
}
_MODULES = {"up": "services", "down": "services", "services": "servers"}  # where a module has another name than its command

EPILOG = (
    "Exit codes: 0 done; 1 something failed or was found wrong; 2 the command was not understood; 3 what was asked about does not run; 130 interrupted.\n\n"
    "State lives in one folder, LAKEHOUSE_HOME (default .lakehouse/ in the project). Everything works from Dagster's own tools too.\n\n"
    "Begin with: lakehouse demo"
)


class Lazy(TyperGroup):
    """A group that imports a command's module when the command is called."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401 - typer keeps the type of its context to itself
        """All of them."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401
        """The command itself; for the list in `--help` only its name and summary."""
        if cmd_name not in COMMANDS:
            return None
        if getattr(self, "listing", False):
            return _summary(cmd_name)
        return load(cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401
        """The command that the first word names; a usage error names the one that was probably meant."""
        close = difflib.get_close_matches(args[0], COMMANDS, n=1)
        if args[0] not in COMMANDS and close:
            ctx.fail(f"No such command {args[0]!r}. Did you mean {close[0]!r}?")
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401
        """List the commands without importing them."""
        self.listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self.listing = False


def load(name: str) -> Any:  # noqa: ANN401
    """A command with its options, from its module."""
    module = import_module(f"lakehouse.cli.{_MODULES.get(name, name)}")
    command = typer.main.get_command(module.app)
    inner = getattr(command, "commands", {})
    return inner.get(name, command)


def _summary(name: str) -> Any:  # noqa: ANN401
    stub = typer.Typer(add_completion=False)
    stub.command(name, help=COMMANDS[name])(lambda: None)
    return typer.main.get_command(stub)


app = typer.Typer(
    cls=Lazy,
    name="lakehouse",
    help="A lakehouse of Dagster assets: files in, Bronze, Silver and Gold tables out.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _root() -> None:
    """A lakehouse of Dagster assets: files in, Bronze, Silver and Gold tables out."""


def main() -> None:
    """The entry point: runs a command, and turns whatever it raises into words and an exit code. SIGTERM ends it as Ctrl-C does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app(prog_name="lakehouse")
    except SystemExit as end:
        if isinstance(getattr(end.__context__, "__cause__", None), KeyboardInterrupt):  # typer has made an exit of it
            from lakehouse.cli.output import err

            err.print("Interrupted. What was committed stays; what was not leaves no trace.")
        raise
    except BrokenPipeError:
        sys.exit(141)  # the reader of our output has gone, as with `| head`
    except Exception as error:  # noqa: BLE001 - the one place where anything ends as a sentence
        sys.exit(explain(error))


def explain(error: Exception) -> int:
    """Print what an error means for people; returns the exit code."""
    from lakehouse.cli.output import err, log_defect, show_error
    from lakehouse.errors import LakehouseError
    from lakehouse.settings import PROJECT, settings

    known = error if isinstance(error, LakehouseError) else _disk_is_full(error)
    if known is not None:
        show_error(known)
        return 1
    try:
        home = settings().home
        log = str(log_defect(home, error))
    except (LakehouseError, OSError):
        home, log = PROJECT / ".lakehouse", ""
    if type(error).__module__.startswith(("pyspark.", "grpc")):
        from lakehouse.engine.session import brief
        from lakehouse.engine.surroundings import at_fault

        known = at_fault(str(error))
        if known is not None:
            show_error(known)
            return 1
        err.print(f"The engine says: {brief(error)}", style="red", markup=False)
        err.print(
            f"The whole message: {log}. The engine's log: {home / 'logs' / 'engine.log'}. Where it has gone away, any command starts it anew.", markup=False
        )
        return 1
    err.print(f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no message'}", style="red", markup=False)
    err.print(f"This is a defect of lakehouse, not of your data; tables change in whole commits only. {f'The trace: {log}' if log else ''}", markup=False)
    return 1


def _disk_is_full(error: Exception) -> LakehouseError | None:
    """Words for a disk of this process's own that is full: of a file, or of Dagster's database (SQLite)."""
    from lakehouse.errors import SetupError
    from lakehouse.settings import settings

    if not (isinstance(error, OSError) and error.errno in (ENOSPC, EDQUOT, EFBIG)) and "database or disk is full" not in str(error):
        return None
    return SetupError(
        f"There is no room left to write{f' {error.filename}' if isinstance(error, OSError) and error.filename else ''}.",
        state="What was committed before stays; what was not leaves no trace.",
        next_step=f"Make room below {settings().home}, then run it again. See with: lakehouse doctor",
    )
