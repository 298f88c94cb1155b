"""What a table's newest commits say of it, in real Delta tables (written by delta-rs, which needs no Spark)."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, write_deltalake

from lakehouse.cli.findings import CHECKS
from lakehouse.engine import metadata
from lakehouse.engine.metadata import Note
from lakehouse.engine.outdated import outdated
from lakehouse.errors import DataError
from lakehouse.settings import settings
from lakehouse.tables import Table

pytestmark = pytest.mark.usefixtures("home")

T = Table("silver", "t")


def write(note: Note | None) -> None:
    told: Any = CommitProperties(custom_metadata={"userMetadata": note.to_json()}) if note else None
    write_deltalake(T.location(settings().warehouse), pa.table({"n": [1]}), mode="append", commit_properties=told)


def maintain(times: int) -> None:
    table = DeltaTable(T.location(settings().warehouse))
    for n in range(times):
        table.alter.set_table_properties({"delta.logRetentionDuration": f"interval {30 + n} days"})


def state() -> metadata.TableState:
    found = metadata.state(T)
    assert found is not None
    return found


@pytest.mark.parametrize("upkeep", [0, 3, 15, 16, 40])
def test_upkeep_hides_neither_the_note_nor_the_newest_rows(upkeep: int) -> None:
    first, second = Note("first", "1.0.0", -1), Note("second", "1.0.0", 0)
    write(first)
    write(second)
    maintain(upkeep)
    assert (state().version, state().note, state().data) == (1 + upkeep, second, 1)


def test_the_same_table_has_the_same_state_however_often_it_is_opened() -> None:
    write(Note("first", "1.0.0", -1, {f"bronze.t{n}": ("id", n) for n in range(5)}))
    DeltaTable(T.location(settings().warehouse)).alter.set_table_properties({f"lakehouse.{n}": n for n in "abcdef"}, raise_if_not_exists=False)
    assert len({str(state()) for _ in range(20)}) == 1


def test_rows_that_somebody_else_wrote_leave_no_note_to_trust() -> None:
    write(Note("first", "1.0.0", -1))
    write(None)
    maintain(2)
    assert (state().note, state().data) == (None, 1)


@pytest.mark.parametrize("planned", [0, 1, 3])
def test_a_note_that_was_planned_before_the_table_went_back_is_not_of_what_it_holds(planned: int) -> None:
    old = Note("first", "1.0.0", -1)
    write(old)
    write(Note("second", "1.0.0", 0))
    DeltaTable(T.location(settings().warehouse)).restore(0)
    assert (state().version, state().note) == (2, old)
    maintain(18)
    write(Note("late", "1.0.0", planned))
    assert state().note == (Note("late", "1.0.0", planned) if planned >= 2 else None)


def test_a_table_that_went_back_to_a_time_has_no_note_to_trust_and_all_of_it_is_outdated() -> None:
    write(Note("first", "1.0.0", -1))
    time.sleep(0.05)
    between = datetime.now(UTC)
    time.sleep(0.05)
    write(Note("second", "1.0.0", 0))
    DeltaTable(T.location(settings().warehouse)).restore(between)
    assert (state().version, state().note) == (2, None)
    assert outdated(T, None, "1.0.0") == {None}
    write(Note("third", "1.0.0", 2))
    assert state().note == Note("third", "1.0.0", 2)


def test_where_only_upkeep_is_left_in_the_log_the_oldest_of_it_counts_as_the_newest_rows(home: Path) -> None:
    write(Note("first", "1.0.0", -1))
    maintain(3)
    table = DeltaTable(T.location(settings().warehouse))
    table.create_checkpoint()
    for version in (0, 1):
        (Path(T.location(settings().warehouse)) / "_delta_log" / f"{version:020d}.json").unlink()
    assert (state().note, state().data) == (None, 2)


def give_protocol(table: Table, **protocol: Any) -> None:
    """The table as if another version had written it: this stands in its log."""
    file = Path(table.location(settings().warehouse)) / "_delta_log" / f"{0:020d}.json"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    file.write_text("".join(json.dumps({"protocol": protocol} if "protocol" in line else line) + "\n" for line in lines))


@pytest.mark.parametrize(
    "protocol",
    [
        {"minReaderVersion": 99, "minWriterVersion": 99},
        {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["notYetInvented"], "writerFeatures": ["notYetInvented"]},
    ],
)
def test_a_table_of_a_newer_protocol_is_told_and_not_taken_for_one_that_is_not_there(protocol: dict[str, Any]) -> None:
    write(None)
    give_protocol(T, **protocol)
    with pytest.raises(DataError, match=r"silver\.t needs more of Delta's protocol") as told:
        metadata.state(T)
    assert "docs/deploy.md" in (told.value.next_step or "")
    (found,) = CHECKS["tables"]()
    assert (found.level, found.text) == ("problem", told.value.what)


def test_a_log_that_is_damaged_is_told_with_its_folder_and_by_doctor() -> None:
    write(None)
    file = Path(T.location(settings().warehouse)) / "_delta_log" / f"{0:020d}.json"
    file.write_text(file.read_text().replace('{"protocol"', '{"protocol'))
    with pytest.raises(DataError, match=r"The log of silver\.t can't be read") as told:
        metadata.state(T)
    assert "_delta_log" in (told.value.next_step or "")
    assert [(f.level, f.text) for f in CHECKS["tables"]()] == [("problem", told.value.what)]
