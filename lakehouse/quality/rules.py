"""A contract's row rules as Spark columns: which rules a typed row breaks, and what that means for it.

Pure, and without Dagster. As in SQL's own CHECK, a rule passes when its value is NULL; `required` speaks of missing values.
Not here: reading and typing (`silver.parse`), storing refused rows (`quality.quarantine`).
"""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.contracts.model import Column as ContractColumn
from lakehouse.contracts.model import Contract, Disposition
from lakehouse.contracts.rules import AVRO, ENVELOPE, known

UNREADABLE = ("malformed", "invalid_utf8", "duplicate_field", "field_case", "source_date_out_of_range", "late", "future")

REFUSING = ("quarantine", "drop", "hold")
_UNREAD = ("malformed", "unframed", "unknown_schema", "empty_message", "unknown_operation")


@dataclass(frozen=True)
class RowRule:
    """A named condition that is true for a row that breaks the rule."""

    name: str
    broken: Column
    on_fail: Disposition = "quarantine"


def unknown(column: ContractColumn) -> str:
    """The column of parsed rows that tells whether the row of another table that a value names is not there."""
    return f"_unknown_{column.name}"


def dispositions(contract: Contract) -> dict[str, Disposition]:
    """What happens to a row that breaks each rule, implied ones included, by rule name."""
    implied: dict[str, Disposition] = {f"{c.name}_{kind}": c.on_fail for c in contract.columns for kind in _KINDS}
    always: dict[str, Disposition] = dict.fromkeys(UNREADABLE, "quarantine")
    # A value of the wrong type can't be stored: neither warn nor fail would keep it.
    types: dict[str, Disposition] = {f"{c.name}_type": "fail" if c.on_fail == "fail" else "quarantine" for c in contract.columns}
    placed = (*contract.identity, *(contract.sequence if contract.feed else ()))
    keys: dict[str, Disposition] = {f"{c}_required": "quarantine" for c in placed}
    envelope: dict[str, Disposition] = {name: on_fail for name, _, on_fail in (*AVRO, *ENVELOPE)}
    waiting: dict[str, Disposition] = {known(c): "hold" for c, _ in contract.waiting_columns}
    return {**implied, **types, **keys, **always, **envelope, **waiting, **{r.name: r.on_fail for r in contract.rules}}


_KINDS = ("required", "in_set", "pattern", "in_range", "length", "not_nan")


def judge(rows: DataFrame, contract: Contract) -> DataFrame:
    """Add `_reasons` (all rules the row breaks, NULL when none) and `_accepted` to parsed rows; drops `_problems`.

    Where the contract names rows of other tables, the rows also tell whether these are there (see `unknown`).
    """
    rules = [*_row_rules(contract), *_date_rules(contract), *(RowRule(known(c), F.col(unknown(c)), "hold") for c, _ in contract.waiting_columns)]
    anything = F.col("_problems").isNotNull()
    for rule in rules:
        anything = anything | F.coalesce(rule.broken, F.lit(False))
    # Projections of their own: good rows, nearly all, only ever evaluate the plain conditions, in code small enough to be compiled.
    suspects = rows.withColumn("_suspect", anything)
    found = F.when(
        F.col("_suspect"),
        _compact(F.concat(F.coalesce("_problems", F.expr("array()").cast("array<string>")), F.array(*[F.when(r.broken, F.lit(r.name)) for r in rules]))),
    )
    unread = F.arrays_overlap("_problems", F.array(*map(F.lit, _UNREAD)))  # such a record has no values that could break a rule
    reasons = F.when(unread, F.col("_problems")).otherwise(_causes(F.col("_found"), contract))
    judged = suspects.withColumn("_found", found).withColumn("_reasons", F.when(F.col("_suspect"), reasons))
    fatal = F.array(*[F.lit(name) for name, action in dispositions(contract).items() if action in REFUSING])
    told = [unknown(c) for c, _ in contract.waiting_columns]
    return judged.withColumn("_accepted", ~F.col("_suspect") | ~F.arrays_overlap("_reasons", fatal)).drop("_problems", "_suspect", "_found", *told)


