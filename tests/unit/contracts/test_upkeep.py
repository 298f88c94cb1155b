"""What a contract says of maintenance, and each mistake in it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lakehouse.contracts.loader import Checked
from lakehouse.contracts.model import Maintenance, Upkeep

Check = Callable[..., Checked]


def said(text: str, value: str) -> str:
    return text.replace("customProperties:\n  - {property: kind", f"customProperties:\n  - {{property: maintenance, value: {value}}}\n  - {{property: kind")


def test_without_a_word_every_layer_has_the_defaults(check: Check, event_text: str) -> None:
    contract = check(event_text).contract
    assert contract is not None
    assert contract.maintenance == Maintenance() == Maintenance(Upkeep(), Upkeep(), Upkeep())


def test_each_layer_has_its_own_policy(check: Check, event_text: str) -> None:
    checked = check(said(event_text, "{bronze: {keepDays: 20}, silver: {compactFiles: 4, targetMegabytes: 64, orderBy: [metric, value], statistics: [price]}}"))
    assert [str(m) for m in checked.mistakes] == []
    assert checked.contract is not None
    assert checked.contract.maintenance == Maintenance(
        bronze=Upkeep(keep_days=20), silver=Upkeep(compact_files=4, target_bytes=64 << 20, order_by=("metric", "value"), statistics=("price",))
    )


@pytest.mark.parametrize(
    ("value", "mistake"),
    [
        ("{gold: {keepDays: 3}}", "unknown key 'gold'"),
        ("{bronze: {orderBy: [metric]}}", "unknown key 'orderBy'"),
        ("{silver: {orderBy: [metrik]}}", "Did you mean 'metric'?"),
        ("{silver: {statistics: [event_date]}}", "is what the table is partitioned by"),
        ("{quarantine: {keepDays: 30}}", "must be more than keepDays (30)"),
        ("{bronze: {keepDays: 0}}", "greater than or equal to 1"),
        ("{bronze: {compactFiles: 1}}", "greater than or equal to 2"),
    ],
)
def test_mistakes_are_named_with_their_line(check: Check, event_text: str, value: str, mistake: str) -> None:
    mistakes = check(said(event_text, value)).mistakes
    assert mistakes and mistake in str(mistakes[0]) and mistakes[0].line
