"""How far a table is behind: records and time, told by the logs of real Delta tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, write_deltalake

from lakehouse.engine import metadata
from lakehouse.engine.lag import Lag, lag
from lakehouse.engine.metadata import Note, TableState
from lakehouse.settings import settings
from lakehouse.tables import Table

pytestmark = pytest.mark.usefixtures("home")

SOURCE, TARGET = Table("bronze", "t"), Table("silver", "t")


def write(table: Table, rows: int, consumed: int | None = None) -> None:
    """One commit of so many rows; its note says up to which version the source is in."""
    told: dict[str, Any] = {"consumed": {str(SOURCE): (state(SOURCE).id, consumed)}} if consumed is not None else {}
    commit = CommitProperties(custom_metadata={"userMetadata": Note("run", "1.0.0", -1, **told).to_json()})
    write_deltalake(table.location(settings().warehouse), pa.table({"n": list(range(rows))}), mode="append", commit_properties=commit)


def state(table: Table) -> TableState:
    found = metadata.state(table)
    assert found is not None
    return found


def test_a_table_that_was_never_built_lacks_everything() -> None:
    write(SOURCE, 3)
    write(SOURCE, 4)
    assert lag(None, state(SOURCE)) == Lag(7)


def test_a_table_lacks_the_records_of_the_commits_it_has_not_consumed_since_the_first_of_them() -> None:
    began = datetime.now(UTC) - timedelta(seconds=1)
    for rows in (3, 4, 5):
        write(SOURCE, rows)
    write(TARGET, 1, consumed=0)
    missing = lag(state(TARGET), state(SOURCE))
    assert missing.records == 9 and missing.since is not None
    assert began <= missing.since <= datetime.now(UTC)
    assert missing.seconds(missing.since + timedelta(seconds=90)) == 90
    write(TARGET, 1, consumed=2)
    assert lag(state(TARGET), state(SOURCE)) == Lag(0, None)


def test_maintenance_of_the_source_adds_nothing_to_wait_for() -> None:
    write(SOURCE, 3)
    write(SOURCE, 4)
    write(TARGET, 1, consumed=1)
    DeltaTable(SOURCE.location(settings().warehouse)).optimize.compact()
    assert lag(state(TARGET), state(SOURCE)) == Lag(0, None)


def test_where_the_log_is_gone_the_number_is_unknown() -> None:
    for rows in (3, 4, 5):
        write(SOURCE, rows)
    write(TARGET, 1, consumed=0)
    source = state(SOURCE)
    (Path(SOURCE.location(settings().warehouse)) / "_delta_log" / f"{1:020d}.json").unlink()
    assert lag(state(TARGET), source).records is None


def test_maintenance_of_the_source_is_nothing_to_take_in() -> None:
    for rows in (3, 4):
        write(SOURCE, rows)
    write(TARGET, 1, consumed=1)
    DeltaTable(SOURCE.location(settings().warehouse)).optimize.compact()
    source = state(SOURCE)
    assert (source.version, source.data) == (2, 1)
    assert state(TARGET).holds(source)
    assert lag(state(TARGET), source) == Lag()
    write(SOURCE, 5)
    assert not state(TARGET).holds(state(SOURCE))
    assert lag(state(TARGET), state(SOURCE)).records == 5


def test_progress_is_read_over_any_amount_of_maintenance() -> None:
    write(SOURCE, 3)
    write(TARGET, 1, consumed=0)
    table = DeltaTable(TARGET.location(settings().warehouse))
    for n in range(20):
        table.alter.set_table_properties({"delta.logRetentionDuration": f"interval {30 + n} days"})
    assert state(TARGET).holds(state(SOURCE))
    assert (state(TARGET).version, state(TARGET).data) == (20, 0)
