"""Asset checks derived from contracts: what is checked, and the results a run reports. Computed from what the run counted and from table metadata.

Blocking checks stop what lies downstream when they fail with severity ERROR. Not here: row rules themselves (`quality.rules`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import dagster as dg

from lakehouse.contracts.model import Contract
from lakehouse.contracts.spark_schema import silver_fields
from lakehouse.engine.metadata import Day, filled, filled_until, rows_by_partition
from lakehouse.quality.freshness import newest_data

if TYPE_CHECKING:  # only its name: the engine alone opens tables
    from deltalake import DeltaTable

_TOLD = 8  # fields that a check's text names; its metadata has all
MOST_REFUSED = 0.5  # a larger share of refused records means that the source or the contract is wrong, not the records

SILVER_CHECKS = {
    "schema": "The table has the columns and types that the contract declares.",
    "keys": "No two rows have the same identity.",
    "history": "The versions of a key follow each other without overlap and without gap; at most one is current.",
    "key_dates": "No key stands on two event dates.",
    "conservation": "Every Bronze record is applied, superseded or refused: none is lost.",
    "source_fields": "The source has the fields that the contract takes: no new one, and none that is gone.",
    "row_rules": "Few records break a row rule.",
    "waiting": "No record has waited for a row of another table for longer than its contract allows.",
    "volume": "The partitions have as many rows as the contract expects.",
    "freshness": "The newest data is as young as the contract promises.",
}
BRONZE_CHECKS = {"source_readable": "Every file of the source can be read, and none is passed over."}
_BLOCKING = ("schema", "keys", "history", "conservation", "row_rules", "volume", "freshness")


def bronze_specs(contract: Contract) -> list[dg.AssetCheckSpec]:
    """The checks of a Bronze table."""
    return [dg.AssetCheckSpec(name, asset=dg.AssetKey(contract.bronze.key), description=text) for name, text in BRONZE_CHECKS.items()]


def silver_specs(contract: Contract) -> list[dg.AssetCheckSpec]:
    """The checks of a Silver table; those that its contract gives no ground for are left out."""
    names = dict(SILVER_CHECKS)
    if contract.event_date is None:
        del names["key_dates"]
    if contract.scd == 1:
        del names["history"]
    if not contract.waiting_columns:
        del names["waiting"]
    if contract.volume is None:
        del names["volume"]
    if contract.freshness is None:
        del names["freshness"]
    key = dg.AssetKey(contract.silver.key)
    blocking = {*_BLOCKING, *(("source_fields",) if contract.schema_evolution == "strict" else ())}
    return [dg.AssetCheckSpec(name, asset=key, description=text, blocking=name in blocking) for name, text in names.items()]


@dataclass(frozen=True)
class Verdict:
    """The outcome of a check, before it is Dagster's."""

    name: str
    passed: bool
    text: str
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR
    numbers: Mapping[str, int | float | str] | None = None

    def result(self, key: Sequence[str]) -> dg.AssetCheckResult:
        """As a run reports it."""
        return dg.AssetCheckResult(
            asset_key=dg.AssetKey(list(key)),
            check_name=self.name,
            passed=self.passed,
            severity=self.severity,
            description=self.text,
            metadata=dict(self.numbers or {}),
        )


def check_schema(contract: Contract, table: DeltaTable) -> Verdict:
    """Contract against Delta schema."""
    have = {f.name: _spark_type(f.type) for f in table.schema().fields}
    want = {f.name: _plain(f.type) for f in silver_fields(contract)}
    wrong = [f"{n}: {have.get(n, 'missing')} instead of {t}" for n, t in want.items() if have.get(n) != t]
    text = "; ".join(wrong) or f"All {len(want)} columns are as the contract declares."
    return Verdict("schema", not wrong, text)


def check_volume(contract: Contract, table: DeltaTable, dates: frozenset[date]) -> Verdict:
    """Rows per touched partition against the contract's bounds."""
    volume = contract.volume
    assert volume is not None
    rows: dict[Day, int] = rows_by_partition(table, contract.event_date)
    low, high = volume.minimum or 0, volume.maximum if volume.maximum is not None else 1 << 62
    touched = {d: n for d, n in rows.items() if contract.event_date is None or d in dates}
    outside = {d: n for d, n in touched.items() if not low <= n <= high}
    text = "; ".join(f"{d or contract.name}: {n:,} rows" for d, n in sorted(outside.items(), key=str)[:5]) or f"{len(touched)} partitions looked at."
    severity = dg.AssetCheckSeverity.ERROR if volume.severity == "error" else dg.AssetCheckSeverity.WARN
    return Verdict("volume", not outside, text, severity)


