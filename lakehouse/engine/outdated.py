"""Which partitions of a table hold rows that were made under another version of its contract or code, as its own log tells; without Spark.

Not here: what a table has consumed (`metadata`), building it anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakehouse.engine.metadata import Day, Note, changes, open_table, restored, rows_by_partition
from lakehouse.tables import Table


def outdated(table: Table, column: str | None, version: str) -> frozenset[Day]:
    """The partitions that stood before the notes began to name `version`, and were not replaced as a whole since.

    An increment under the new version leaves a partition's older rows as they are, so only a replacement counts. Where the log does not reach
    back so far, what was not replaced within it is outdated. Without `column` (an unpartitioned table) the partition is None.
    """
    delta = open_table(table)
    if delta is None:
        return frozenset()
    entries = {int(e["version"]): e for e in delta.history()}
    replaced: set[Day] = set()
    at = delta.version()
    while at >= 0:
        entry = entries.get(at)
        back = restored(entry) if entry is not None and entry.get("operation") == "RESTORE" else at
        if entry is None or back is None:  # cleaned away, or gone back to nobody knows which version
            return frozenset(rows_by_partition(delta, column)) - replaced
        if back != at:
            at = back
            continue
        note = Note.parse(entry.get("userMetadata"))
        if note is not None and note.contract != version:
            return frozenset(_partitions(table, at, column)) - replaced
        if note is not None and _replaces(entry):
            touched = changes(table, at - 1, at, column)
            replaced |= touched.days if touched else set()
        at -= 1
    return frozenset()


def _partitions(table: Table, version: int, column: str | None) -> Mapping[Day, int]:
    """The partitions with rows at a version; at the newest where that one is gone."""
    delta = open_table(table)
    assert delta is not None
    try:
        delta.load_as_version(version)
    except (OSError, ValueError, RuntimeError):  # delta-rs' errors for files that were cleaned away
        delta = open_table(table)
        assert delta is not None
    return rows_by_partition(delta, column)


def _replaces(entry: Mapping[str, Any]) -> bool:
    """Whether a commit wrote its partitions as a whole."""
    return "TABLE AS SELECT" in str(entry.get("operation")) or (entry.get("operationParameters") or {}).get("mode") == "Overwrite"
