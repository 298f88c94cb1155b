"""Which Silver versions a mart's commit says that it holds, told by the logs of real Delta tables."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from types import SimpleNamespace
from typing import Any, Never

import dagster as dg
import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, write_deltalake

from lakehouse.contracts.loader import load_contracts
from lakehouse.engine.metadata import Note
from lakehouse.errors import DataError
from lakehouse.gold import assets
from lakehouse.gold.progress import Stale, Taken, all_stale, behind, notes, seen, stale
from lakehouse.gold.project import Model, Reach
from lakehouse.pending import due
from lakehouse.settings import PROJECT, settings
from lakehouse.tables import Table

pytestmark = pytest.mark.usefixtures("home")

CLICKS = load_contracts(PROJECT / "contracts")["web_click"]
MART = Model("sessions", "gold", "incremental", "date_day", Reach(frozenset({"web_click"})), "code")
FIRST, SECOND, THIRD = (date(2026, 1, n) for n in (1, 2, 3))


def write(table: Table, column: str, *days: date, note: str | None = None) -> None:
    """One commit of a table by day, with a row for each of these days."""
    properties = CommitProperties(custom_metadata={"userMetadata": note or Note("run", "1.0.0", -1, {}).to_json()})
    data = pa.table({column: pa.array(days, pa.date32()), "n": pa.array([1] * len(days))})
    write_deltalake(table.location(settings().warehouse), data, mode="append", partition_by=[column], commit_properties=properties)


def no_spark() -> Never:
    raise AssertionError("tables by day need no engine")


def test_what_silver_gains_while_a_run_is_at_it_is_left_to_the_next_run() -> None:
    write(CLICKS.silver, "event_date", FIRST)
    write(MART.table, "date_day", FIRST, note=notes([MART], "first", {MART.name: stale(MART, {}, no_spark).taken})[MART.name])
    assert not behind(MART)

    write(CLICKS.silver, "event_date", SECOND)
    found = stale(MART, {CLICKS.name: CLICKS}, no_spark)
    write(CLICKS.silver, "event_date", THIRD)  # another run, between the look and the commit
    write(MART.table, "date_day", SECOND, note=notes([MART], "second", {MART.name: found.taken})[MART.name])

    assert found.dates == {SECOND}
    assert stale(MART, {CLICKS.name: CLICKS}, no_spark).dates == {THIRD}


def test_a_run_of_chosen_days_says_nothing_of_the_others() -> None:
    write(CLICKS.silver, "event_date", FIRST)
    write(MART.table, "date_day", FIRST, note=notes([MART], "first", {MART.name: stale(MART, {}, no_spark).taken})[MART.name])
    write(CLICKS.silver, "event_date", FIRST, SECOND)
    write(MART.table, "date_day", FIRST, note=notes([MART], "chosen", {})[MART.name])
    assert stale(MART, {CLICKS.name: CLICKS}, no_spark).dates == {FIRST, SECOND}


def test_a_mart_without_a_row_is_built_whole_to_note_that_it_has_followed() -> None:
    write(CLICKS.silver, "event_date", FIRST)
    taken = stale(MART, {}, no_spark).taken
    write(MART.table, "date_day", note=notes([MART], "first", {MART.name: taken})[MART.name])
    found = stale(MART, {}, no_spark)
    assert (found.moved, found.current) == (False, True)
    assert found.noting().dates is None


def test_a_run_builds_of_each_mart_its_own_days_and_notes_the_versions_of_the_look(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = {name: {"silver.web_click": ("id", version)} for version, name in enumerate(("sessions", "clicks", "visitors", "idle"))}
    dates = {"sessions": frozenset([FIRST, SECOND]), "clicks": frozenset([SECOND]), "visitors": None, "idle": frozenset[date]()}
    found = [Stale(replace(MART, name=name), dates[name], looked[name], moved=name != "idle") for name in looked]
    runs: list[tuple[Any, ...]] = []

    def run(_: object, due: list[Model], days: assets.Dates | None, taken: Any) -> Iterator[None]:
        runs.append(([m.name for m in due], days, {m.name: taken[m.name] for m in due}))
        yield

    monkeypatch.setattr(assets, "_run", run)
    step: Any = assets.Step(SimpleNamespace(log=logging.getLogger()), [s.model for s in found], {})  # type: ignore[arg-type]
    list(assets._follow(step, found))
    everything, some = runs
    assert everything == (["visitors"], None, {"visitors": looked["visitors"]})
    assert some == (["sessions", "clicks"], {n: dates[n] for n in ("sessions", "clicks")}, {n: looked[n] for n in ("sessions", "clicks")})


LOWER, OTHER = MART, Table("silver", "sensor_reading")
UPPER = Model("both", "gold", "incremental", "date_day", Reach(frozenset({"web_click", "sensor_reading"})), "code", parents=(LOWER,))
BOTH = {name: load_contracts(PROJECT / "contracts")[name] for name in ("web_click", "sensor_reading")}


def built(*models: Model) -> dict[str, frozenset[date] | None]:
    """One run of these marts, whatever they need; by mart what they needed."""
    found = [s.noting() for s in all_stale(models, BOTH, no_spark) if s.moved]
    for one in found:
        write(one.model.table, "date_day", *(one.dates or [FIRST]), note=notes([one.model], "run", {one.model.name: one.taken})[one.model.name])
    return {s.model.name: s.dates for s in found}


def test_a_mart_over_a_mart_holds_of_silver_what_the_lower_one_holds() -> None:
    write(CLICKS.silver, "event_date", FIRST)
    write(OTHER, "event_date", FIRST)
    assert built(LOWER, UPPER) == {"sessions": None, "both": None}
    write(CLICKS.silver, "event_date", SECOND)
    write(OTHER, "event_date", THIRD)
    assert due([], [UPPER]).models == ("both",)
    assert built(UPPER) == {"both": {THIRD}}  # the lower one has yet to take the second day in
    assert built(UPPER) == {}
    assert due([], [UPPER]).nothing
    assert due([], [LOWER, UPPER]).models == ("sessions", "both")
    assert built(LOWER, UPPER) == {"sessions": {SECOND}, "both": {SECOND}}
    assert built(LOWER, UPPER) == {}


def test_a_mart_over_two_marts_that_saw_a_table_at_different_versions_goes_on_following() -> None:
    """A commit that changes no rows is noted by a mart that has something to build anyway, and by no other."""
    other = replace(UPPER, name="other", parents=())
    above = [replace(UPPER, name=f"above_{n}", parents=parents) for n, parents in enumerate(((LOWER, other), (other, LOWER)))]
    write(CLICKS.silver, "event_date", FIRST)
    write(CLICKS.silver, "event_date", FIRST)
    write(OTHER, "event_date", FIRST)
    built(LOWER, other, *above)
    DeltaTable(CLICKS.silver.location(settings().warehouse)).optimize.compact()
    assert built(LOWER, other, *above) == {}
    for day in (SECOND, THIRD):
        write(OTHER, "event_date", day)
        assert due([], [LOWER, other, *above]).models == ("other", "above_0", "above_1")
        assert built(LOWER, other, *above) == {"other": {day}, "above_0": {day}, "above_1": {day}}


def test_a_mart_by_day_over_one_that_is_made_whole_is_built_whole() -> None:
    """Each row of the lower one may be made from every day, such as a visitor's first: a day that came late changes all of them."""
    whole = replace(LOWER, name="first_seen", materialized="table", partition=None)
    above = replace(UPPER, name="new_visitors", reach=Reach(frozenset({"sensor_reading"})).beyond([whole.read]), parents=(whole,))
    top = replace(UPPER, name="top", reach=Reach().beyond([above.read]), parents=(above,))
    write(CLICKS.silver, "event_date", SECOND)
    write(OTHER, "event_date", SECOND)
    assert built(whole, above, top) == {"first_seen": None, "new_visitors": None, "top": None}
    write(OTHER, "event_date", THIRD)  # is read by day alone
    assert built(whole, above, top) == {"new_visitors": {THIRD}, "top": {THIRD}}
    write(CLICKS.silver, "event_date", FIRST)
    assert built(whole, above, top) == {"first_seen": None, "new_visitors": None, "top": None}
    write(CLICKS.silver, "event_date")  # no rows: all were refused
    assert built(whole, above, top) == {}


