"""How far a table has read each topic partition: from its newest note, and where there is none to trust, from its own rows.

Not here: what the brokers have (`broker`), what to do about it (`Kafka`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pyarrow.compute as pc

from lakehouse.engine import metadata
from lakehouse.engine.metadata import Day, Position, TableState
from lakehouse.sources.held import columns
from lakehouse.sources.kafka.broker import Part, Topics


@dataclass(frozen=True)
class Held:
    """The records of one topic partition that a table holds: their first and last offset, and how many."""

    first: int
    last: int
    count: int


@dataclass(frozen=True)
class Progress:
    """The next offset of each topic partition known, and the ids of the topics as they were read (not known from rows)."""

    offsets: Mapping[Part, int]
    ids: Mapping[str, str]

    @property
    def topics(self) -> frozenset[str]:
        """The topics of which anything is known."""
        return frozenset(topic for topic, _ in self.offsets)

    def after(self, reached: Mapping[Part, int], topics: Topics) -> Progress:
        """The progress once these offsets of these topics are reached.

        A partition that a topic had before it was made anew, and has no more, begins at 0 should it come again.
        """
        remade = {topic for topic, id_ in topics.ids.items() if self.ids.get(topic, id_) != id_}
        gone = {part: 0 for part in self.offsets if part[0] in remade and part not in topics.offsets}
        return Progress({**self.offsets, **gone, **reached}, {**self.ids, **topics.ids})

    @property
    def positions(self) -> dict[str, Position]:
        """As the note keeps it: topic/partition → next offset, topic → id."""
        return {**{named(part): offset for part, offset in self.offsets.items()}, **self.ids}


def named(part: Part) -> str:
    """A topic partition as `_source` has it."""
    return f"{part[0]}/{part[1]}"


def progress_of(state: TableState | None) -> Progress:
    """The progress of a table in this state. Reads its rows only when its note can't be trusted."""
    if state is None:
        return Progress({}, {})
    if state.note is None:
        return Progress({part: held.last + 1 for part, held in held_by(state, None).items()}, {})
    offsets = {_part(name): at for name, at in state.note.positions.items() if isinstance(at, int)}
    return Progress(offsets, {name: at for name, at in state.note.positions.items() if isinstance(at, str)})


def held_by(state: TableState, days: Collection[Day] | None) -> dict[Part, Held]:
    """The records of these Bronze days (None: all) by topic partition, without Spark."""
    found: dict[Part, Held] = {}
    table = metadata.open_table(state.table, state.version)
    for read, _ in columns(table, days, "_source", "_source_position") if table is not None else ():
        grouped = read.group_by("_source").aggregate([("_source_position", "min"), ("_source_position", "max"), ("_source_position", "count")])
        names = pc.cast(grouped["_source"], "string").to_pylist()
        figures = (grouped[f"_source_position_{f}"].to_pylist() for f in ("min", "max", "count"))
        for name, first, last, count in zip(names, *figures, strict=True):
            part = _part(name)
            old = found.get(part, Held(first, last, 0))
            found[part] = Held(min(old.first, first), max(old.last, last), old.count + count)
    return found


def _part(name: str) -> Part:
    topic, _, partition = name.rpartition("/")
    return topic, int(partition)
