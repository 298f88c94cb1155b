"""A lake of its own for each module, driven through the command line as a user would; what the tables hold is read by DuckDB, not by the platform."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
from deltalake import DeltaTable

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Lake:
    """A lake and the commands on it."""

    home: Path
    env: dict[str, str]

    def run(self, *words: str, check: bool = True, timeout: float = 1200) -> subprocess.CompletedProcess[str]:
        """One `lakehouse` command."""
        command = [sys.executable, "-m", "lakehouse", *words]
        done = subprocess.run(command, env=self.env, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False)
        if check and done.returncode:
            raise AssertionError(f"lakehouse {' '.join(words)} ended with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
        return done

    def start(self, *words: str, output: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
        """The same, in the background."""
        command = [sys.executable, "-m", "lakehouse", *words]
        return subprocess.Popen(command, env=self.env, cwd=ROOT, stdout=output, stderr=subprocess.DEVNULL, text=True)

    @property
    def landing(self) -> Path:
        """Where the generator's files are."""
        return self.home / "landing"

    def table(self, layer: str, name: str) -> DeltaTable:
        """A table as it is now."""
        return DeltaTable(self.home / "warehouse" / layer / name)

    def sql(self, table: str, query: str) -> list[tuple[Any, ...]]:
        """A query over the newest version of a table, which it calls `t`; read from its files by DuckDB."""
        t = self.table(*table.split(".")).to_pyarrow_dataset()
        with duckdb.connect() as connection:
            connection.execute("set timezone = 'UTC'")
            connection.register("t", t)
            return connection.execute(query).fetchall()

    def engine_pid(self) -> int | None:
        """The engine's process."""
        try:
            return int(json.loads((self.home / "engine.json").read_text())["pid"])
        except (OSError, ValueError, KeyError):
            return None


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    home = tmp_path_factory.mktemp("lake")
    env = {k: v for k, v in os.environ.items() if not k.startswith(("LAKEHOUSE_", "DAGSTER_"))}
    found = Lake(home, {**env, "LAKEHOUSE_HOME": str(home), "LAKEHOUSE_ENGINE_HEAP": "3g", "LAKEHOUSE_ENGINE_START_TIMEOUT": "400"})
    yield found
    found.run("down", check=False)
    found.run("engine", "stop", check=False)
