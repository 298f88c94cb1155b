"""The Dagster code location as people see it: the asset graph against a reviewed text file, and what loading it touches."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from lakehouse.contracts.loader import load_contracts
from lakehouse.definitions import defs
from lakehouse.settings import PROJECT, settings

GRAPH = Path(__file__).with_name("asset_graph.txt")


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return defs()


def drawn(definitions: dg.Definitions) -> str:
    """One line an asset: key <- parents | partitions | checks (! blocking)."""
    graph = definitions.resolve_asset_graph()
    lines = []
    for key in sorted(graph.get_all_asset_keys(), key=lambda k: k.path):
        node = graph.get(key)
        parents = " ".join(sorted(p.to_user_string() for p in node.parent_keys)) or "-"
        specs = [graph.get_check_spec(k) for k in sorted(node.check_keys, key=lambda k: k.name)]
        checks = " ".join(("!" if s.blocking else "") + s.name for s in specs) or "-"
        lines.append(f"{key.to_user_string()} <- {parents} | {'daily' if node.partitions_def else 'whole'} | checks: {checks}")
    return "\n".join(lines) + "\n"


def test_the_asset_graph_is_the_reviewed_one(definitions: dg.Definitions) -> None:
    assert drawn(definitions) == GRAPH.read_text(), f"Review the change, then write it to {GRAPH.relative_to(PROJECT)}"


def test_every_contract_has_its_assets_with_owner_description_group_and_version(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for contract in load_contracts(settings().contracts).values():
        for table in (contract.bronze, contract.silver, contract.quarantine):
            node = graph.get(dg.AssetKey(table.key))
            assert node.description and node.group_name == contract.domain and node.code_version == contract.version
            assert set(node.owners) == set(contract.owners)
        columns = graph.get(dg.AssetKey(contract.silver.key)).metadata["dagster/column_schema"].columns
        assert [c.name for c in columns] == [c.name for c in contract.columns]


def test_gold_marts_have_descriptions_with_their_grain(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        if key.path[0] == "gold":
            assert "One row per" in (graph.get(key).description or ""), key


def test_sensors_run_by_default_and_steps_share_one_process(definitions: dg.Definitions) -> None:
    sensors = {s.name: s.default_status for s in definitions.sensors or ()}
    assert set(sensors.values()) == {dg.DefaultSensorStatus.RUNNING}
    assert set(sensors) == {"new_files", "gold_follows_silver", "alerts"}
    assert definitions.executor is dg.in_process_executor


def test_tables_are_kept_in_order_every_night_by_default(definitions: dg.Definitions) -> None:
    schedules = {s.name: s for s in definitions.schedules or () if isinstance(s, dg.ScheduleDefinition)}
    assert set(schedules) == {"maintenance_schedule", "files_of_long_past_days"}
    schedule = schedules["maintenance_schedule"]
    assert (schedule.cron_schedule, schedule.execution_timezone, schedule.default_status) == ("0 3 * * *", "UTC", dg.DefaultScheduleStatus.RUNNING)
    assert schedule.job_name == "maintenance"


def test_loading_opens_no_connection_and_starts_no_spark() -> None:
    code = (
        "import socket, sys\n"
        "class Closed(socket.socket):\n"
        "    def connect(self, address): raise AssertionError(f'connects to {address}')\n"
        "socket.socket = Closed\n"
        "from lakehouse.definitions import defs\n"
        "defs()\n"
        "from pyspark.sql import SparkSession\n"
        "assert SparkSession.getActiveSession() is None\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_definitions_is_short() -> None:
    assert len((PROJECT / "lakehouse/definitions.py").read_text().splitlines()) < 60
