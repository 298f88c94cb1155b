"""`lakehouse lineage`: what a column is made of, from the source's field on, and what is made of it, to the dashboards. Read from contracts and SQL alone.

Not here: finding it out (`silver.columns`, `gold.columns`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.tree import Tree

from lakehouse.cli.lake import listing
from lakehouse.cli.output import err, out, show
from lakehouse.contracts.loader import load_contracts
from lakehouse.contracts.mistakes import nearest
from lakehouse.errors import ContractError
from lakehouse.gold.columns import GoldColumns, gold_columns
from lakehouse.lineage import ROWS, Lineage, Ref
from lakehouse.settings import settings
from lakehouse.silver.columns import silver_lineage

app = typer.Typer(add_completion=False)
LAYERS = ("silver", "gold", "staging", "bronze")  # which of them a bare name means first


@app.command(epilog="Example: lakehouse lineage fct_sales_daily.margin --up\nExample: lakehouse lineage silver.customer.segment --down")
def lineage(
    name: Annotated[str, typer.Argument(metavar="TABLE[.COLUMN]", help="A table or one of its columns: gold.fct_sales_daily, fct_sales_daily.margin.")],
    up: Annotated[bool, typer.Option("--up", help="Only what it is made of.")] = False,
    down: Annotated[bool, typer.Option("--down", help="Only what is made of it.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Show what columns are made of, from the source's field to the dashboard, and what is made of them.

    Beside the columns whose values go into others there are those that decide which rows a table has: they filter, join or group. Nothing is started.
    """
    contracts = load_contracts(settings().contracts)
    gold = gold_columns(contracts)
    whole = gold.lineage.joined(*(silver_lineage(c) for c in contracts.values()))
    table, column = _meant(name, whole.columns)
    refs = [Ref(table, column)] if column else [Ref(table, c) for c in whole.columns[table]]
    both = up == down
    if as_json:
        out.print_json(json.dumps(_as_json(refs, whole, gold, up=up or both, down=down or both)))
        return
    if up or both:
        show(_made_of(table, refs, whole))
    if down or both:
        show(_goes_into(table, refs, whole, gold))
    for model in sorted({r.table for r in (*refs, *whole.touched_by(refs), *whole.sources_of(refs))} & gold.unreadable.keys()):
        err.print(f"{model}: shown as made of all that its Silver tables have, since its SQL can't be followed: {gold.unreadable[model]}", markup=False)


def _meant(name: str, columns: Mapping[str, tuple[str, ...]]) -> tuple[str, str | None]:
    """The table and column that a name names. Raises `ContractError`."""
    tables = [t for layer in LAYERS for t in columns if t.startswith(f"{layer}.")]
    wanted = name.replace("/", ".", 1) if name.partition("/")[0] in LAYERS else name
    for table in tables:
        for known in (table, table.partition(".")[2]):
            if wanted == known:
                return table, None
            if wanted.startswith(f"{known}."):
                return table, _column(wanted.removeprefix(f"{known}."), table, columns[table])
    meant = nearest(wanted, [*tables, *(t.partition(".")[2] for t in tables)])
    there = listing(t for t in tables if t.startswith(LAYERS[:2]))
    raise ContractError(f"There is no table {name!r}.{f' Did you mean {meant!r}?' if meant else ''}", next_step=f"There are: {there}.")


def _column(name: str, table: str, columns: Iterable[str]) -> str:
    by_lower = {c.lower(): c for c in columns}
    if name.lower() in by_lower:
        return by_lower[name.lower()]
    meant = nearest(name, columns)
    raise ContractError(f"{table} has no column {name!r}.{f' Did you mean {meant!r}?' if meant else ''}", next_step=f"It has: {listing(columns)}.")


def _made_of(table: str, refs: list[Ref], whole: Lineage) -> Tree:
    """Sources of the values; what decides on rows is told of this table only."""
    tree, twigs = _rooted(table, refs, "is made of")
    values = {ref: sources for ref, sources in whole.made_of.items() if ref.column != ROWS}
    seen: set[Ref] = set()
    for ref, twig in zip(refs, twigs, strict=True):
        _grow(twig, ref, values, seen)
    rows = tree.add(f"[dim]which rows {escape(table)} has is decided by[/dim]")
    for ref in sorted(whole.made_of.get(Ref(table, ROWS), ())):
        rows.add(f"[dim]{_shown(ref)}[/dim]")
    return tree


def _goes_into(table: str, refs: list[Ref], whole: Lineage, gold: GoldColumns) -> Tree:
    tree, twigs = _rooted(table, refs, "goes into")
    seen: set[Ref] = set()
    for ref, twig in zip(refs, twigs, strict=True):
        _grow(twig, ref, whole.goes_into, seen)
    if reading := _exposures(refs, whole, gold):
        tree.add(f"exposures: {escape(', '.join(reading))}")
    return tree


def _rooted(table: str, refs: list[Ref], verb: str) -> tuple[Tree, list[Tree]]:
    """A tree, and where each column grows: of one column the tree itself."""
    tree = Tree(f"[bold]{escape(str(refs[0]) if len(refs) == 1 else table)}[/bold] {verb}")
    return tree, [tree] if len(refs) == 1 else [tree.add(escape(ref.column)) for ref in refs]


def _exposures(refs: Iterable[Ref], whole: Lineage, gold: GoldColumns) -> list[str]:
    tables = {r.table for r in (*refs, *whole.touched_by(refs))}
    return sorted(name for name, reads in gold.exposures.items() if reads & tables)


def _grow(branch: Tree, ref: Ref, edges: Mapping[Ref, frozenset[Ref]], seen: set[Ref]) -> None:
    """Add what is next, and what is next to that; what was shown above already is not gone into again."""
    for one in sorted(edges.get(ref, ())):
        name = _shown(one)
        known = one in seen and bool(edges.get(one))
        seen.add(one)
        twig = branch.add(f"{name} [dim]…[/dim]" if known else name)
        if not known:
            _grow(twig, one, edges, seen)


def _shown(ref: Ref) -> str:
    if " " in ref.table:  # a source
        return escape(ref.table if ref.column == ROWS else f"{ref.column} in {ref.table}")
    return escape(f"{ref.table} (its rows)" if ref.column == ROWS else str(ref))


def _as_json(refs: list[Ref], whole: Lineage, gold: GoldColumns, *, up: bool, down: bool) -> dict[str, Any]:
    """The columns asked for, and the edges that lead to them or away from them."""
    told: dict[str, Any] = {"columns": [r._asdict() for r in refs], "unreadable": dict(gold.unreadable)}
    if up:
        told["made_of"] = _edges({*refs, *whole.sources_of(refs)}, whole.made_of)
        told["rows"] = _edges([Ref(refs[0].table, ROWS)], whole.made_of)
    if down:
        told["goes_into"] = [{"from": e["to"], "to": e["from"]} for e in _edges({*refs, *whole.touched_by(refs)}, whole.goes_into)]
        told["exposures"] = _exposures(refs, whole, gold)
    return told


def _edges(refs: Iterable[Ref], edges: Mapping[Ref, frozenset[Ref]]) -> list[dict[str, Any]]:
    return [{"from": other._asdict(), "to": ref._asdict()} for ref in sorted(refs) for other in sorted(edges.get(ref, ()))]
