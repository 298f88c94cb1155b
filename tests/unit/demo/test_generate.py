"""The example business: the same for the same seed, growing day by day, and its truth is true."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import gold_figures as gold
import pytest
from recount import Counted, recount

from demo.__main__ import main
from demo.generate import TRUTH, OtherBusiness, generate, span
from demo.truth import Truth

PROJECT = Path(__file__).resolve().parents[3]
FIRST = date(2026, 3, 25)  # the clocks go forward in the night of the fifth day
DAYS, SCALE = 9, 0.25
TABLES = ("customer", "machine", "product", "production_run", "sales_order_line", "sensor_reading", "web_click")


def files(target: Path) -> dict[str, str]:
    """The sha256 of every file but the truth, by path."""
    return {f.relative_to(target).as_posix(): hashlib.sha256(f.read_bytes()).hexdigest() for f in target.rglob("*") if f.is_file() and f.name != TRUTH}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Truth]:
    """A small business around the change of the clocks."""
    target = tmp_path_factory.mktemp("landing")
    return target, generate(target, days=DAYS, scale=SCALE, seed=3, first_day=FIRST)


@pytest.fixture(scope="module")
def counted(made: tuple[Path, Truth]) -> dict[str, Counted]:
    """The second opinion on it."""
    return recount(made[0], PROJECT / "contracts")


@pytest.fixture(scope="module")
def told(made: tuple[Path, Truth]) -> dict[str, Any]:
    """What truth.json says."""
    result: dict[str, Any] = json.loads((made[0] / TRUTH).read_text(encoding="utf-8"))
    return result


def test_the_same_seed_gives_the_same_bytes_and_another_gives_others(made: tuple[Path, Truth], tmp_path: Path) -> None:
    generate(tmp_path / "same", days=DAYS, scale=SCALE, seed=3, first_day=FIRST)
    generate(tmp_path / "other", days=DAYS, scale=SCALE, seed=4, first_day=FIRST)
    assert files(tmp_path / "same") == files(made[0])
    assert files(tmp_path / "other") != files(made[0])


def test_more_days_only_add_files_and_leave_the_others_untouched(made: tuple[Path, Truth], tmp_path: Path) -> None:
    generate(tmp_path, days=4, scale=SCALE, seed=3, first_day=FIRST)
    before, times = files(tmp_path), {f: f.stat().st_mtime_ns for f in tmp_path.rglob("*") if f.is_file() and f.name != TRUTH}
    generate(tmp_path, days=DAYS, scale=SCALE, seed=3, first_day=FIRST)
    after = files(tmp_path)
    assert {f: after[f] for f in before} == before
    assert {f: f.stat().st_mtime_ns for f in times} == times
    assert after == files(made[0])


def test_the_files_of_a_later_day_lie_in_its_folders_only(tmp_path: Path) -> None:
    generate(tmp_path, days=2, scale=0.05, seed=3, first_day=FIRST)
    before = set(files(tmp_path))
    generate(tmp_path, days=3, scale=0.05, seed=3, first_day=FIRST)
    new = set(files(tmp_path)) - before
    assert new
    assert all("dt=2026-03-27/" in f or "dt=1970-01-01/readings-2026-03-27" in f for f in new)


def test_every_record_has_exactly_one_fate(made: tuple[Path, Truth]) -> None:
    for name, table in made[1].tables.items():
        assert table.records == table.accepted + table.superseded + table.quarantined + table.dropped, name
        for day, counts in table.by_source_date.items():
            assert counts["records"] == sum(counts[fate] for fate in ("accepted", "superseded", "quarantined", "dropped")), (name, day)
        for fate in ("records", "accepted", "superseded", "quarantined", "dropped"):
            assert sum(c[fate] for c in table.by_source_date.values()) == getattr(table, fate), (name, fate)
        if table.by_event_date:
            assert sum(table.by_event_date.values()) == table.accepted, name


@pytest.mark.parametrize("name", TABLES)
def test_the_truth_of_a_table_is_what_its_files_hold(name: str, made: tuple[Path, Truth], counted: dict[str, Counted]) -> None:
    said, found = made[1].tables[name], counted[name]
    assert found.undecided == 0
    assert (found.records, found.quarantined, found.dropped, len(found.winners)) == (said.records, said.quarantined, said.dropped, said.accepted)
    assert +found.reasons == +said.reasons
    assert +found.warned == +said.warned
    assert +found.by_event_date == +said.by_event_date
    assert {d: +c for d, c in found.by_source_date.items()} == {d: +c for d, c in said.by_source_date.items()}
    assert said.files == sum(1 for f in made[0].glob(f"*/{name}/**/*") if f.is_file())


def test_the_figures_of_gold_follow_from_the_accepted_rows(told: dict[str, Any], counted: dict[str, Counted]) -> None:
    said, lines = told["gold"], counted["sales_order_line"].winners
    products, customers = counted["product"].winners, counted["customer"].winners
    assert gold.sales(lines, products) == said["sales"]
    assert gold.segments(lines, customers, products) == said["segments"]
    assert sum(row["unlisted_lines"] for row in said["sales"].values()) > 0
    assert gold.late_orders(lines) == said["late_orders"]
    found = {k: {n: v for n, v in row.items() if v} for k, row in gold.production(counted["production_run"].winners).items()}
    assert found == said["production"]
    assert gold.web(counted["web_click"].winners) == said["web"]


def test_anomalies_are_the_hours_beyond_the_limits_in_the_machines_records(told: dict[str, Any], counted: dict[str, Counted]) -> None:
    hours, anomalies, nearest = gold.health(counted["sensor_reading"].winners, counted["machine"].winners)
    assert hours == told["gold"]["machine_hours"]
    assert anomalies == pytest.approx(told["gold"]["anomalies"], abs=1e-6)
    assert {"M04|temperature", "M02|pressure", "M09|vibration"} <= {key.split("|", 2)[2] for key in anomalies}
    assert nearest > 1e-6, "an hour that floating point could push to either side"


@pytest.mark.parametrize(
    ("table", "reasons"),
    [
        ("sensor_reading", "malformed invalid_utf8 duplicate_field field_case late future source_date_out_of_range value_type value_not_nan"),
        ("production_run", "product_id_required scrap_units_in_range shift_in_set machine_id_pattern energy_kwh_not_nan late future ends_after_start"),
        ("sales_order_line", "malformed late future quantity_type unit_price_type unit_cost_type status_in_set customer_id_required discount_not_above_price"),
        ("web_click", "malformed late future action_in_set page_length duplicate_field field_case purchase_has_order not_a_bot"),
        ("customer", "malformed unknown_operation email_pattern country_pattern name_required marketing_consent_type birth_date_type"),
        ("product", "category_in_set list_price_type name_required changed_at_required sold_from_type product_id_required unit_cost_in_range"),
    ],
)
def test_every_kind_of_fault_occurs(table: str, reasons: str, made: tuple[Path, Truth]) -> None:
    assert set(reasons.split()) <= set(made[1].tables[table].reasons)


def test_the_files_are_as_untidy_as_real_ones(made: tuple[Path, Truth]) -> None:
    exports = [f.read_bytes() for f in made[0].glob("sales/**/*.csv")]
    assert any(e.startswith(b"\xef\xbb\xbf") for e in exports)
    assert any(b"\r\n" in e for e in exports)
    assert any(not e for e in exports)
    assert any(e.count(b"\n") == 1 for e in exports)
    assert len({e.removeprefix(b"\xef\xbb\xbf").split(b"\n")[0].strip() for e in exports if e}) == 2
    assert list(made[0].rglob("*.csv.gz"))
    assert list(made[0].rglob("*.jsonl.gz"))


def test_orders_are_placed_in_the_hour_that_the_clocks_skip(counted: dict[str, Counted]) -> None:
    lines = [w for w in counted["sales_order_line"].winners if f"{w['ordered_at']:%Y-%m-%dT%H}" == "2026-03-29T01"]
    assert lines


def test_an_overheated_machine_leads_to_late_orders(told: dict[str, Any]) -> None:
    days = told["gold"]["late_orders"]
    assert days["2026-03-27"]["late_orders"] > days["2026-03-25"]["late_orders"]


# Held by a process that does nothing else: threads left by other tests allocate too, whenever they like.
WEIGH = """
import gc, sys, tracemalloc
from datetime import date
from pathlib import Path
from demo.generate import generate

