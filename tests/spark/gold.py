"""The dbt project on real tables: Silver tables as the contracts make them, rows in, dbt runs as the platform starts them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from lakehouse.contracts.model import Contract
from lakehouse.contracts.spark_schema import silver_ddl
from lakehouse.engine.launcher import ensure_engine

ROOT = Path(__file__).resolve().parents[2]


def make_silver(spark: SparkSession, contract: Contract) -> None:
    """An empty Silver table with the columns that its contract gives it, technical ones included."""
    partition = f"PARTITIONED BY ({contract.event_date})" if contract.event_date else ""
    columns = silver_ddl(contract).replace(" NOT NULL", "")
    spark.sql(f"CREATE TABLE silver.{contract.name} ({columns}) USING delta {partition}").collect()


def insert(spark: SparkSession, table: str, rows: list[dict[str, Any]]) -> None:
    names = list(rows[0])
    values = ", ".join("(" + ", ".join("NULL" if r[n] is None else f"'{r[n]}'" for n in names) + ")" for r in rows)
    spark.sql(f"INSERT INTO silver.{table} ({', '.join(names)}) VALUES {values}").collect()


def dbt(target: Path, *arguments: str, project: Path = ROOT / "dbt_project", **variables: Any) -> subprocess.CompletedProcess[str]:
    """One dbt run; `variables` reach it as the platform passes them, through the environment."""
    endpoints = ensure_engine()
    env = {**os.environ, "DBT_LAKEHOUSE_HOST": endpoints.thrift_host, "DBT_LAKEHOUSE_PORT": str(endpoints.thrift_port)}
    env |= {"DBT_TARGET_PATH": str(target), "DBT_LOG_PATH": str(target), "DBT_PROJECT_DIR": str(project), "DBT_PROFILES_DIR": str(project)}
    env |= {f"DBT_LAKEHOUSE_{name.upper()}": json.dumps(value) for name, value in variables.items()}
    command = [str(Path(sys.executable).with_name("dbt")), "--no-use-colors", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=900)


def succeed(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout[-6000:]
    return done.stdout
