"""What `lakehouse materialize` says is next."""

from __future__ import annotations

from lakehouse.cli.lake import Lake
from lakehouse.cli.materialize import what_follows
from lakehouse.gold.project import Model, Reach

READS = Reach(frozenset({"web_click"}))
LOWER = Model("lower", "gold", "incremental", "date_day", READS, "code")
UPPER = Model("upper", "gold", "incremental", "date_day", READS, "code", parents=(LOWER,))
TOP = Model("top", "gold", "table", None, READS, "code", parents=(UPPER,))
LAKE = Lake({}, (LOWER, UPPER, TOP))


def test_marts_above_a_recreated_one_are_named_since_they_follow_only_silver() -> None:
    assert what_follows(LAKE, ["gold/lower"]) == (
        "gold/upper, gold/top: made from what was there before. To have them made anew too: lakehouse materialize 'gold/upper or gold/top' --recreate"
    )
    assert what_follows(LAKE, ["gold/lower", "gold/upper"]).endswith("lakehouse materialize 'gold/top' --recreate")
    assert what_follows(LAKE, ["gold/lower", "gold/top"]).endswith("lakehouse materialize 'gold/upper or gold/top' --recreate")


def test_what_lies_downstream_of_silver_follows_by_itself() -> None:
    for recreated in ([], ["gold/top"], ["gold/lower", "gold/upper", "gold/top"]):
        assert what_follows(LAKE, recreated) == "What lies downstream follows with: lakehouse sync"
