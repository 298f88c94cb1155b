"""`lakehouse contract`: check contracts, show one, draft one from sample data, write the dbt sources.

Not here: what is checked or drafted (`contracts`), changes of contracts (`evolution`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from lakehouse.cli import evolution
from lakehouse.contracts.loader import Checked, check_file, check_together, contract_files, load_contracts
from lakehouse.contracts.mistakes import Mistake, nearest
from lakehouse.contracts.model import Contract
from lakehouse.errors import ContractError
from lakehouse.settings import settings

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Check, show and draft data contracts, and change them.")
out, err = Console(soft_wrap=True), Console(stderr=True, soft_wrap=True)
Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


@app.command(epilog="Example: lakehouse contract lint contracts/sales")
def lint(
    paths: Annotated[list[Path] | None, typer.Argument(help="Contract files or folders. Default: all contracts.")] = None,
    as_json: Json = False,
) -> None:
    """Check contracts against the standard and the profile; list every mistake. Exit code 1 when there is one."""
    checked = _checked(paths or [settings().contracts])
    mistakes = [m for c in checked for m in c.mistakes]
    if as_json:
        found = [_plain(m) for c in checked for m in (*c.mistakes, *c.notes)]
        out.print_json(json.dumps({"contracts": len(checked), "mistakes": len(mistakes), "findings": found}))
    else:
        _report(checked, len(mistakes))
    if mistakes:
        raise typer.Exit(1)


def _checked(paths: list[Path]) -> list[Checked]:
    """The files named, or below the folders named, once each; checked against each other and against the other contracts of the lake."""
    missing = [str(p) for p in paths if not p.exists()]
    if missing:
        raise ContractError(f"There is no {', '.join(missing)}.", next_step="Name contract files or folders, or nothing for all of LAKEHOUSE_CONTRACTS.")
    named = {f.resolve(): f for p in paths for f in (contract_files(p) if p.is_dir() else [p])}
    lake = settings().contracts
    inside = lake.is_dir() and any(f.is_relative_to(lake.resolve()) for f in named)
    others = [f for f in contract_files(lake) if f.resolve() not in named] if inside else []
    together = check_together(check_file(f) for f in (*others, *named.values()))
    return together[len(others) :]


def _report(checked: list[Checked], mistakes: int) -> None:
    for one in checked:
        if one.mistakes or one.notes:
            out.print(f"[bold]{escape(_short(one.file))}[/bold]")
        for m in (*one.mistakes, *one.notes):
            sign = "[yellow]note [/yellow]" if m.note else "[red]error[/red]"
            out.print(f"  {sign} {'line ' + str(m.line) if m.line else 'file':<9} {escape(m.message)}", highlight=False)
    plural = "" if len(checked) == 1 else "s"
    if not checked:
        out.print(f"There is no contract in {escape(str(settings().contracts))}. Draft one with: lakehouse contract infer <sample file>")
    elif mistakes:
        broken = sum(bool(c.mistakes) for c in checked)
        out.print(f"[red]{mistakes} mistake{'' if mistakes == 1 else 's'}[/red] in {broken} of {len(checked)} contract{plural}.")
    else:
        out.print(f"[green]{len(checked)} contract{plural}, no mistake.[/green]")


def _plain(m: Mistake) -> dict[str, Any]:
    return {"file": _short(m.file), "line": m.line, "level": "note" if m.note else "error", "where": m.where, "message": m.what}


def _short(file: Path) -> str:
    """The path from here, where that is shorter."""
    return str(file.relative_to(Path.cwd())) if file.is_relative_to(Path.cwd()) else str(file)


@app.command(epilog="Example: lakehouse contract show sensor_reading")
def show(table: Annotated[str, typer.Argument(help="The table's name.")], as_json: Json = False) -> None:
    """Show what a contract says: columns, types, rules with those that follow from the columns, source, key."""
    contract = _contract(table)
    from lakehouse.contracts.describe import as_dict

    told = as_dict(contract)
    if as_json:
        out.print_json(json.dumps(told))
        return
    out.print(f"[bold]{contract.name}[/bold] {contract.version} · {contract.kind} · {contract.domain} · {contract.status}")
    out.print(escape(" ".join(p for p in (contract.description, contract.grain) if p)), highlight=False)
    facts = Grid(show_header=False, box=None, pad_edge=False)
    for name, value in told["facts"].items():
        facts.add_row(f"[dim]{name}[/dim]", escape(str(value)))
    out.print(facts)
    out.print(_grid("Columns", ("column", "type", "required", "from", "description"), told["columns"]))
    out.print(_grid("Rules", ("rule", "onFail", "means", "from"), told["rules"]))


def _grid(title: str, columns: tuple[str, ...], rows: list[dict[str, Any]]) -> Grid:
    grid = Grid(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for i, column in enumerate(columns):
        grid.add_column(column, overflow="fold", no_wrap=i == 0)
    for row in rows:
        grid.add_row(*[escape({True: "yes", False: ""}.get(v, str(v)) if isinstance(v, bool) else str(v)) for v in (row[c] for c in columns)])
    return grid


def _contract(table: str) -> Contract:
    contracts = load_contracts(settings().contracts)
    name = table.rpartition(".")[2]
    if name not in contracts:
        meant = nearest(name, contracts)
        raise ContractError(
            f"There is no contract for {table!r}.{f' Did you mean {meant!r}?' if meant else ''}",
            next_step=f"There are: {', '.join(contracts) or 'none'}.",
        )
    return contracts[name]


@app.command(epilog="Example: lakehouse contract infer landing/sales/orders --domain sales --out contracts/sales/orders.odcs.yaml")
def infer(
    paths: Annotated[list[Path], typer.Argument(help="Sample files, or folders of them: CSV, JSON lines, Parquet; gzip too.")],
    name: Annotated[str | None, typer.Option(help="The table's name. Default: from the path.")] = None,
    domain: Annotated[str | None, typer.Option(help="The table's domain. Default: the folder of --out, else from the path.")] = None,
    file: Annotated[Path | None, typer.Option("--out", help="Write here (never over a file that is there). Default: print.")] = None,
) -> None:
    """Draft a contract from sample data: types, keys, dates, values and ranges seen, and what you have to decide."""
    from lakehouse.contracts.infer import infer as draft

    if file is not None and file.exists():
        raise ContractError(f"{file} is there already.", state="Nothing was written.", next_step="Name another file with --out, or remove it first.")
    drafted = draft(paths, name=name, domain=domain, out=file, landing=settings().landing)
    if file is None:
        out.print(drafted.text, markup=False, highlight=False, end="")
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(drafted.text, "utf-8")
    err.print(f"Wrote {escape(_short(file))}: {drafted.summary}.", highlight=False)
    err.print("Read the comments in it, decide, then check it with: lakehouse contract lint", highlight=False)


@app.command(epilog="Example: lakehouse contract sources --check")
def sources(check: Annotated[bool, typer.Option("--check", help="Write nothing; exit code 1 when the file is stale.")] = False) -> None:
    """Write the dbt sources file from the contracts."""
    from lakehouse.contracts.dbt_sources import FILE, is_stale, lost, sources_yaml

    contracts = load_contracts(settings().contracts)
    file = settings().dbt_project / FILE
    stale = is_stale(file, contracts)
    if gone := lost(settings().dbt_project, contracts):
        read = ", ".join(f"silver.{table} (read by {', '.join(models)})" for table, models in gone.items())
        raise ContractError(
            f"{_short(file)} would lose tables that models read, and dbt could not parse the project: {read}.",
            state="Nothing was written.",
            next_step="Set LAKEHOUSE_DBT_PROJECT to this lake's own project (docs/add-a-table.md, section 5), or first remove these models.",
        )
    if check and stale:
        raise ContractError(
            f"{_short(file)} does not say what the contracts say.", state="Nothing was written.", next_step="Renew it with: lakehouse contract sources"
        )
    if stale:
        if not settings().dbt_project.is_dir():
            raise ContractError(
                f"There is no dbt project at {settings().dbt_project}.", state="Nothing was written.", next_step="Set LAKEHOUSE_DBT_PROJECT to its folder."
            )
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(sources_yaml(contracts), "utf-8")
    out.print(f"{escape(_short(file))} {'written' if stale else 'is up to date'}: {len(contracts)} tables.", highlight=False)


app.command(
    epilog="Example: lakehouse contract plan\n\nExample: lakehouse contract plan customer\n\nExample: lakehouse contract plan --base origin/main --json"
)(evolution.plan)
app.command(epilog="Example: lakehouse contract apply customer\n\nExample: lakehouse contract apply customer --breaking")(evolution.apply)
