"""`lakehouse sync` and `status` before anything is started, and what is said of a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Never

import pytest
import typer
from typer.testing import CliRunner

from lakehouse import run_history
from lakehouse.cli import following, output, runner, status, sync
from lakehouse.cli.lake import Lake, known_table
from lakehouse.cli.runner import CheckFailed, Outcome
from lakehouse.cli.steps import Steps
from lakehouse.cli.summary import show_checks
from lakehouse.contracts.loader import load_contracts
from lakehouse.contracts.model import Contract
from lakehouse.errors import ContractError, ServerAway
from lakehouse.failures import _words
from lakehouse.pauses import FAILURES, Pauses
from lakehouse.pending import Due
from lakehouse.settings import PROJECT, settings


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    """An empty lake with the example's contracts and no marts."""
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path / "lake"))
    settings.cache_clear()
    found = Lake(load_contracts(PROJECT / "contracts"), ())
    for contract in found.contracts.values():
        (tmp_path / "lake" / "landing" / contract.source.path).mkdir(parents=True)
    for module in (sync, status):
        monkeypatch.setattr(module, "read_lake", lambda: found)
    yield found
    settings.cache_clear()


def test_with_nothing_new_it_says_so_and_imports_no_dagster(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    sync.sync(None, full=False)
    assert capsys.readouterr().out.startswith(f"Nothing is new: {len(lake.contracts)} tables and 0 marts are current")


def test_a_mart_that_is_left_out_is_told_with_the_reason(lake: Lake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync, "read_lake", lambda: replace(lake, refused={"fct_monthly": "Its days are none."}))
    sync.sync(None, full=False)
    assert " ".join(capsys.readouterr().err.split()) == "fct_monthly is left out. Its days are none. What to do about it: lakehouse doctor"


def test_looking_for_what_is_new_imports_no_dagster() -> None:
    code = "import sys; import lakehouse.cli.sync; assert not {'dagster', 'dbt'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr


def test_a_source_that_is_not_there_is_told_and_fails(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    (Path(settings().landing) / "master" / "product").rmdir()
    with pytest.raises(typer.Exit) as ended:
        sync.sync(None, full=False)
    assert ended.value.exit_code == 1
    assert "product: There is no folder" in capsys.readouterr().err


def test_a_table_may_be_named_with_its_layer_and_a_wrong_name_is_answered_with_the_right_one(lake: Lake) -> None:
    assert known_table("silver.web_click", lake.contracts) == known_table("silver/web_click", lake.contracts) == "web_click"
    with pytest.raises(ContractError, match="Did you mean 'web_click'"):
        known_table("web_clicks", lake.contracts)


def test_status_of_an_empty_lake_lists_every_table_and_starts_nothing(lake: Lake) -> None:
    done = CliRunner().invoke(status.app, ["--json"])
    told = json.loads(done.stdout)
    assert done.exit_code == 0
    assert len(told["tables"]) == 3 * len(lake.contracts)
    assert told["services"]["engine"] == "stopped"
    assert not (settings().home / "engine").exists()


def test_status_counts_the_files_that_wait_at_the_source(lake: Lake) -> None:
    folder = Path(settings().landing) / "web" / "web_click" / "dt=2026-11-20"
    folder.mkdir()
    (folder / "clicks.jsonl").write_text("{}\n")
    told = json.loads(CliRunner().invoke(status.app, ["--json", "web_click"]).stdout)
    bronze = next(t for t in told["tables"] if t["layer"] == "bronze")
    assert (bronze["pending_files"], bronze["pending_bytes"]) == (1, 3)
    assert bronze["lag"].startswith("1 file, 3 B, ") and 0 <= bronze["lag_seconds"] < 600


def test_failed_checks_stand_before_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    show_checks([CheckFailed("silver/a", "late", False, "[some] text"), CheckFailed("silver/b", "keys", True, "two rows")])
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "1 check failed, 1 warning:"
    assert lines[1].split() == ["silver/b", "keys", "two", "rows"]
    assert "[some] text" in lines[2]


def test_a_warning_does_not_make_a_run_bad_and_an_error_does() -> None:
    good = Outcome("1", success=True, checks=[CheckFailed("a", "b", False, "")])
    bad = Outcome("2", success=True, checks=[CheckFailed("a", "b", True, "")])
    assert sync.Passed([good]).good
    assert not sync.Passed([good, bad]).good
    assert not sync.Passed([good], problems=("x",)).good


def test_a_failure_is_told_in_its_own_words() -> None:
    ours = _words("RowRuleFailed", "lakehouse.errors.RowRuleFailed: Rows break a rule.\nSilver is at version 4.\nRun: lakehouse sync x\n")
    assert ours == ("Rows break a rule.", "Silver is at version 4.", "Run: lakehouse sync x")
    spark = _words("AnalysisException", "pyspark.errors.AnalysisException: [NO_TABLE] There is none.\n\nJVM stacktrace:\norg.apache")
    assert spark == ("The engine says: [NO_TABLE] There is none.",)


def test_without_a_terminal_each_step_is_a_line_when_it_ends(capsys: pytest.CaptureFixture[str]) -> None:
    with Steps(["bronze_a", "silver_a"]) as steps:
        steps.start("bronze_a")
        steps.end("bronze_a", "done")
        steps.start("silver_a")
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in lines] == ["bronze_a", "silver_a"]
    assert lines[1].endswith("failed")
    assert not lines[0].endswith(" ")


def test_what_others_print_goes_to_the_log_and_ours_to_the_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with output.open_log(tmp_path, "x.log") as log, output.others_to(log):
        os.write(1, b"from a library\n")
        subprocess.run([sys.executable, "-c", "import sys; print('from a child', file=sys.stderr)"], check=True)
        output.out.print("for people")
    output.out.print("after")
    said = capfd.readouterr()
    assert said.out == "for people\nafter\n"
    assert said.err == ""
    text = (tmp_path / "logs" / "x.log").read_text()
    assert "from a library" in text
    assert "from a child" in text


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (999, "999 B"), (12_345, "12 kB"), (3_400_000_000, "3.4 GB")])
def test_sizes_are_short(count: int, text: str) -> None:
    assert output.size(count) == text


