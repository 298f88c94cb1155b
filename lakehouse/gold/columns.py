"""What the marts' columns are made of, and what a column of Silver ends in: columns of marts, and exposures (dashboards).

Taken from dbt's compiled SQL, without Spark. Not here: reading one query (`gold.query`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from lakehouse.contracts.model import Contract
from lakehouse.contracts.spark_schema import silver_fields
from lakehouse.gold.project import Model, compiled_path, models, served
from lakehouse.lineage import ROWS, Lineage, Ref


@dataclass(frozen=True)
class Touched:
    """What is made of some columns: of each mart its columns, with `*` where they decide which rows it has; and the exposures that read these marts."""

    marts: Mapping[str, tuple[str, ...]]
    exposures: tuple[str, ...]


@dataclass(frozen=True)
class GoldColumns:
    """The lineage of all models over Silver. `exposures`: the marts that each reads.

    `unreadable`: models whose SQL can't be followed, and why; all of their columns count as made of all that their Silver tables have.
    `copies` and `equal` as `gold.query.Made` has them; `equal` by model.
    """

    lineage: Lineage
    exposures: Mapping[str, frozenset[str]]
    unreadable: Mapping[str, str]
    copies: Mapping[Ref, frozenset[Ref]]
    equal: Mapping[str, frozenset[frozenset[Ref]]]

    def touched(self, silver: Iterable[Ref]) -> Touched:
        """Where these columns of Silver (or with `*` its rows) end."""
        marts: dict[str, list[str]] = {}
        for ref in sorted(self.lineage.touched_by(silver)):
            if ref.table.startswith("gold."):
                marts.setdefault(ref.table, []).append(ref.column)
        return Touched({m: tuple(columns) for m, columns in marts.items()}, tuple(e for e, reads in self.exposures.items() if reads & marts.keys()))


def gold_columns(contracts: Mapping[str, Contract]) -> GoldColumns:
    """Read all models whose Silver tables have contracts; once for each state of the dbt project. Raises `SetupError` when dbt can't compile it."""
    compiled = compiled_path()
    silver = tuple((str(c.silver), tuple(f.name for f in silver_fields(c))) for c in contracts.values())
    stamp = compiled.stat().st_mtime
    return _read(compiled, stamp, served(models(compiled, stamp), contracts), silver)


@lru_cache(maxsize=2)
def _read(compiled: Path, stamp: float, all_models: tuple[Model, ...], silver: tuple[tuple[str, tuple[str, ...]], ...]) -> GoldColumns:
    from sqlglot.errors import SqlglotError  # loaded on first use, as it is seldom needed

    from lakehouse.gold.query import Made, made_of

    manifest = json.loads(compiled.read_text())
    nodes = {n["name"]: n for n in manifest["nodes"].values() if n["resource_type"] == "model"}
    tables: dict[str, tuple[str, ...]] = dict(silver)
    lineage: dict[Ref, frozenset[Ref]] = {}
    unreadable: dict[str, str] = {}
    copies: dict[Ref, frozenset[Ref]] = {}
    equal: dict[str, frozenset[frozenset[Ref]]] = {}
    for model in all_models:
        name = f"{model.schema}.{model.name}"
        try:
            made = made_of(nodes[model.name]["compiled_code"], tables)
        except SqlglotError as error:
            unreadable[name] = str(error).splitlines()[0]
            anything = frozenset(Ref(f"silver.{s}", c) for s in model.sources for c in (*tables[f"silver.{s}"], ROWS))
            made = Made(dict.fromkeys(nodes[model.name]["columns"], anything), anything)
        tables[name] = tuple(made.columns)
        lineage |= {Ref(name, column): sources for column, sources in made.columns.items()} | {Ref(name, ROWS): made.rows}
        copies |= {Ref(name, column): sources for column, sources in made.copies.items()}
        equal[name] = made.equal
    return GoldColumns(Lineage(lineage), _exposures(manifest), unreadable, copies, equal)


def _exposures(manifest: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    names = {i: f"{n['schema']}.{n['name']}" for i, n in manifest["nodes"].items() if n["resource_type"] == "model"}
    return {e["name"]: frozenset(names[i] for i in e["depends_on"]["nodes"] if i in names) for e in manifest["exposures"].values()}
