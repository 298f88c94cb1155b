"""`lakehouse doctor`: what is wrong with this installation and this lake, and the command that mends it. Not here: the looking itself (`findings`)."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape

from lakehouse.cli.findings import AFTER, CHECKS, Finding
from lakehouse.cli.output import err, log_defect, out, plural
from lakehouse.cli.steps import Steps
from lakehouse.errors import LakehouseError
from lakehouse.settings import settings

app = typer.Typer(add_completion=False)
_SIGNS = {"ok": "[green]✓[/green]", "note": "[yellow]![/yellow]", "problem": "[red]✗[/red]"}


@app.command(epilog="Example: lakehouse doctor\n\nExample: lakehouse doctor --json | jq '.findings[] | select(.level == \"problem\")'")
def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")] = False) -> None:
    """Say what is wrong with this installation, and the command that mends it.

    Looks at Python, packages, Java, jars, settings, disk, contracts, dbt, Dagster, its processes and the catalogue.
    Starts nothing, and changes nothing but dbt's manifest, which is made anew where it is old.

    Exit code 1 when there is a problem; a note (!) is not one.
    """
    settings()  # a setting that can't be used is the first thing to mend, and its error says how
    looked: dict[str, list[Finding]] = {}
    for name, look in CHECKS.items():
        first = [before for before in AFTER.get(name, ()) if any(f.level == "problem" for f in looked.get(before, ()))]
        if first:
            looked[name] = [Finding(name, "note", f"Not looked at: first mend {' and '.join(first)}.")]
            continue
        with Steps.waiting(f"Looking at {name}"):
            looked[name] = _looked(name, look)
    found = [f for some in looked.values() for f in some]
    problems = sum(f.level == "problem" for f in found)
    if as_json:
        out.print_json(json.dumps({"home": str(settings().home), "problems": problems, "findings": [asdict(f) for f in found]}))
    else:
        _show(found, problems)
    if problems:
        raise typer.Exit(1)


def _looked(name: str, look: object) -> list[Finding]:
    """What one check finds; one that fails is itself a finding, and the others go on."""
    assert callable(look)
    try:
        return list(look())
    except LakehouseError as error:
        return [Finding(name, "problem", error.what, error.next_step or "")]
    except Exception as error:  # noqa: BLE001 - whatever is broken, the others must be looked at
        log = log_defect(settings().home, error)
        return [Finding(name, "problem", f"It could not be looked at: {type(error).__name__}: {error}".splitlines()[0], f"The trace: {log}")]


def _show(found: list[Finding], problems: int) -> None:
    for f in found:
        out.print(f"{_SIGNS[f.level]} {escape(f.name):<12} {escape(f.text)}")
        if f.mend:
            out.print(f"  {'':<12} [bold]{escape(f.mend)}[/bold]")
    err.print(f"{plural(problems, 'problem')}." if problems else "Nothing is wrong.")