@pytest.mark.parametrize("success", [True, False])
def test_a_follower_neither_spins_over_what_no_pass_changes_nor_stays_for_it(lake: Lake, monkeypatch: pytest.MonkeyPatch, success: bool) -> None:
    folder = Path(settings().landing) / lake.contracts["product"].source.path / f"dt={date.today()}"
    folder.mkdir()
    (folder / "products.jsonl").write_text("unreadable")
    passes: list[str] = []
    monkeypatch.setattr(runner, "session", lambda *_: nullcontext(SimpleNamespace(instance=None)))
    monkeypatch.setattr(following, "run_pass", lambda _, __, work: passes.append(work.fingerprint) or SimpleNamespace(success=success, reported={}))
    with nullcontext() if success else pytest.raises(typer.Exit):
        following.keep_up(lake, 3.0)
    assert 1 < len(passes) < 4  # at once, and after two seconds
    assert len(set(passes)) == 1


def test_a_follower_leaves_a_source_alone_that_stays_broken_and_tells_it_once(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def gone(contract: Contract, **_: bool) -> Never:
        asked.append(contract.name)
        raise ServerAway("The server does not answer.")

    monkeypatch.setattr("lakehouse.pending.pending", gone)
    monkeypatch.setattr(following, "_POLL", 0.1)
    monkeypatch.setattr(runner, "session", lambda *_: nullcontext(SimpleNamespace(instance=None)))
    with pytest.raises(typer.Exit):
        following.keep_up(replace(lake, contracts={"product": lake.contracts["product"]}), 2.0)
    assert len(asked) == FAILURES
    assert capsys.readouterr().err.count("The server does not answer.") == 1


def test_what_fails_for_half_a_day_is_tried_each_half_minute(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    now, passes = [0.0], []
    clock = SimpleNamespace(monotonic=lambda: now[0], sleep=lambda seconds: now.append(now.pop() + seconds))
    monkeypatch.setattr(following, "time", clock)
    monkeypatch.setattr(following, "look_again", lambda *_: (Due(("product",), (), (), "the same"), Pauses()))
    monkeypatch.setattr(runner, "session", lambda *_: nullcontext(SimpleNamespace(instance=None)))
    monkeypatch.setattr(run_history, "forget_runs", lambda _: 0)
    monkeypatch.setattr(following, "run_pass", lambda *_: passes.append(now[0]) or SimpleNamespace(success=False, reported={}))
    with pytest.raises(typer.Exit):
        following.keep_up(lake, 43_200.0)
    rests = [b - a for a, b in zip(passes, passes[1:], strict=False)]
    assert rests[:5] == [2, 4, 8, 16, 32] and set(rests[5:]) == {32} and len(rests) > 1_024