def check_freshness(contract: Contract, table: DeltaTable, now: datetime | None = None) -> Verdict:
    """Age of the newest data, by the data's own time, against the contract's promise. Warns: stale data is still right."""
    newest = newest_data(contract, table)
    assert contract.freshness is not None
    if newest is None:
        return Verdict("freshness", False, "The table is empty.", dg.AssetCheckSeverity.WARN)
    age = (now or datetime.now(UTC)) - newest
    text = f"The newest {contract.freshness_column} is {newest:%Y-%m-%d %H:%M} UTC; promised is an age of at most {contract.freshness}."
    numbers: dict[str, int | float | str] = {"age_seconds": age.total_seconds(), "newest": newest.isoformat()}
    return Verdict("freshness", age <= contract.freshness, text, dg.AssetCheckSeverity.WARN, numbers)


def check_fields(contract: Contract, unknown: Mapping[str, int], gone: Mapping[str, float], records: int, patch: str) -> Verdict:
    """Fields that the contract does not take (records that have them), and columns whose field no record had (share of rows that had a value before)."""
    told = [f"{column} is in none of {records:,} records, and {share:.0%} of the rows before had a value" for column, share in gone.items()]
    told += [f"{field} is in {n:,} of {records:,} records and the contract does not take it" for field, n in list(unknown.items())[:_TOLD]]
    if unknown:
        more = f"{len(unknown) - _TOLD} more such fields: " if len(unknown) > _TOLD else ""
        told.append(f"{more}Bronze keeps them; name them in ignoredFields of {contract.file.name}, or take them in" + (f":\n{patch}" if patch else ""))
    severity = dg.AssetCheckSeverity.ERROR if contract.schema_evolution == "strict" else dg.AssetCheckSeverity.WARN
    numbers: dict[str, int | float | str] = {f"unknown: {field}": n for field, n in unknown.items()}
    numbers |= {f"gone: {column}": share for column, share in gone.items()} | ({"suggested_columns": patch} if patch else {})
    return Verdict("source_fields", not told, ". ".join(told) or "The fields are those that the contract takes.", severity, numbers)


def check_refused(refused: int, total: int, by_rule: Mapping[str, int], table: str, still: int = 0) -> Verdict:
    """How many of the new records were refused, and why; `still`: how many that had been refused before are, put through again."""
    share = refused / total if total else 0.0
    severity = dg.AssetCheckSeverity.ERROR if share > MOST_REFUSED else dg.AssetCheckSeverity.WARN
    reasons = ", ".join(f"{rule} {n:,}" for rule, n in sorted(by_rule.items(), key=lambda i: -i[1])[:8])
    said = [f"{refused:,} of {total:,} records were refused ({share:.2%})"] * bool(refused) + [f"{still:,} refused before still are"] * bool(still)
    text = f"{'; '.join(said)}: {reasons}. See them with: lakehouse quarantine show {table}" if said else "None was refused."
    return Verdict("row_rules", not said, text, severity, {**by_rule, "refused": refused + still, "records": total})


def check_waiting(contract: Contract, today: date) -> Verdict:
    """How many records wait for rows of other tables, and how many for too long; from file statistics. Only telling: they are let in whenever these come."""
    waiting, overdue = filled(contract.quarantine, "_held_until"), filled_until(contract.quarantine, "_held_until", today)
    named = ", ".join(f"{c.name} ({parent.silver})" for c, parent in contract.waiting_columns)
    text = f"{waiting:,} records wait for the rows that they name by {named}; {overdue:,} of them for too long."
    text += f" See them with: lakehouse quarantine show {contract.name}" if waiting else ""
    return Verdict("waiting", overdue == 0, text, dg.AssetCheckSeverity.WARN, {"waiting": waiting, "overdue": overdue})


def _plain(type_: str) -> str:
    return type_.lower().replace(" ", "").replace("integer", "int")


_DELTA_TYPES = {"long": "bigint", "integer": "int", "short": "smallint", "byte": "tinyint"}


def _spark_type(type_: object) -> str:
    """A Delta type in Spark SQL's words."""
    kind = getattr(type_, "type", None)
    if isinstance(kind, str):
        if kind == "array":
            return f"array<{_spark_type(type_.element_type)}>"  # type: ignore[attr-defined]
        if kind == "map":
            return f"map<{_spark_type(type_.key_type)},{_spark_type(type_.value_type)}>"  # type: ignore[attr-defined]
        if kind == "struct":
            return "struct<" + ",".join(_members(type_)) + ">"
        return _plain(_DELTA_TYPES.get(kind, kind))
    return str(type_)


def _members(type_: object) -> Iterator[str]:
    for member in type_.fields:  # type: ignore[attr-defined]
        yield f"{member.name}:{_spark_type(member.type)}".lower()
