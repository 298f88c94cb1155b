"""`lakehouse contract plan` and `apply`: what a change of contracts would do, and doing what breaks nobody.

Not here: working it out (`planned`), the other commands about contracts (`contract`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from lakehouse.cli.lake import known_table
from lakehouse.cli.output import err, grid, out, plural, show, show_error
from lakehouse.cli.planned import Planned, Rows, against, against_deployed, with_downstream
from lakehouse.contracts.at_ref import contracts_at
from lakehouse.contracts.change import Change
from lakehouse.contracts.loader import load_contracts
from lakehouse.contracts.model import Contract
from lakehouse.engine import metadata
from lakehouse.errors import ContractChanged, ContractError
from lakehouse.gold.columns import gold_columns
from lakehouse.governance.deployed import raise_if_unannounced
from lakehouse.lineage import ROWS
from lakehouse.settings import settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Tables = Annotated[list[str] | None, typer.Argument(metavar="[TABLE]...", help="Only these tables. Default: all.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
_SHOWN = 6
_COLOURS = {"compatible": "green", "widening": "yellow", "breaking": "red"}
_STATES = {
    "new": "not deployed yet: the first run makes it",
    "unrecorded": "was made before contracts were recorded: its next run records this one",
    "same": "as deployed",
    "gone": "is gone: whoever reads it breaks",
}


def plan(
    tables: Tables = None,
    base: Annotated[str | None, typer.Option("--base", metavar="REF", help="Compare with the contracts at this git ref, not with what is deployed.")] = None,
    as_json: Json = False,
) -> None:
    """Say what the contracts would change, before anything happens: for readers, for what is stored, downstream, and which version it needs.

    Reads contracts, tables' logs and the marts' SQL; starts no Spark. Exit code 1 when something breaks readers and no new major version says so.
    """
    found = _planned(tables, base)
    if as_json:
        out.print_json(json.dumps([p.plain() for p in found]))
    else:
        _show(found, f"at {base}" if base else "deployed")
    if any(p.breaks_unannounced for p in found):
        raise typer.Exit(1)


def apply(
    tables: Tables = None,
    breaking: Annotated[
        bool, typer.Option("--breaking", help="Also what breaks readers, where the contract's new major version says so; and where nobody can tell.")
    ] = False,
) -> None:
    """Make deployed tables what their contracts say, where that needs no data: columns, wider types, comments, properties. A run does the same.

    Refuses what breaks readers, unless the contract has a new major version and `--breaking` is given.
    """
    found = [p for p in _planned(tables, None, forget=breaking) if p.state in ("changed", "unrecorded")]
    if not found:
        out.print("Every deployed table is as its contract says.")
        return
    refused = {p.name: no for p in found if (no := _refusal(p, breaking)) is not None}
    for no in refused.values():
        show_error(no)
    todo = [p.new for p in found if p.new and p.name not in refused]
    if todo:
        _apply(todo)
        _told([p for p in found if p.name not in refused])
    if refused:
        raise typer.Exit(1)


def _planned(tables: Sequence[str] | None, base: str | None, *, forget: bool = False) -> list[Planned]:
    contracts = load_contracts(settings().contracts)
    others = contracts_at(settings().contracts, base) if base else {}
    wanted = {known_table(t, {*contracts, *others}) for t in tables or ()} or {*contracts, *others}
    chosen, before = ({n: c for n, c in some.items() if n in wanted} for some in (contracts, others))
    found = against(before, chosen) if base else against_deployed(chosen, forget=forget)
    dbt = (settings().dbt_project / "dbt_project.yml").is_file()
    return with_downstream(found, {**others, **contracts}, gold_columns) if dbt else found


def _refusal(plan: Planned, breaking: bool) -> ContractError | None:
    """Why a table's changes are not applied; None where they are."""
    if plan.old is None or plan.new is None:
        return None
    try:
        raise_if_unannounced(plan.old, plan.new, plan.changes)
    except ContractChanged as no:
        return no
    redo = next((c for c in plan.changes if c.redo == "source"), next((c for c in plan.changes if c.redo == "table"), None))
    breaks = [c for c in plan.changes if c.kind == "breaking"]
    if redo is not None:
        why = f"{redo}. The table has to be made anew"
    elif breaks and not breaking:
        why = "; ".join(map(str, breaks[:3])) + (f"; and {len(breaks) - 3} more" if len(breaks) > 3 else "") + ". That breaks readers"
    else:
        return None
    return ContractChanged(f"{plan.name}: {why}.", state=f"{plan.new.silver} is unchanged.", next_step=f"Next: {plan.steps[0]}")


