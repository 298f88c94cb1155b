"""`lakehouse quarantine`: which records were refused and why, and putting them through again.

Not here: how they are counted and shown (`refused`), what a replay does (`lakehouse.silver`).
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import date
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.cli import refused
from lakehouse.cli.lake import Lake, known_table, read_lake
from lakehouse.cli.output import Clock, err, out, plural, seconds
from lakehouse.contracts.loader import load_contracts
from lakehouse.contracts.mistakes import nearest
from lakehouse.contracts.model import Contract
from lakehouse.engine import metadata
from lakehouse.engine.metadata import Day
from lakehouse.errors import ContractError
from lakehouse.settings import settings

if TYPE_CHECKING:
    from lakehouse.cli.runner import Outcome

app = typer.Typer(no_args_is_help=True, add_completion=False, help="See which records were refused, and why; put them through again.")
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
_NO_DAY = "none"
_LOG = "replay.log"
_SUFFIXES = (".csv", ".jsonl")


@app.command("list", epilog="Example: lakehouse quarantine list\n\nExample: lakehouse quarantine list sensor_reading")
def list_(
    table: Annotated[str | None, typer.Argument(help="Only this table, by day too. Default: all.", show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """Count refused records by table, rule and Bronze day, and show the trend. A record that breaks two rules counts for both."""
    contracts = load_contracts(settings().contracts)
    names = [known_table(table, contracts)] if table else list(contracts)
    present = [contracts[name] for name in sorted(names) if refused.held(contracts[name])]
    found = [count for contract in present for count in refused.counts(contract)]
    if as_json:
        out.print_json(json.dumps([asdict(c) for c in found], default=str))
        return
    if not found:
        out.print(f"No record of {names[0] if table else 'any table'} was refused.")
        return
    refused.show_trends(found, lambda name: _newest(contracts[name]))
    if table:
        refused.show_days(found)
    for contract in present:
        err.print(f"{contract.name}: {plural(refused.held(contract), 'record')} refused. See them with: lakehouse quarantine show {contract.name}")


def _newest(contract: Contract) -> date | None:
    """The last Bronze day that has records."""
    delta = metadata.open_table(contract.bronze)
    days = metadata.rows_by_partition(delta, "_source_date") if delta is not None else {}
    return max((d for d in days if d is not None), default=None)


@app.command(
    "show",
    epilog="Example: lakehouse quarantine show sensor_reading --rule late --limit 5\n\nExample: lakehouse quarantine show sensor_reading --export refused.csv",
)
def show_(  # noqa: PLR0913 - each is an option of the command
    table: Annotated[str, typer.Argument(help="The table's name.")],
    rule: Annotated[str | None, typer.Option("--rule", "-r", help="Only records that break this rule.")] = None,
    day: Annotated[
        str | None, typer.Option("--day", "-d", metavar="DAY", help="Only records of this Bronze day, YYYY-MM-DD; `none` for those without.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="At most so many records. Default: 10, and all for --export.")] = None,
    export: Annotated[
        Path | None, typer.Option("--export", metavar="FILE", help="Write them to this file instead, .csv or .jsonl by its name.", dir_okay=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Show refused records: every rule they break, the raw record, and where it came from."""
    if export is not None and export.suffix not in _SUFFIXES:
        raise typer.BadParameter(f"--export takes a file called {' or '.join(f'*{s}' for s in _SUFFIXES)}; {export.name} is neither.")
    contracts = load_contracts(settings().contracts)
    contract = contracts[known_table(table, contracts)]
    days = _days([day] if day else [])
    if not refused.held(contract):
        out.print("[]" if as_json else f"No record of {contract.name} was refused.", markup=False)
        return
    found = refused.choose(contract, rule, days)
    if export is not None:
        written = refused.export(islice(found, limit), refused.columns(contract), export)
        out.print(f"{plural(written, 'refused record')} of {contract.name}{_which(rule, day)}: {export}", markup=False)
        return
    most = limit or 10
    records = [refused.plain(record) for record in islice(found, most)]
    total = len(records) if len(records) < most else refused.number(contract, rule, days)
    if rule is not None and not total:
        _check_rule(contract, rule)
    if as_json:
        out.print_json(json.dumps(records))
        return
    for record in records:
        refused.show_record(contract, record)
    rest = f"; the first {len(records):,} are above: --limit {total} for all, or --export FILE" if total > len(records) else ""
    err.print(f"{plural(total, 'refused record')} of {contract.name}{_which(rule, day)}{rest}.")