def test_a_mart_over_one_that_is_not_there_waits_for_it() -> None:
    write(CLICKS.silver, "event_date", FIRST)
    write(OTHER, "event_date", FIRST)
    assert built(UPPER) == {}
    assert built(LOWER, UPPER) == {"sessions": None, "both": None}


def test_what_silver_gains_between_the_looks_at_two_marts_is_taken_in_by_neither_or_both() -> None:
    write(CLICKS.silver, "event_date", FIRST)
    write(OTHER, "event_date", FIRST)
    looked: dict[str, Taken] = {LOWER.name: stale(LOWER, BOTH, no_spark).taken}
    write(CLICKS.silver, "event_date", SECOND)
    sources = seen(UPPER, looked)
    assert sources is not None
    assert stale(UPPER, BOTH, no_spark, sources).taken["silver.web_click"] == looked[LOWER.name]["silver.web_click"]


def test_no_mart_is_built_before_one_that_it_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    new, above = replace(UPPER, name="new"), replace(UPPER, name="above")
    above = replace(above, parents=(new,))
    dates = {LOWER: frozenset([FIRST]), new: None, above: frozenset([FIRST])}
    runs: list[list[str]] = []
    monkeypatch.setattr(assets, "_run", lambda _, due, *__: iter([runs.append([m.name for m in due])]))
    step: Any = assets.Step(SimpleNamespace(log=logging.getLogger()), list(dates), {})  # type: ignore[arg-type]
    list(assets._follow(step, [Stale(m, of, {}) for m, of in dates.items()]))
    assert runs == [["sessions"], ["new"], ["above"]]


def test_a_mart_that_fails_holds_up_those_above_it_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the first run of dbt one fails and another is made; of the second run's marts one reads the first, and one reads that."""
    bad, good, below = (replace(MART, name=name) for name in ("bad", "good", "below"))
    over = replace(MART, name="over", parents=(bad,))
    above = replace(MART, name="above", parents=(good,))
    top = replace(MART, name="top", parents=(over, above))
    some = frozenset([FIRST])
    found = [Stale(bad, None, {}), Stale(good, None, {}), Stale(below, some, {}), Stale(over, some, {}), Stale(above, some, {}), Stale(top, None, {})]
    runs: list[list[str]] = []

    def run(_: object, due: list[Model], *__: object) -> Iterator[dg.Output[None]]:
        runs.append([m.name for m in due])
        yield from (dg.Output(None, m.name) for m in due if m is not bad)
        if bad in due:
            raise DataError("dbt says: no such column", next_step="mend it")

    monkeypatch.setattr(assets, "_run", run)
    context = SimpleNamespace(log=logging.getLogger(), asset_key_for_output=lambda name: dg.AssetKey(["gold", name]))
    step: Any = assets.Step(context, [s.model for s in found], {})  # type: ignore[arg-type]
    with pytest.raises(DataError) as raised:
        list(assets._follow(step, found))
    assert runs == [["bad", "good"], ["below", "above"]]
    assert str(raised.value).splitlines() == [
        "dbt says: no such column",
        "Built: good, below, above. Not built: bad. Held up by that, and as they were: over, top.",
        "mend it",
    ]