def _apply(contracts: Sequence[Contract]) -> None:
    from lakehouse.bronze.ingest import shape as bronze_shape
    from lakehouse.cli.query import spark_session
    from lakehouse.engine.delta import ensure_table
    from lakehouse.quality import quarantine
    from lakehouse.silver.build import silver_shape

    def one(spark: SparkSession, contract: Contract) -> None:
        shapes = ((contract.bronze, bronze_shape), (contract.silver, silver_shape), (contract.quarantine, quarantine.shape))
        for table, shape in shapes:
            if metadata.open_table(table) is not None:
                ensure_table(spark, table, shape(contract))

    with spark_session() as spark:
        for contract in contracts:
            one(spark, contract)


def _told(applied: Sequence[Planned]) -> None:
    for plan in applied:
        versions = f"{plan.old.version} to {plan.new.version}, " if plan.old and plan.new and plan.old.version != plan.new.version else ""
        out.print(f"[bold]{plan.name}[/bold]: {versions}{plural(len(plan.changes), 'change')} applied.")
        for step in plan.steps[1:]:
            err.print(f"Its older rows follow with: {step}", markup=False)


def _show(found: Sequence[Planned], base: str) -> None:
    for plan in (p for p in found if p.state == "changed"):
        _show_one(plan, base)
    for state in ("gone", "new", "unrecorded"):
        names = [p.name for p in found if p.state == state]
        if names:
            style = "red" if state == "gone" else "dim"
            out.print(f"[{style}]{', '.join(names)}: {_STATES[state] if base == 'deployed' or state == 'gone' else 'is new'}[/{style}]")
    same = sum(p.state == "same" for p in found)
    if same:
        out.print(f"[dim]{plural(same, 'table')} as {base}.[/dim]")


def _show_one(plan: Planned, base: str) -> None:
    assert plan.old is not None and plan.new is not None
    out.print(f"[bold]{plan.name}[/bold] {plan.new.version} ({base}: {plan.old.version})")
    table = grid("", "what", "change")
    for change in sorted(plan.changes, key=lambda c: list(_COLOURS).index(c.kind), reverse=True):
        table.add_row(f"[{_COLOURS[change.kind]}]{change.kind}[/]", change.area, escape(str(change)))
    show(table)
    for name, text in _facts(plan):
        out.print(f"[dim]{name:<11}[/dim]  {text}")
    out.print()


def _facts(plan: Planned) -> list[tuple[str, str]]:
    below = plan.touched
    marts = [(f"{m} ({plural(plan.mart_rows[m], 'row')})" if m in plan.mart_rows else m, _columns(columns)) for m, columns in below.marts.items()]
    facts = [
        ("version", _version(plan)),
        ("made again", _made_again(plan.stale, plan.changes)),
        *(("downstream" if n == 0 else "", escape(f"{mart}: {columns}")) for n, (mart, columns) in enumerate(marts)),
        *([("downstream", "nothing")] if not marts else []),
        ("exposures", escape(", ".join(below.exposures))),
        *(("next" if n == 0 else "", escape(step)) for n, step in enumerate(plan.steps)),
    ]
    return [(name, text) for name, text in facts if text]


def _columns(names: Sequence[str]) -> str:
    shown = ["its rows" if n == ROWS else n for n in names]
    return ", ".join(shown[:_SHOWN]) + (f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else "")


def _version(plan: Planned) -> str:
    assert plan.new is not None
    if plan.needs is None:
        return f"[green]{plan.new.version} says it ({plan.level})[/green]"
    colour = "red" if plan.level == "major" else "yellow"
    return f"[{colour}]{plan.needs} is needed ({plan.level}); the contract says {plan.new.version}[/{colour}]"


def _made_again(stale: Rows | None, changes: Sequence[Change]) -> str:
    if any(c.redo == "source" for c in changes):
        return "can't be: Bronze holds what arrived in a form that the new contract does not read"
    if stale is None:
        return "nothing"
    span = f"{plural(len(stale.days), 'day')} ({stale.days[0]} to {stale.days[-1]}), " if stale.days else "the whole table, " if stale.days is None else ""
    return f"{span}{plural(stale.rows, 'row')}, from {plural(stale.records, 'Bronze record')}"