def _compact(names: Column) -> Column:
    """Without NULLs and repetitions, in generated code, which a filter by lambda is not."""
    return F.array_except(names, F.array(F.lit(None).cast("string")))


def _causes(found: Column, contract: Contract) -> Column:
    """Without consequences: a column that failed its type is not missing too, nor is one derived from a column that failed.

    Where nothing but warnings would be left, the consequence is what refuses the record, and stays.
    """
    typed = [F.when(F.array_contains(found, f"{c.name}_type"), F.lit(f"{c.name}_required")) for c in contract.read_columns if c.required]
    direct = F.array_except(found, F.array(*typed, F.lit("")))
    roots = F.array_except(direct, F.array(*[F.lit(f"{c.name}_required") for c in contract.derived_columns], F.lit("")))
    grave = F.array(*[F.lit(name) for name, action in dispositions(contract).items() if action != "warn"])
    return F.when(F.arrays_overlap(roots, grave), roots).otherwise(direct)


def _row_rules(contract: Contract) -> list[RowRule]:
    own = [RowRule(r.name, ~F.expr(r.expression), r.on_fail) for r in contract.rules]
    if contract.feed is None:
        return [rule for column in contract.columns for rule in _column_rules(column)] + own
    told = contract.told_by_deletes
    always = [rule for column in contract.columns if column.name in told for rule in _column_rules(column)]
    of_rows = [rule for column in contract.columns if column.name not in told for rule in _column_rules(column)] + own
    return always + [RowRule(r.name, ~F.col("is_deleted") & r.broken, r.on_fail) for r in of_rows]  # a delete tells the key and its place, no more


def _column_rules(column: ContractColumn) -> list[RowRule]:
    """The rules that a column's own declaration implies."""
    value, rules = F.col(column.name), []
    if column.required:
        rules.append(RowRule(f"{column.name}_required", value.isNull()))
    if column.enum:
        rules.append(RowRule(f"{column.name}_in_set", ~value.cast("string").isin(*column.enum)))
    if column.pattern is not None:
        rules.append(RowRule(f"{column.name}_pattern", ~value.rlike(column.pattern)))
    if column.min_length is not None or column.max_length is not None:
        length = F.length(value)
        rules.append(RowRule(f"{column.name}_length", (length < (column.min_length or 0)) | (length > (column.max_length or 1 << 30))))
    if column.type.lower() in ("double", "float"):
        # NaN passes >= and sorts above every number in Spark, and infinity poisons every sum: neither is a measurement.
        rules.append(RowRule(f"{column.name}_not_nan", F.isnan(value) | (F.abs(value) == F.lit(float("inf")))))
    bounds = _bounds(column)
    return rules if bounds is None else [*rules, RowRule(f"{column.name}_in_range", bounds)]


def _bounds(column: ContractColumn) -> Column | None:
    value = F.col(column.name)
    if column.type.lower() in ("double", "float"):
        value = F.nanvl(value, F.lit(None).cast(column.type))  # `not_nan` speaks of NaN
    outside = [
        value < _bound(column, column.minimum) if column.minimum is not None else None,
        value > _bound(column, column.maximum) if column.maximum is not None else None,
        value <= _bound(column, column.exclusive_minimum) if column.exclusive_minimum is not None else None,
        value >= _bound(column, column.exclusive_maximum) if column.exclusive_maximum is not None else None,
    ]
    result: Column | None = None
    for condition in outside:
        result = condition if result is None else (result if condition is None else result | condition)
    return result


def _bound(column: ContractColumn, value: float | str) -> Column:
    return F.lit(str(value)).cast(column.type)


def _date_rules(contract: Contract) -> list[RowRule]:
    """Decided by the row alone, never by the clock of the run: B - L <= D <= B + 1 day, with Bronze day B and event date D."""
    rules = [RowRule("source_date_out_of_range", F.col("_source_date").isNull())]
    if contract.event_date is not None:
        age = F.datediff("_source_date", contract.event_date)
        rules += [RowRule("late", age > contract.lateness_days), RowRule("future", age < -1)]
    return rules
