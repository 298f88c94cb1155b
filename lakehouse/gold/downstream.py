"""What lies downstream of a Silver table: dbt models and exposures (dashboards), from dbt's manifest. Not here: whether they are stale (`progress`)."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from lakehouse.gold.project import models


@dataclass(frozen=True)
class Touched:
    """Models by their table's name, and exposures, that are made of a table."""

    models: tuple[str, ...] = ()
    exposures: tuple[str, ...] = ()


def touched(manifest: Path, table: str, columns: Collection[str]) -> Touched:
    """What is made of these columns of a Silver table (`*`: of which rows it has), at whatever distance; of no column nothing is.

    By tables: a model that reads the table counts, whichever columns it reads. Column lineage makes this exact, here and nowhere else.
    """
    if not columns:
        return Touched()
    found = {m.name: f"{m.schema}.{m.name}" for m in models(manifest, manifest.stat().st_mtime) if table in m.sources}
    exposures = json.loads(manifest.read_text("utf-8"))["exposures"].values()
    reading = {e["name"] for e in exposures if {node.rpartition(".")[2] for node in e["depends_on"]["nodes"]} & set(found)}
    return Touched(tuple(found.values()), tuple(sorted(reading)))
