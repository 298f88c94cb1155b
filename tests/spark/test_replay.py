"""Refused records put through again: after a contract is mended, Silver and quarantine are what a rebuild makes of the files, whatever came between."""

from __future__ import annotations

import json
import random
import time
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from lakehouse.contracts.model import Contract
from lakehouse.engine import metadata
from lakehouse.silver import build
from lakehouse.silver.plan import Again
from lakehouse.silver.report import Built
from tests.spark import test_change_feeds as change_feeds
from tests.spark.conftest import Lake, rule
from tests.spark.oracle import Truth, truth_of
from tests.spark.test_increment_equals_batch import records

FIRST = date(2026, 1, 10)
DAYS = [FIRST + timedelta(days=n) for n in range(3)]


def mended(contract: Contract) -> Contract:
    """The same with values up to 2,000 rather than 100."""
    columns = tuple(replace(c, maximum=2000.0) if c.name == "value" else c for c in contract.columns)
    return replace(contract, columns=columns, version="1.1.0")


def lines(rng: random.Random, day: date) -> str:
    """Lines of a file, no two of one identity and place: which of such wins would hang on a hash."""
    first: dict[Any, str] = {}
    for line in records(rng, day, 8):
        row = json.loads(line) if line.endswith("}") else {"id": line}
        first.setdefault((row["id"], row.get("at"), row.get("seq")), line)
    return "\n".join(first.values())


def put_through(lake: Lake, contract: Contract, again: Again = Again()) -> Built:  # noqa: B008 - frozen
    built = build.put_through(lake.spark, contract, again, "test")
    assert built.unbalanced == ()
    return built


def check(lake: Lake, contract: Contract, truth: Truth, refused: list[tuple[str, date]]) -> None:
    found = {(r[0], r[1]): r[2:] for r in lake.rows(contract.silver, "id", "day", "seq", "value", "_source")}
    assert found == truth.silver
    assert lake.count(contract.silver) == len(truth.silver)
    assert lake.rows(contract.quarantine, "_payload", "_source_date") == sorted(refused, key=repr)


def killed(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.timeout(1200)
def test_refused_records_get_in_as_if_they_had_been_right_the_first_time(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    strict, rng = lake.events(), random.Random(11)
    for n in range(6):
        lake.put(f"dt={DAYS[n % 3]}/f{n}.json", lines(rng, DAYS[n % 3]))
    lake.sync(strict)
    loose, landing = mended(strict), lake.landing / lake.name
    before, after = truth_of(landing, by_date=True), truth_of(landing, by_date=True, most=2000)
    assert len(after.refused) < len(before.refused)

    # One day and one rule: the other days wait.
    put_through(lake, loose, Again("value_in_range", frozenset({DAYS[1]})))
    stayed = [r for r in before.refused if r[1] != DAYS[1]] + [r for r in after.refused if r[1] == DAYS[1]]
    assert lake.rows(loose.quarantine, "_payload", "_source_date") == sorted(stayed, key=repr)

    # Killed between the two commits, on either side: what comes next makes it whole.
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(build, "_write_quarantine", killed)
        put_through(lake, loose)
    put_through(lake, loose)
    check(lake, loose, after, after.refused)

    # A table that goes back alone is taken along again, by an ordinary pass.
    silver, quarantine = lake.version(loose.silver), lake.version(loose.quarantine)
    lake.spark.sql(f"RESTORE {loose.silver.sql} TO VERSION AS OF 1").collect()
    lake.sync(loose)
    check(lake, loose, after, after.refused)
    lake.spark.sql(f"RESTORE {loose.quarantine.sql} TO VERSION AS OF 1").collect()
    lake.sync(loose)
    check(lake, loose, after, after.refused)
    assert lake.version(loose.silver) > silver and lake.version(loose.quarantine) > quarantine

    # Again: nothing passes, Silver is not written, and what stays tells the present contract's reasons.
    silver = lake.version(loose.silver)
    built = put_through(lake, loose)
    assert (built.silver_version, lake.version(loose.silver)) == (None, silver)
    check(lake, loose, after, after.refused)
    assert {r[0] for r in lake.rows(loose.quarantine, "_contract_version")} == {"1.1.0"}
    columns = [c for c in lake.spark.table(loose.silver.sql).columns if c != "_ingested_at"]
    rows = lake.rows(loose.silver, *columns)
    build.rebuild(lake.spark, loose, None, "test")
    assert lake.rows(loose.silver, *columns) == rows
    check(lake, loose, after, after.refused)


@pytest.mark.timeout(1200)
def test_entities_and_their_history_take_refused_records_in_where_they_belong(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    rng, latest = random.Random(3), replace(lake, name=f"{lake.name}_latest")
    loose = latest.entities(version="1.1.0")
    strict = replace(loose, version="1.0.0", rules=(rule("small", "cast(name as int) < 500"),))
    for n in range(3):
        named = {(f"k{rng.randrange(6)}", rng.randrange(4)): str(rng.randrange(1000)) for _ in range(8)}
        latest.put(f"dt={DAYS[n]}/f{n}.json", [{"id": key, "seq": seq, "name": name} for (key, seq), name in named.items()] + [{"seq": 1, "name": "1"}])
        latest.sync(strict)
    committed = lake.version(loose.quarantine)

    def killed_after_the_other_commit(*_: Any) -> None:
        while (state := metadata.state(loose.quarantine)) is None or state.version == committed:
            time.sleep(0.05)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(build, "_write_silver", killed_after_the_other_commit)
        put_through(latest, loose)
    latest.sync(loose)
    truth = truth_of(latest.landing / latest.name, by_date=False)
    assert {(r[0], None): r[1:] for r in latest.rows(loose.silver, "id", "seq", "name", "_source")} == truth.silver
    assert latest.rows(loose.quarantine, "_payload", "_source_date") == sorted(truth.refused, key=repr)

    history = replace(lake, name=f"{lake.name}_history")
    every = change_feeds.feed(history)
    some = replace(every, rules=(rule("known", "name <> 'B'"),))
    changes = [change_feeds.change(f"k{rng.randrange(3)}", m, rng.choice(["A", "B", "B", None]), n=1) for m in range(24)]
    for n in range(3):
        history.put(change_feeds.path(n), changes[n::3])
        change_feeds.sync(history, some)
    put_through(history, every, Again("known", frozenset({FIRST})))
    put_through(history, every)
    change_feeds.check(history, every)

    def kept() -> list[tuple[Any, ...]]:
        columns = [c for c in lake.spark.table(every.silver.sql).columns if c not in ("_ingested_at", "_repeats")]
        return [(*row, [r["n"] for r in again or ()]) for *row, again in history.rows(every.silver, *columns, "_repeats")]

    rows = kept()
    build.rebuild(lake.spark, every, None, "test")
    assert kept() == rows
