"""`lakehouse backup`: a copy of the tables that is a lake itself. Not here: in which order files are copied (`engine.backup`)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lakehouse.cli import explain
from lakehouse.cli.output import Clock, err, out, plural, seconds, size
from lakehouse.engine.backup import copy_lake
from lakehouse.settings import s3a

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: lakehouse backup /backup/lake\n\nExample: lakehouse backup s3a://backup/lake")
def backup(target: Annotated[str, typer.Argument(help="Folder or URL of the copy; one that is there already is brought up to date.")]) -> None:
    """Copy all tables to another folder or bucket, while they are written to; again, only what is new.

    The copy is a lake: LAKEHOUSE_WAREHOUSE on it (with a LAKEHOUSE_HOME of its own) answers queries, and syncs go on from where its tables stand.
    """
    clock = Clock()
    place = s3a(target) if "://" in target else str(Path(target).expanduser().absolute())
    copied = copy_lake(place, lambda line: err.print(line, style="dim", markup=False))
    out.print(f"{plural(copied.tables, 'table')} in {place}: {plural(copied.files, 'file')} copied, {size(copied.bytes)}, {seconds(clock())}.", markup=False)
    for error in copied.failed:
        explain(error)
    if copied.failed:
        err.print(f"{plural(len(copied.failed), 'table')} not copied; all others are.", style="red", markup=False)
        raise typer.Exit(1)