@app.command(
    "replay",
    epilog="Example: lakehouse quarantine replay sensor_reading\n\nExample: lakehouse quarantine replay sensor_reading --rule value_in_range --day 2026-11-20",
)
def replay(
    tables: Annotated[list[str] | None, typer.Argument(help="The tables. Default: all.", show_default=False)] = None,
    rule: Annotated[str | None, typer.Option("--rule", "-r", help="Only records that broke this rule.")] = None,
    day: Annotated[
        list[str] | None, typer.Option("--day", "-d", metavar="DAY", help="Only records of this Bronze day, YYYY-MM-DD, or `none`; may be repeated.")
    ] = None,
) -> None:
    """Judge refused records again, by the contract and transform of now: those that pass get into Silver as if they had been right the first time.

    The others stay, with their present reasons. Gold follows. Safe to repeat, and to interrupt: the next run takes it up.
    """
    clock = Clock()
    days = _days(day or [])
    lake = read_lake().only(tables or [])
    names = [name for name, contract in lake.contracts.items() if refused.held(contract)]
    if not names:
        out.print(f"No record of {', '.join(lake.contracts) if tables else 'any table'} was refused.")
        return
    outcome = _put_through(lake.only(names), rule, days, clock)
    matched = _tell(lake.only(names), outcome, _which(rule, *(day or ())))
    if rule is not None and not matched and len(names) == 1:
        _check_rule(lake.contracts[names[0]], rule)
    raise typer.Exit(_conclude(outcome, clock))


def _put_through(lake: Lake, rule: str | None, days: frozenset[Day] | None, clock: Clock) -> Outcome:
    """One run: Silver and quarantine of these tables, and the marts that are made from them."""
    from lakehouse.automation import run_tags, selection
    from lakehouse.cli.runner import session
    from lakehouse.cli.summary import Before, show_summary
    from lakehouse.gold.progress import missing_sources
    from lakehouse.pending import Due
    from lakehouse.runs import REPLAY
    from lakehouse.silver.plan import Again

    before = Before.of(lake)
    marts = tuple(m.name for m in lake.marts if m.materialized != "view" and not missing_sources(m))
    work = Due(tuple(lake.contracts), marts, (), "")
    keys = [key.path for key in selection(work, lake.contracts, lake.marts) if key.path[0] != "bronze"]
    with session(_LOG, clock) as ready:
        outcome = ready.run(keys, {**run_tags(work, lake.contracts), REPLAY: Again(rule, days).to_json()})
    show_summary(lake, before, [outcome])
    return outcome


def _tell(lake: Lake, outcome: Outcome, which: str) -> int:
    """What became of the records; returns how many were judged."""
    judged = 0
    for name in lake.contracts:
        said = outcome.reported.get(f"silver/{name}", {})
        again, still = (int(said.get(key, 0)) for key in ("judged_again", "still_refused"))
        judged += again
        if f"silver/{name}" in outcome.reported:
            became = f"{plural(again, 'record')} judged again, {again - still:,} got in, {still:,} stay refused"
            out.print(f"{name}: {became if again else f'no refused record{which}'}.", markup=False)
    return judged


def _conclude(outcome: Outcome, clock: Clock) -> int:
    from lakehouse.cli.summary import show_checks

    for failure in outcome.failures:
        failure.show(str(settings().home / "logs" / _LOG))
    show_checks(outcome.checks)
    rest = "" if outcome.good else ", with the problems above. What was committed stays; to take up the rest, run the same command again"
    out.print(f"Done in {seconds(clock())}{rest}.")
    return 0 if outcome.good else 1


def _days(texts: list[str]) -> frozenset[Day] | None:
    """The days asked for, `none` among them; None for any."""
    found: set[Day] = set()
    for text in texts:
        try:
            found.add(None if text == _NO_DAY else date.fromisoformat(text))
        except ValueError:
            raise typer.BadParameter(f"--day takes a day as YYYY-MM-DD, or none; {text!r} is neither.") from None
    return frozenset(found) if found else None


def _check_rule(contract: Contract, rule: str) -> None:
    """Nothing broke a rule that the table does not have: a mistake, where a rule has a similar name."""
    from lakehouse.quality.rules import dispositions

    known = set(dispositions(contract))
    meant = nearest(rule, known)
    if rule not in known and meant:
        raise ContractError(
            f"{contract.name} has no rule {rule!r}. Did you mean {meant!r}?", next_step=f"See what was broken: lakehouse quarantine list {contract.name}"
        )


def _which(rule: str | None, *days: str | None) -> str:
    return (f" that broke {rule}" if rule else "") + (f" of {', '.join(d for d in days if d)}" if any(days) else "")
