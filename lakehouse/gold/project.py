"""The dbt project as the platform needs it: its manifest, and which models are marts by day, over which Silver tables.

Not here: running dbt (`gold.assets`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from lakehouse.errors import SetupError
from lakehouse.settings import settings
from lakehouse.tables import Table


@dataclass(frozen=True)
class Model:
    """A dbt model that becomes a table or view; `sources` are the Silver tables it is made from, at whatever distance."""

    name: str
    schema: str
    materialized: str
    partition: str | None
    sources: frozenset[str]

    @property
    def by_day(self) -> bool:
        """Whether the model is written day by day."""
        return self.materialized == "incremental"

    @property
    def table(self) -> Table:
        """The model's table in Gold."""
        return Table("gold", self.name)


def manifest_path() -> Path:
    """The manifest, made anew by `dbt parse` when a file of the project is younger. Touches no database."""
    project = settings().dbt_project
    manifest = project / "target" / "manifest.json"
    if not is_current(manifest):
        _parse(project)
    return manifest


def is_current(manifest: Path) -> bool:
    """Whether the manifest is there, and no file of its project is younger."""
    return manifest.exists() and manifest.stat().st_mtime >= _youngest(manifest.parents[1])


def _youngest(project: Path) -> float:
    folders = [project / name for name in ("models", "macros", "tests")]
    files = [project / "dbt_project.yml", project / "profiles.yml", *(f for folder in folders if folder.is_dir() for f in folder.rglob("*"))]
    return max((f.stat().st_mtime for f in files if f.exists()), default=0.0)


def _parse(project: Path) -> None:
    if not (project / "dbt_project.yml").is_file():
        raise SetupError(f"There is no dbt project in {project}.", next_step="Set LAKEHOUSE_DBT_PROJECT to the folder with dbt_project.yml.")
    dbt = Path(sys.executable).with_name("dbt")
    command = [str(dbt), "parse", "--quiet", "--project-dir", str(project), "--profiles-dir", str(project)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}, check=False)
    if done.returncode:
        raise SetupError(
            f"dbt can't parse the project in {project}:\n{(done.stdout + done.stderr).strip()[-2000:]}",
            next_step="Correct the model, then run the same command again.",
        )
    # dbt leaves the file alone when nothing it holds has changed
    (project / "target" / "manifest.json").touch()


@lru_cache(maxsize=4)
def models(manifest: Path, stamp: float = 0.0) -> tuple[Model, ...]:
    """All models that become tables or views, upstream first. `stamp` only tells versions of the file apart."""
    found = json.loads(manifest.read_text())
    nodes = {i: n for i, n in found["nodes"].items() if n["resource_type"] == "model"}
    sources = {i: n["name"] for i, n in found["sources"].items()}
    resolved: dict[str, frozenset[str]] = {}

    def reach(unique_id: str) -> frozenset[str]:
        if unique_id not in resolved:
            parents = nodes[unique_id]["depends_on"]["nodes"]
            own = {sources[p] for p in parents if p in sources}
            resolved[unique_id] = frozenset(own).union(*(reach(p) for p in parents if p in nodes))
        return resolved[unique_id]

    for unique_id in nodes:
        reach(unique_id)
    kept = [(i, nodes[i]) for i in resolved if nodes[i]["config"]["materialized"] != "ephemeral"]
    return tuple(Model(n["name"], n["schema"], n["config"]["materialized"], _partition(n), resolved[i]) for i, n in kept)


def _partition(node: dict[str, dict[str, object]]) -> str | None:
    column = node["config"].get("partition_by")
    return str(column[0] if isinstance(column, list) else column) if column else None


def served(all_models: Collection[Model], contracts: Collection[str]) -> tuple[Model, ...]:
    """The models whose Silver tables all have a contract; a lake with other contracts has other marts."""
    return tuple(m for m in all_models if m.sources and m.sources <= set(contracts))
