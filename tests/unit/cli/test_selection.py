"""Choosing assets and days: Dagster's language with bare keys, and errors that say which days there are."""

from __future__ import annotations

from datetime import date

import dagster as dg
import pytest
import typer

from lakehouse.cli.selection import Days, choose, days_asked, partition_range, quoted

DAYS = dg.DailyPartitionsDefinition(start_date="2026-01-01", end_offset=1)


@pytest.fixture(scope="module")
def graph() -> dg.AssetGraph:
    """bronze/a → silver/a with quarantine/a → gold/fct; silver/entity is whole."""

    @dg.asset(key=["bronze", "a"], partitions_def=DAYS)
    def bronze() -> None: ...

    @dg.multi_asset(specs=[dg.AssetSpec([layer, "a"], deps=[["bronze", "a"]], partitions_def=DAYS) for layer in ("silver", "quarantine")])
    def silver() -> dg.MaterializeResult: ...

    @dg.asset(key=["silver", "entity"], deps=[["bronze", "a"]])
    def entity() -> None: ...

    @dg.asset(key=["gold", "fct"], deps=[["silver", "a"]], partitions_def=DAYS)
    def gold() -> None: ...

    return dg.Definitions(assets=[bronze, silver, entity, gold]).resolve_asset_graph()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("silver/a", 'key:"silver/a"'),
        ("silver.a+", 'key:"silver/a"+'),
        ("+gold/fct and group:factory", '+key:"gold/fct" and group:factory'),
        ("silver/*", 'key:"silver/*"'),
        ("*/a", 'key:"*/a"'),
        ('key:"silver/a"+2', 'key:"silver/a"+2'),
        ("tag:layer=gold or not silver/a", 'tag:layer=gold or not key:"silver/a"'),
        ("*", "*"),
    ],
)
def test_bare_keys_get_the_quotes_that_dagster_wants(written: str, meant: str) -> None:
    assert quoted(written) == meant


@pytest.mark.parametrize(
    ("selection", "names"),
    [
        ("bronze/a", ["bronze/a"]),
        ("silver/a", ["quarantine/a", "silver/a"]),
        ("silver/a+", ["gold/fct", "quarantine/a", "silver/a"]),
        ("+gold/fct", ["bronze/a", "gold/fct", "quarantine/a", "silver/a"]),
        ("silver/*", ["quarantine/a", "silver/a", "silver/entity"]),
        ("*", ["bronze/a", "gold/fct", "quarantine/a", "silver/a", "silver/entity"]),
    ],
)
def test_a_selection_comes_with_what_is_made_in_the_same_step(graph: dg.AssetGraph, selection: str, names: list[str]) -> None:
    assert choose(graph, selection).names() == names


def test_assets_by_day_and_whole_ones_are_told_apart(graph: dg.AssetGraph) -> None:
    chosen = choose(graph, "silver/*")
    assert [k.to_user_string() for k in chosen.whole] == ["silver/entity"]
    assert chosen.first == "silver/a"


@pytest.mark.parametrize(
    ("selection", "hint"), [("a", "bronze/a"), ("silver/enity", "silver/entity"), ("silver/a or", "Did you mean|There are"), ("zzz", "There are")]
)
def test_a_selection_of_nothing_says_what_there_is(graph: dg.AssetGraph, selection: str, hint: str) -> None:
    with pytest.raises(typer.BadParameter, match=hint):
        choose(graph, selection)


def test_a_day_or_a_range_and_not_both() -> None:
    assert days_asked("2026-01-05", None, None) == Days(date(2026, 1, 5), date(2026, 1, 5))
    assert days_asked(None, "2026-01-05", None) == Days(date(2026, 1, 5), None)
    assert days_asked(None, None, None) is None
    for wrong in (("2026-01-05", "2026-01-05", None), (None, None, "2026-01-05"), (None, "2026-01-06", "2026-01-05"), ("5.1.2026", None, None)):
        with pytest.raises(typer.BadParameter):
            days_asked(*wrong)


def test_an_open_range_ends_with_the_newest_partition(graph: dg.AssetGraph) -> None:
    first, last = partition_range(graph, choose(graph, "silver/a"), Days(date(2026, 1, 5), None))
    assert first == "2026-01-05"
    assert last == DAYS.get_last_partition_key()


def test_a_day_before_the_first_partition_is_an_error_that_names_the_table_and_its_days(graph: dg.AssetGraph) -> None:
    with pytest.raises(typer.BadParameter, match="silver/a has the days 2026-01-01 to .* and 2025-12-31 is not one of them"):
        partition_range(graph, choose(graph, "silver/a"), Days(date(2025, 12, 31), date(2026, 1, 2)))
