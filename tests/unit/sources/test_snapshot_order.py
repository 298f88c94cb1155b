"""Snapshots in any order of arrival leave in Bronze what comparing them in order gives; comparing itself is played in plain Python."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, patch

from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.contracts.model import Contract, FileSource
from lakehouse.engine.metadata import Note, TableState
from lakehouse.sources.files import Files, snapshots
from lakehouse.sources.files.differences import Counts, Place, Records, micros
from lakehouse.tables import Table

Rows = list[tuple[int, str, str]]  # number of the snapshot, key, text


@dataclass
class Bronze:
    """The table: (place, key, operation, text) and what its last note says."""

    records: set[tuple[int, str, str, str]] = field(default_factory=set)
    positions: dict[str, Any] = field(default_factory=dict)

    def state(self) -> TableState | None:
        return TableState(Table("bronze", "stock"), "x", 3, 2, Note("r", "1.0.0", 1, positions=dict(self.positions))) if self.positions else None

    def as_of(self, place: int) -> dict[str, str]:
        newest: dict[str, tuple[int, str, str]] = {}
        for at, key, op, text in self.records:
            if at <= place:
                newest[key] = max(newest.get(key, (0, "", "")), (at, op, text))
        return {key: text for key, (_, op, text) in newest.items() if op != "delete"}

    def write(self, batch: Any, *, always: bool = False) -> None:
        where = batch.portion.replaces
        assert where or not always
        if where is not None:
            places = {int(p) for p in re.findall(r"\b\d{15,}\b", where)}
            days = set(re.findall(r"date'(.*?)'", where))

            def inside(record: tuple[int, str, str, str]) -> bool:
                return record[0] in places or f"{datetime.fromtimestamp((record[0] + 1) / 1e6, UTC):%Y-%m-%d}" in days

            assert all(map(inside, batch.rows)), "Delta refuses rows that are not of what is replaced"
            self.records = {r for r in self.records if not inside(r)}
        assert not self.records & set(batch.rows)
        self.records |= set(batch.rows)
        self.positions |= batch.portion.positions


BRONZE = Bronze()


def read(_spark: Any, source: FileSource, _start: date, files: Sequence[Any]) -> tuple[Any, Any, tuple[()]]:
    rows = [json.loads(line) for f in files for line in (Path(source.path) / f.path).read_text().splitlines()]
    return (rows if files else None), files, ()


def line(_spark: Any, _contract: Any, _source: Any, _state: Any, read_: Mapping[datetime, Records], moments: Mapping[int, datetime]) -> Rows | None:
    rows: Rows = []
    for n, moment in moments.items():
        held = {r["id"]: r["v"] for r in read_[moment].rows or []} if moment in read_ else BRONZE.as_of(micros(moment))  # type: ignore[index,union-attr]
        rows += [(n, key, text) for key, text in held.items()]
    return rows or None


def count(rows: Rows) -> dict[int, Counts]:
    keys = {n: {k for m, k, _ in rows if m == n} for n, _, _ in rows}
    return {n: Counts(len(own), len(own - keys.get(n + 1, set()))) for n, own in keys.items()}


def told(_spark: Any, rows: Rows, places: Sequence[Place]) -> list[tuple[int, str, str, str]]:
    there = {(n, key): text for n, key, text in rows}
    at = {p.number: micros(p.moment) for p in places}
    upserts = [(at[n], k, "update" if (n - 1, k) in there else "insert", t) for (n, k), t in there.items() if n in at and there.get((n - 1, k)) != t]
    return upserts + [(at[n + 1] - 1, k, "delete", t) for (n, k), t in there.items() if n + 1 in at and (n + 1, k) not in there]


def in_order(held: Mapping[int, Mapping[str, str]]) -> set[tuple[int, str, str, str]]:
    found, before = set(), dict[str, str]()
    for number in sorted(held):
        place, now = micros(datetime(2026, 1, number, tzinfo=UTC)), held[number]
        found |= {(place, k, "update" if k in before else "insert", t) for k, t in now.items() if before.get(k) != t}
        found |= {(place - 1, k, "delete", t) for k, t in before.items() if k not in now}
        before = dict(now)
    return found


ROWS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xy"), max_size=3)
STEPS = st.lists(st.tuples(st.integers(1, 7), ROWS, st.booleans()), min_size=1, max_size=12)


@given(steps=STEPS, again=st.sets(st.integers(1, 7)), dropped=st.sets(st.integers(1, 7), max_size=2))
@settings(max_examples=25, deadline=None)
def test_arrivals_changes_rebuilds_and_what_is_given_up_leave_what_comparing_in_order_gives(steps: Any, again: set[int], dropped: set[int]) -> None:
    global BRONZE  # noqa: PLW0603 - the functions above stand in for ones that have no table at hand
    BRONZE, held = Bronze(), dict[int, dict[str, str]]()
    with tempfile.TemporaryDirectory() as folder, _played():
        source = FileSource(path=folder, format="json", lookback_days=3650, compared=True, max_gone=1.0)
        files = Files(Contract("stock", "1.0.0", "test", "entity", (), ("id",), source, date(2026, 1, 1), Path("stock.odcs.yaml")), source)
        for step, (number, rows, synced) in enumerate(steps):
            held[number] = {"z": "always", **rows}
            _put(Path(folder), number, held[number], step)
            if synced:
                _sync(files)
        _sync(files)
        assert BRONZE.records == in_order(held)
        assert files.look(BRONZE.state()).portions == ()
        _again(files, again)
        assert BRONZE.records == in_order(held)
        for number in dropped & set(held):
            (Path(folder) / f"dt=2026-01-{number:02d}/a.json").unlink()
            del held[number]
        _again(files, dropped, force=True)
        assert BRONZE.records == in_order(held)


def _played() -> ExitStack:
    """Plain Python in the places of Spark and Delta."""
    stack = ExitStack()
    stack.enter_context(patch.object(snapshots.metadata, "state", lambda _: BRONZE.state()))
    stack.enter_context(patch.multiple(snapshots, read=read, kept=nullcontext))
    stack.enter_context(patch.multiple(snapshots.differences, line=line, count=count, told=told))
    return stack


def _put(folder: Path, number: int, rows: Mapping[str, str], step: int) -> None:
    file = folder / f"dt=2026-01-{number:02d}/a.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text("".join(json.dumps({"id": k, "v": v}) + "\n" for k, v in rows.items()))
    os.utime(file, (1_770_000_000 + step, 1_770_000_000 + step))


def _spark() -> Any:
    spark = MagicMock()
    spark.table.return_value.limit.return_value = []
    return spark


def _sync(files: Files) -> None:
    for portion in files.look(BRONZE.state()).portions:
        BRONZE.write(portion.read(_spark()))


def _again(files: Files, numbers: set[int], *, force: bool = False) -> None:
    state = BRONZE.state()
    assert state is not None
    if numbers:
        (portion,) = files.again(state, [date(2026, 1, n) for n in numbers], force=force).portions
        batch = portion.read(_spark())
        if batch.rows is not None:
            BRONZE.write(batch, always=True)
