"""The dbt project as the platform needs it: its manifest, and which models are marts by day, over which Silver tables.

Not here: running dbt (`gold.dbt`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from lakehouse.contracts.model import Contract
from lakehouse.errors import SetupError
from lakehouse.gold import dbt
from lakehouse.settings import settings
from lakehouse.tables import Table

_IN_PLACE = ("view", "ephemeral")  # what reads these reads what they are made of
_DBT = ("dbt", "dbt_spark")  # packages


@dataclass(frozen=True)
class Reach:
    """The Silver tables that a model is made from, at whatever distance, and how many days before and after its own each of its days reads.

    `whole`: those of which each of its days may read all days, since a mart that is made whole lies between.
    """

    sources: frozenset[str] = frozenset()
    before: int = 0
    after: int = 0
    whole: frozenset[str] = frozenset()

    def beyond(self, parents: Iterable[Reach]) -> Reach:
        """The reach of a model with this one of its own, above these parents."""
        found = list(parents)
        sources, whole = self.sources.union(*(p.sources for p in found)), self.whole.union(*(p.whole for p in found))
        before, after = (own + max(further, default=0) for own, further in ((self.before, (p.before for p in found)), (self.after, (p.after for p in found))))
        return Reach(sources, before, after, whole)

    def concerned(self, dates: Iterable[date]) -> frozenset[date]:
        """The model's days that are made from any of these days of Silver."""
        return frozenset(d + timedelta(days=n) for d in dates for n in range(-self.after, self.before + 1))


@dataclass(frozen=True)
class Model:
    """A dbt model that becomes a table or view. `code` changes with its SQL, the project's macros in it, the days it reads, and with the code of the
    models below it.

    `domains`: the domain of each of its Silver tables, as the dbt sources file says (another lake's table of that name is another table).
    `parents`: the tables of Gold that it reads, itself or through views. `others`: what else it is made from, at whatever distance, that nothing follows.
    `declares_days`: whether it says itself which days of Silver each of its own is made from.
    """

    name: str
    schema: str
    materialized: str
    partition: str | None
    reach: Reach
    code: str
    domains: frozenset[tuple[str, str]] = frozenset()
    parents: tuple[Model, ...] = ()
    others: frozenset[str] = frozenset()
    declares_days: bool = False

    @property
    def sources(self) -> frozenset[str]:
        """The Silver tables it is made from, at whatever distance."""
        return self.reach.sources

    @property
    def by_day(self) -> bool:
        """Whether the model is written day by day."""
        return self.materialized == "incremental"

    @property
    def read(self) -> Reach:
        """What a model that reads this one reaches through it."""
        return self.reach if self.by_day or self.materialized in _IN_PLACE else Reach(self.sources, whole=self.sources)

    @property
    def table(self) -> Table:
        """The model's table in Gold."""
        return Table("gold", self.name)


def manifest_path() -> Path:
    """The manifest, made anew by `dbt parse` when a file of the project is younger, and the models' SQL with it. Touches no database."""
    project = settings().dbt_project
    manifest = project / "target" / "manifest.json"
    if not dbt.is_current(manifest):
        dbt.parsed(project)
        with suppress(SetupError):  # a project that dbt can't compile without an engine is built all the same
            compiled_path()
    return manifest


def is_compiled() -> bool:
    """Whether `compiled_path` has nothing to do."""
    return dbt.is_current(settings().dbt_project / "target" / "compiled.json")


def compiled_path() -> Path:
    """The manifest with every model's SQL as Spark would get it, for all days; made anew by `dbt compile` like the manifest. Touches no database."""
    project = settings().dbt_project
    compiled = project / "target" / "compiled.json"
    if not dbt.is_current(compiled):
        dbt.compile_to(compiled, project)
    return compiled


@lru_cache(maxsize=4)
def models(manifest: Path, stamp: float = 0.0) -> tuple[Model, ...]:
    """All models that become tables or views, upstream first. `stamp` only tells versions of the file apart."""
    found = json.loads(manifest.read_text())
    nodes = {i: n for i, n in found["nodes"].items() if n["resource_type"] == "model"}
    silver = {i: n for i, n in found["sources"].items() if n["schema"] == "silver"}
    sources = {i: n["name"] for i, n in silver.items()}
    domains = {n["name"]: n["config"].get("meta", {}).get("domain") for n in silver.values()}
    made: dict[str, Model] = {}

    def make(unique_id: str) -> Model:
        if unique_id not in made:
            n, below = nodes[unique_id], [make(p) for p in nodes[unique_id]["depends_on"]["nodes"] if p in nodes]
            days = n["config"].get("meta", {}).get("reads_days")
            own = Reach(frozenset(sources[p] for p in n["depends_on"]["nodes"] if p in sources), **(days or {}))
            reach, macros = own.beyond(m.read for m in below), _macros(n["depends_on"]["macros"], found["macros"])
            said = (n["checksum"]["checksum"], macros, own.before, own.after, sorted(m.code for m in below))
            code = hashlib.sha256(repr(said).encode()).hexdigest()[:12]
            homes = frozenset((s, domains[s]) for s in reach.sources if domains[s])
            parents = {p.name: p for m in below for p in (m.parents if m.materialized in _IN_PLACE else (m,))}
            unknown = [_named(p, found["sources"]) for p in n["depends_on"]["nodes"] if p not in nodes and p not in sources]
            own_way = (n["name"], n["schema"], n["config"]["materialized"], _partition(n))
            others = frozenset(unknown).union(*(m.others for m in below))
            made[unique_id] = Model(*own_way, reach, code, homes, tuple(parents.values()), others, days is not None)
        return made[unique_id]

    for unique_id in nodes:
        make(unique_id)
    return tuple(m for m in made.values() if m.materialized != "ephemeral")


def _named(unique_id: str, sources: Mapping[str, Any]) -> str:
    """What a model reads that is no model, as a person calls it: `quarantine.web_click`, `seed rates`."""
    source = sources.get(unique_id)
    return f"{source['schema']}.{source['name']}" if source else " ".join(unique_id.split(".")[::2])


def _macros(names: Iterable[str], every: Mapping[str, Any]) -> list[str]:
    """The text of macros, and of those that these call; without dbt's own, which come and go with its version."""
    seen: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in seen and name in every and every[name]["package_name"] not in _DBT:
            seen.add(name)
            waiting += every[name]["depends_on"]["macros"]
    return [every[name]["macro_sql"] for name in sorted(seen)]


def _partition(node: dict[str, dict[str, object]]) -> str | None:
    column = node["config"].get("partition_by")
    return str(column[0] if isinstance(column, list) else column) if column else None


def served(all_models: Iterable[Model], contracts: Mapping[str, Contract]) -> tuple[Model, ...]:
    """The models that can be followed in a lake with these contracts; a lake with other contracts has other marts."""
    return tuple(m for m in all_models if unserved(m, contracts) is None)


def unserved(model: Model, contracts: Mapping[str, Contract]) -> str | None:
    """Why a model is left out: its Silver tables have to have contracts, of the same domain. One that is made from nothing at all is made once."""
    own, homes = {(c.name, c.domain) for c in contracts.values()}, dict(model.domains)
    if unknown := sorted(s for s in model.sources if s not in contracts or (s in homes and (s, homes[s]) not in own)):
        return f"It reads {', '.join(f'silver.{s}' for s in unknown)}, and this lake has no such contract."
    if model.others and not model.sources:
        return f"It reads {', '.join(sorted(model.others))} and nothing of Silver, so that nobody could tell when it is stale."
    return None
