"""`status --watch`: what moves is shown as it moves."""

from __future__ import annotations

import pytest
from rich.console import Console

from lakehouse.cli import watch
from lakehouse.cli.status import Found
from lakehouse.cli.watch import Seen, drawn


def test_rows_a_second_lag_and_latency_are_shown() -> None:
    before = Seen(10.0, [Found("bronze", "reading", rows=1_000), Found("silver", "reading", rows=500)])
    found = [Found("bronze", "reading", rows=3_000, lag="1 file, 3 B"), Found("silver", "reading", rows=500, latency_seconds=7.2, quarantined=12)]
    console = Console(width=120)
    with console.capture() as captured:
        console.print(drawn(Seen(12.0, found), before))
    bronze, silver = (line.split() for line in captured.get().splitlines() if "reading" in line)
    assert bronze == ["bronze.reading", "3,000", "1,000", "1", "file,", "3", "B"]
    assert silver == ["silver.reading", "500", "7", "s", "12"]


def test_quarantine_has_a_line_of_its_own_only_when_something_is_amiss() -> None:
    found = [Found("quarantine", "reading", rows=3), Found("quarantine", "click", rows=3, lag="7 records"), Found("quarantine", "order", problem="no room")]
    console = Console(width=120)
    with console.capture() as captured:
        console.print(drawn(Seen(12.0, found), Seen(10.0, found)))
    assert [line.split()[0] for line in captured.get().splitlines() if "quarantine" in line] == ["quarantine.click", "quarantine.order"]


def test_it_looks_again_and_again_and_ends_with_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "SECONDS", 0.0)
    looks: list[int] = []

    def look() -> list[Found]:
        looks.append(len(looks))
        if len(looks) == 4:
            raise KeyboardInterrupt
        return [Found("bronze", "reading", rows=len(looks))]

    watch.watch(look)
    assert len(looks) == 4
