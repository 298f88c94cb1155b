"""What a look at topics decides, from the table's progress and the brokers' offsets alone."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from lakehouse.contracts.model import Contract, KafkaSource
from lakehouse.engine.metadata import Note, TableState
from lakehouse.errors import SourceError
from lakehouse.sources import kafka
from lakehouse.sources.kafka import Kafka
from lakehouse.sources.kafka.broker import Topics
from lakehouse.tables import Table

SOURCE = KafkaSource("b:1", topic="t", max_records=10)
CONTRACT = Contract("readings", "1.0.0", "test", "event", (), ("id",), SOURCE, date(2026, 1, 1), Path("readings.odcs.yaml"))


def look(monkeypatch: pytest.MonkeyPatch, positions: dict[str, Any] | None, offsets: dict[tuple[str, int], tuple[int, int]], **options: Any) -> kafka.Look:
    monkeypatch.setattr(kafka.broker, "look", lambda _: Topics({"t": "id1"}, offsets))
    state = None if positions is None else TableState(Table("bronze", "readings"), "x", 3, 2, Note("r", "1.0.0", 1, positions=positions))
    return Kafka(CONTRACT, SOURCE).look(state, **options)


def test_a_new_table_begins_with_what_there_is_and_notes_every_partition(monkeypatch: pytest.MonkeyPatch) -> None:
    (portion,) = look(monkeypatch, None, {("t", 0): (5, 8), ("t", 1): (0, 0)}).portions
    assert portion.ranges == {("t", 0): (5, 8)}  # type: ignore[attr-defined]
    assert portion.positions == {"t/0": 8, "t/1": 0, "t": "id1"}


def test_portions_are_bounded_share_the_partitions_and_join_without_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    found = look(monkeypatch, {"t/0": 2, "t/1": 0, "t": "id1"}, {("t", 0): (0, 33), ("t", 1): (0, 4)})
    assert found.amount.records == 35
    assert all(p.amount.records <= 11 for p in found.portions) and len(found.portions) == 4
    for part in (("t", 0), ("t", 1)):
        ranges = [p.ranges[part] for p in found.portions if part in p.ranges]  # type: ignore[attr-defined]
        assert all(a[1] == b[0] for a, b in zip(ranges, ranges[1:], strict=False))
        assert (ranges[0][0], ranges[-1][1]) == ((2, 33) if part[1] == 0 else (0, 4))
    assert found.portions[-1].positions == {"t/0": 33, "t/1": 4, "t": "id1"}


def test_what_grows_all_the_time_is_no_part_of_the_works_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    few, more = (look(monkeypatch, {"t/0": 0, "t": "id1"}, {("t", 0): (0, n)}).fingerprint for n in (5, 9))
    assert few == more


@pytest.mark.parametrize(
    ("positions", "offsets", "says", "goes_on_at"),
    [
        ({"t/0": 3, "t": "id1"}, (7, 9), "offsets 3 to 6 of t/0 (4 records) have expired", 7),
        ({"t/1": 3, "t": "id1"}, (2, 9), "offsets 0 to 1 of t/0 (2 records) have expired", 2),  # a partition added since, and expired since
        ({"t/0": 30, "t": "id1"}, (0, 9), "was read up to offset 29 and now ends at 8", 0),
        ({"t/0": 3, "t": "id0"}, (0, 9), "topic t was deleted and made anew", 0),
    ],
)
def test_what_was_lost_unread_is_named_and_passed_over_only_when_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, positions: dict[str, Any], offsets: tuple[int, int], says: str, goes_on_at: int
) -> None:
    there = {("t", 0): offsets} | ({("t", 1): (0, 3)} if "t/1" in positions else {})
    with pytest.raises(SourceError) as caught:
        look(monkeypatch, positions, there)
    assert says in str(caught.value)
    found = look(monkeypatch, positions, there, force=True)
    assert any(says in text for text in found.passed_over)
    assert found.portions[0].ranges[("t", 0)] == (goes_on_at, 9)  # type: ignore[attr-defined]


def test_a_rebuild_keeps_the_progress_as_it_is_so_that_a_topic_made_anew_is_still_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka.broker, "look", lambda _: Topics({"t": "id2"}, {("t", 0): (0, 9)}))
    monkeypatch.setattr(kafka.broker, "since", lambda *_: {})
    monkeypatch.setattr(kafka, "held_by", lambda *_: {})
    positions: dict[str, int | str] = {"t/0": 3, "t": "id1"}
    state = TableState(Table("bronze", "readings"), "x", 3, 2, Note("r", "1.0.0", 1, positions=positions))
    (portion,) = Kafka(CONTRACT, SOURCE).again(state, [date(2026, 1, 5)]).portions
    assert portion.positions == positions


def test_a_partition_that_comes_back_to_a_topic_made_anew_is_read_from_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    before: dict[str, Any] = {"t/0": 30, "t/1": 100, "t": "id0"}
    made_anew = look(monkeypatch, before, {("t", 0): (0, 9)}, force=True).portions[-1].positions
    portions = look(monkeypatch, {**before, **made_anew}, {("t", 0): (0, 9), ("t", 1): (0, 150)}).portions
    ranges = [p.ranges.get(("t", 1)) for p in portions]  # type: ignore[attr-defined]
    assert (ranges[0][0], ranges[-1][1], portions[-1].positions["t/1"]) == (0, 150, 150)  # type: ignore[index]
