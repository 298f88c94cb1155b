"""`lakehouse quarantine`: which records were refused, and why. Not here: refusing them (`lakehouse.quality`), putting them through again."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from lakehouse.cli.lake import known_table
from lakehouse.cli.output import err, grid, out, plural, show
from lakehouse.cli.query import spark_session, use_utc
from lakehouse.contracts.loader import load_contracts
from lakehouse.contracts.model import Contract
from lakehouse.engine import metadata
from lakehouse.errors import ContractError
from lakehouse.settings import settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

app = typer.Typer(no_args_is_help=True, add_completion=False, help="See which records were refused, and why.")
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
_NO_DAY = "none"
_FACTS = ("_source", "_source_position", "_source_date", "_event_date", "_ingested_at", "_quarantined_at", "_contract_version")


@app.command("list", epilog="Example: lakehouse quarantine list sensor_reading")
def list_(
    table: Annotated[str | None, typer.Argument(help="Only this table. Default: all.", show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """Count refused records by table, rule and Bronze day. A record that breaks two rules counts for both."""
    contracts = load_contracts(settings().contracts)
    names = [known_table(table, contracts)] if table else list(contracts)
    present = [contracts[name] for name in names if _rows(contracts[name])]
    counts = _counts(present) if present else []
    if as_json:
        out.print_json(json.dumps(counts))
        return
    if not counts:
        out.print(f"No record of {names[0] if table else 'any table'} was refused.")
        return
    lines = grid("table", "rule", "day", "records", right=("records",))
    for c in counts:
        lines.add_row(c["table"], c["rule"], c["day"] or "(no date)", f"{c['records']:,}")
    show(lines)
    for contract in present:
        err.print(f"{contract.name}: {plural(_rows(contract), 'record')} refused. See them with: lakehouse quarantine show {contract.name}")


def _rows(contract: Contract) -> int:
    """Refused records of a table; from file statistics."""
    delta = metadata.open_table(contract.quarantine)
    return sum(metadata.rows_by_partition(delta, None).values()) if delta is not None else 0


def _counts(contracts: list[Contract]) -> list[dict[str, Any]]:
    use_utc()
    parts = (
        f"SELECT '{c.name}' AS table, rule, _source_date AS day, count(*) AS records "
        f"FROM {c.quarantine.sql} LATERAL VIEW explode(_reasons) AS rule GROUP BY ALL"
        for c in contracts
    )
    with spark_session() as spark:
        rows = spark.sql(" UNION ALL ".join(f"({p})" for p in parts) + " ORDER BY 1, 4 DESC, 2, 3").collect()
    return [{"table": r[0], "rule": r[1], "day": r[2].isoformat() if r[2] else None, "records": r[3]} for r in rows]


@app.command("show", epilog="Example: lakehouse quarantine show sensor_reading --rule late --limit 5")
def show_(  # noqa: PLR0913 - each is an option of the command
    table: Annotated[str, typer.Argument(help="The table's name.")],
    rule: Annotated[str | None, typer.Option("--rule", "-r", help="Only records that break this rule.")] = None,
    day: Annotated[
        str | None, typer.Option("--day", "-d", metavar="DAY", help="Only records of this Bronze day, YYYY-MM-DD; `none` for those without.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many records.")] = 10,
    as_json: Json = False,
) -> None:
    """Show refused records: every rule they break, the raw record, and where it came from."""
    contracts = load_contracts(settings().contracts)
    contract = contracts[known_table(table, contracts)]
    _day(day)
    if rule is not None:
        _check_rule(contract, rule)
    if not _rows(contract):
        out.print("[]" if as_json else f"No record of {contract.name} was refused.", markup=False)
        return
    use_utc()
    with spark_session() as spark:
        found, total = _select(spark, contract, rule, day, limit)
    if as_json:
        out.print_json(json.dumps(found))
        return
    for record in found:
        _print(contract, record)
    rest = f"; the first {len(found):,} are above: --limit {total} for all" if total > len(found) else ""
    err.print(f"{plural(total, 'refused record')} of {contract.name}{_which(rule, day)}{rest}.")


def _day(text: str | None) -> date | None:
    """The day asked for; None for any, and for `none`."""
    try:
        return date.fromisoformat(text) if text is not None and text != _NO_DAY else None
    except ValueError:
        raise typer.BadParameter(f"--day takes a day as YYYY-MM-DD, or none; {text!r} is neither.") from None


def _check_rule(contract: Contract, rule: str) -> None:
    """A rule that the table can't have is a mistake, not an empty answer. Old rules may still be in the table, so others are looked up there."""
    from lakehouse.contracts.mistakes import nearest
    from lakehouse.quality.rules import dispositions

    known = set(dispositions(contract))
    meant = nearest(rule, known)
    if rule not in known and meant:
        raise ContractError(
            f"{contract.name} has no rule {rule!r}. Did you mean {meant!r}?", next_step=f"See what was broken: lakehouse quarantine list {contract.name}"
        )


def _select(spark: SparkSession, contract: Contract, rule: str | None, day: str | None, limit: int) -> tuple[list[dict[str, Any]], int]:
    """The first records of the newest days, and how many there are."""
    from pyspark.sql import functions as F

    found = spark.table(contract.quarantine.sql)
    if rule is not None:
        found = found.where(F.array_contains("_reasons", rule))
    if day is not None:
        asked = _day(day)
        found = found.where(F.col("_source_date").isNull() if asked is None else F.col("_source_date") == F.lit(asked))
    order = (F.col("_source_date").desc_nulls_last(), "_source", "_source_position", "_payload")
    rows = found.orderBy(*order).select("_reasons", "_disposition", "_payload", *_FACTS).limit(limit).collect()
    total = len(rows) if len(rows) < limit else found.count()
    return [{name: _plain(value) for name, value in row.asDict().items()} for row in rows], total


def _plain(value: Any) -> Any:  # noqa: ANN401
    if value is None or isinstance(value, str | int | list):
        return value
    text = value.isoformat()
    return f"{text}Z" if "T" in text else text


def _print(contract: Contract, record: dict[str, Any]) -> None:
    rules = {r.name: r.description for r in contract.rules}
    at = f", row {record['_source_position']}" if record["_source_position"] is not None else ""
    out.print(f"[bold]{escape(str(record['_source']))}[/bold]{at}  [dim]({record['_disposition']}, Bronze day {record['_source_date'] or 'none'})[/dim]")
    for reason in record["_reasons"]:
        told = rules.get(reason)
        out.print(f"  [yellow]{escape(reason)}[/yellow]{f'  {escape(told)}' if told else ''}")
    out.print(f"  {escape(record['_payload'])}" if record["_payload"] is not None else "  [dim](the content of a dropped record is not kept)[/dim]")


def _which(rule: str | None, day: str | None) -> str:
    return (f" that break {rule}" if rule else "") + (f" of {day}" if day else "")