held = []
def weigh(*_):
    gc.collect()
    held.append(tracemalloc.get_traced_memory()[0])

tracemalloc.start()
generate(Path(sys.argv[1]), days=20, scale=0.02, seed=3, first_day=date(2026, 3, 25), progress=weigh)
print(held[9], held[19])
"""


def test_memory_does_not_grow_with_the_days(tmp_path: Path) -> None:
    weighed = subprocess.run([sys.executable, "-c", WEIGH, str(tmp_path)], cwd=PROJECT, capture_output=True, text=True, check=True)
    half, whole = map(int, weighed.stdout.split())
    assert whole < 1.5 * half


def test_a_folder_keeps_its_first_day_and_grows_to_the_last_day_asked_for(tmp_path: Path) -> None:
    assert span(tmp_path, 3, date(2026, 3, 27)).first_day == FIRST
    generate(tmp_path, days=3, scale=0.05, seed=3, first_day=FIRST)
    assert (span(tmp_path, 3, date(2026, 3, 28)).first_day, span(tmp_path, 3, date(2026, 3, 28)).days) == (FIRST, 4)
    assert span(tmp_path, 1, date(2026, 3, 26)).days == 3


@pytest.mark.parametrize("other", [{"seed": 4}, {"scale": 0.1}, {"first_day": date(2026, 3, 24)}, {"days": 1}])
def test_two_businesses_are_not_mixed_in_one_folder(other: dict[str, Any], tmp_path: Path) -> None:
    sizes: dict[str, Any] = {"days": 2, "scale": 0.05, "seed": 3, "first_day": FIRST}
    generate(tmp_path, **sizes)
    before = files(tmp_path)
    with pytest.raises(OtherBusiness, match="Nothing was written"):
        generate(tmp_path, **(sizes | other))
    assert files(tmp_path) == before


def test_the_command_says_what_it_made_and_refuses_what_it_can_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--target", str(tmp_path), "--days", "1", "--scale", "0.05", "--last-day", "2026-03-25"]) == 0
    assert "sensor_reading" in capsys.readouterr().out
    assert main(["--target", str(tmp_path), "--days", "1", "--scale", "0.05", "--last-day", "2026-03-25", "--seed", "9"]) == 2
    assert "would not extend" in capsys.readouterr().err
    assert main(["--target", str(tmp_path / "new"), "--days", "0"]) == 2
