"""Which date a record belongs to, and which changes of a contract move records to others."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from types import ModuleType
from typing import Any

import pytest

from lakehouse.contracts.model import Column, Contract
from lakehouse.silver import dates
from lakehouse.silver.dates import bronze_days, event_dates, judged_by, placed_by
from tests.spark.conftest import entities, events, rule

EVENTS = events("x")  # day = cast(at as date); lateness: 2 days
DAY = date(2026, 1, 10)


def changed(column: str, **to: Any) -> Contract:
    return replace(EVENTS, columns=tuple(replace(c, **to) if c.name == column else c for c in EVENTS.columns))


def test_days_and_dates_reach_each_other_and_no_day_is_a_date_of_its_own() -> None:
    assert event_dates(EVENTS, {DAY, None}) == {None, *(DAY + timedelta(days=n) for n in (-2, -1, 0, 1))}
    assert bronze_days(EVENTS, {DAY, None}) == {None, *(DAY + timedelta(days=n) for n in (-1, 0, 1, 2))}
    for day in bronze_days(EVENTS, {DAY}):
        assert DAY in event_dates(EVENTS, {day})


@pytest.mark.parametrize(
    "contract",
    [
        changed("value", maximum=50.0),
        changed("value", type="float"),
        changed("at", required=False, description="When."),
        replace(EVENTS, rules=(rule("small", "value < 5"),), version="2.0.0"),
        replace(EVENTS, columns=(*EVENTS.columns, Column("more", "string", "string"))),
    ],
    ids=["range", "type of another column", "required", "rule", "column"],
)
def test_a_rule_moves_no_record_but_judges_it_otherwise(contract: Contract) -> None:
    assert placed_by(contract) == placed_by(EVENTS)
    assert judged_by(contract) != judged_by(EVENTS)


@pytest.mark.parametrize(
    "contract",
    [
        changed("at", timezone="Europe/Berlin"),
        changed("at", format="yyyy-MM-dd HH:mm"),
        changed("at", source_field="time"),
        changed("day", expression="date_add(cast(at as date), 1)"),
        replace(EVENTS, lateness_days=3),
    ],
    ids=["zone", "format", "field", "expression", "lateness"],
)
def test_what_the_event_date_is_made_of_moves_records(contract: Contract) -> None:
    assert placed_by(contract) != placed_by(EVENTS)


def test_a_transform_may_move_records_by_any_column(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    def coded(text: str) -> tuple[str, str]:
        file = tmp_path_factory.mktemp("code") / "x.py"
        file.write_text(text)
        module = ModuleType("x")
        module.__file__ = str(file)
        monkeypatch.setattr(dates, "transform_of", lambda _: module)
        return placed_by(EVENTS), judged_by(EVENTS)

    plain = placed_by(EVENTS), judged_by(EVENTS)
    one, other = coded("def transform(rows): return rows"), coded("def transform(rows): return rows.limit(1)")
    assert len({plain[0], one[0], other[0]}) == len({plain[1], one[1], other[1]}) == 3


def test_a_table_without_dates_has_nothing_to_move() -> None:
    assert placed_by(entities("x")) == ""
