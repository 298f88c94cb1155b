"""The row rules that a contract implies, by name: what a quarantined row's reasons can be. Not here: their SQL (`lakehouse.quality.rules`)."""

from __future__ import annotations

from lakehouse.contracts.expressions import columns_of
from lakehouse.contracts.model import Column, Contract, Disposition, KafkaSource
from lakehouse.contracts.spark_types import family

ImpliedRule = tuple[str, str, Disposition]


def implied_rules(contract: Contract) -> list[ImpliedRule]:
    """(name, description, on_fail) of every rule that follows from the contract, without its own `rules`."""
    rules = [*_of_format(contract), *_of_envelope(contract), *_of_dates(contract)]
    for column in contract.columns:
        rules += [(f"{column.name}_{end}", told, _on_fail(contract, column, end)) for end, told in _of_column(column)]
    return rules + [(known(c), f"names a row of {p.silver}; until it is there the record waits", "hold") for c, p in contract.waiting_columns]


def known(column: Column) -> str:
    """The rule that a record breaks while the row that it names is not there."""
    return f"{column.name}_known"


def _on_fail(contract: Contract, column: Column, end: str) -> Disposition:
    """A value of the wrong type, or a row without identity, can't be kept, whatever the column says."""
    if end == "type":
        return "fail" if column.on_fail == "fail" else "quarantine"
    placed = {*contract.identity, *(contract.sequence if contract.feed else ())}
    return "quarantine" if end == "required" and column.name in placed else column.on_fail


def refusing(contract: Contract) -> set[str]:
    """The columns, in lower case, by whose values a row can be refused."""
    wanted = ("quarantine", "drop")
    by_column = {c.name.lower() for c in contract.columns for end, _ in _of_column(c) if _on_fail(contract, c, end) in wanted}
    return by_column.union(*(columns_of(rule.expression) for rule in contract.rules if rule.on_fail in wanted))


def implied_names(columns: tuple[Column, ...]) -> set[str]:
    """The names that no rule of a contract's own may take."""
    names = {"malformed", "invalid_utf8", "duplicate_field", "field_case", "late", "future", "source_date_out_of_range"}
    names |= {name for name, _, _ in (*AVRO, *ENVELOPE)}
    return names | {f"{c.name}_{end}" for c in columns for end in ("required", "type", "in_set", "pattern", "in_range", "length", "not_nan", "known")}


def _of_format(contract: Contract) -> list[ImpliedRule]:
    if not contract.source.is_text:
        return []
    form = contract.source.format.upper()
    return [
        *(AVRO if isinstance(contract.source, KafkaSource) and contract.source.registry else ()),
        ("malformed", f"the record is no {form} record", "quarantine"),
        ("invalid_utf8", "the record is not UTF-8", "quarantine"),
        ("duplicate_field", "the record names a field twice", "quarantine"),
        ("field_case", "the record writes a field's name in another case", "quarantine"),
    ]


AVRO: tuple[ImpliedRule, ...] = (
    ("unframed", "the record does not begin with a zero byte and the four of its schema's id", "quarantine"),
    ("unknown_schema", "the registry has no schema of the record's id, or none that can be read here", "quarantine"),
)
ENVELOPE: tuple[ImpliedRule, ...] = (
    ("empty_message", "the record is empty: what Kafka keeps of a deleted key when it compacts a topic", "drop"),
    ("unknown_operation", "the operation is c, r, u or d, with the row that it needs", "quarantine"),
    ("unavailable_value", "Debezium had the value: with replica identity FULL it always has", "quarantine"),
)


def _of_envelope(contract: Contract) -> list[ImpliedRule]:
    return list(ENVELOPE) if contract.feed and contract.feed.form == "debezium" else []


def _of_dates(contract: Contract) -> list[ImpliedRule]:
    rules: list[ImpliedRule] = [("source_date_out_of_range", f"its source gives no date from {contract.start} on", "quarantine")]
    if contract.kind == "event":
        days = contract.lateness_days
        rules += [
            ("late", f"{contract.event_date} is more than {days} day{'s' * (days != 1)} before the day the record arrived", "quarantine"),
            ("future", f"{contract.event_date} is more than 1 day after the day the record arrived", "quarantine"),
        ]
    return rules


def _of_column(column: Column) -> list[tuple[str, str]]:
    rules = []
    if column.required:
        rules.append(("required", "has a value"))
    if not column.derived and column.type != "string":  # whatever there is can be kept as text
        rules.append(("type", f"can be read as {column.type}"))
    if family(column.type) in ("double", "float"):
        rules.append(("not_nan", "is a number, not NaN"))
    if column.enum:
        rules.append(("in_set", f"is one of {', '.join(column.enum)}"))
    if column.pattern is not None:
        rules.append(("pattern", f"matches {column.pattern}"))
    bounds = range_text(column)
    if bounds:
        rules.append(("in_range", f"is {bounds}"))
    if column.min_length is not None or column.max_length is not None:
        rules.append(("length", f"has {column.min_length or 0} to {'any number of' if column.max_length is None else column.max_length} characters"))
    return rules


def range_text(column: Column) -> str:
    """The column's bounds in words, such as `>= 0 and < 10`; empty when it has none."""
    bounds = ((">=", column.minimum), (">", column.exclusive_minimum), ("<=", column.maximum), ("<", column.exclusive_maximum))
    return " and ".join(f"{sign} {value}" for sign, value in bounds if value is not None)
