"""What a change of a contract means, one line each; and that no combination of changes is called milder than its worst."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.contracts.change import announces, grown, next_version, required
from lakehouse.contracts.compare import compare
from lakehouse.contracts.loader import load_contracts
from lakehouse.contracts.model import ChangeFeed, Column, Contract, FileSource, KafkaSource, Maintenance, Parent, PostgresSource, Rule, Upkeep, Volume
from lakehouse.contracts.recorded import properties, recorded
from lakehouse.errors import ContractUnreadable
from lakehouse.settings import PROJECT

COLUMNS = (
    Column("id", "string", "string", required=True),
    Column("seq", "int", "integer", required=True),
    Column("at", "timestamp", "timestamp", required=True, timezone="Europe/Berlin"),
    Column("value", "int", "integer", "What was measured.", minimum=0, maximum=100),
    Column("price", "decimal(10,2)", "number", required=True),
    Column("unit", "string", "string", enum=("a", "b"), min_length=1, max_length=9, pattern="^[a-z]$"),
    Column("since", "date", "date", exclusive_minimum="2020-01-01", format="dd.MM.yyyy"),
    Column("email", "string", "string", masking="redact", classification="restricted", tags=("pii", "contact")),
    Column("twice", "bigint", "integer", expression="value * 2"),
    Column("note", "string", "string", source_field="Note", max_length=10, on_fail="warn"),
    Column("day", "date", "date", required=True, expression="cast(at as date)"),
)
EVENT = Contract(
    "t", "1.0.0", "shop", "event", COLUMNS, ("id", "seq"), FileSource("shop/t", "csv"), date(2026, 1, 1), Path("t.odcs.yaml"), ("at",), "day", 2,
    (Rule("positive", "value > 0"), Rule("odd", "value % 2 = 1", "warn", "Even ones are rare.")), timedelta(hours=2), "at", Volume(1, 10, "error"),
    description="Things.", grain="One row per thing.", owners=("ada@example.com",), support=("#t",), tags=("iot", "pii"),
)  # fmt: skip
HISTORY = replace(
    EVENT, kind="entity", event_date=None, lateness_days=0, key=("id",), scd=2, source=FileSource("shop/t", "json"), freshness=None, freshness_column=None,
    feed=ChangeFeed("columns", "unit = 'a'", ("at", "seq", "unit"), ("note",)), sequence=("at", "seq"),
)  # fmt: skip
KAFKA = replace(EVENT, source=KafkaSource("one:9092", topic="t"))
AVRO = replace(EVENT, source=KafkaSource("one:9092", "avro", topic="t", registry="http://one"))
POSTGRES = replace(EVENT, source=PostgresSource("one", 5432, "shop", "public", "t", "at"))

Edit = Callable[[Contract], Contract]


def the(name: str, /, **changes: Any) -> Edit:
    """A column with other declarations."""
    return lambda c: replace(c, columns=tuple(replace(x, **changes) if x.name == name else x for x in c.columns))


def table(**changes: Any) -> Edit:
    return lambda c: replace(c, **changes)


def source(**changes: Any) -> Edit:
    return lambda c: replace(c, source=replace(c.source, **changes))


def feed(**changes: Any) -> Edit:
    return lambda c: replace(c, feed=replace(c.feed or ChangeFeed(), **changes))


def add(column: Column) -> Edit:
    return lambda c: replace(c, columns=(*c.columns, column))


def drop(name: str) -> Edit:
    return lambda c: replace(c, columns=tuple(x for x in c.columns if x.name != name))


def rule(name: str, /, **changes: Any) -> Edit:
    return lambda c: replace(c, rules=tuple(replace(r, **changes) if r.name == name else r for r in c.rules))


# (what, from, edit, area, kind, level, redo); each concerns a thing of its own, so that any of one `from` can be combined
UNITS = Parent("units", "unit", 7)
WAITING = the("unit", parent=UNITS)(EVENT)

CASES: list[tuple[str, Contract, Edit, str, str, str, str]] = [
    ("a column is added", EVENT, add(Column("more", "string", "string")), "columns", "compatible", "minor", "rows"),
    ("a column is dropped", EVENT, drop("twice"), "columns", "breaking", "major", "table"),
    ("a number becomes wider", EVENT, the("value", type="bigint"), "columns", "widening", "minor", "rows"),
    ("a decimal gets more digits", EVENT, the("price", type="decimal(12,3)"), "columns", "widening", "minor", "rows"),
    ("a decimal loses digits before its point", EVENT, the("price", type="decimal(10,3)"), "columns", "breaking", "major", "table"),
    ("a number becomes text", EVENT, the("value", type="string"), "columns", "breaking", "major", "table"),
    ("a number becomes narrower", EVENT, the("value", type="smallint"), "columns", "breaking", "major", "table"),
    ("another logical type", EVENT, the("value", logical_type="number"), "texts", "compatible", "patch", "nothing"),
    ("another description", EVENT, the("value", description="Else."), "texts", "compatible", "patch", "nothing"),
    ("columns in another order", EVENT, lambda c: replace(c, columns=tuple(reversed(c.columns))), "columns", "compatible", "patch", "nothing"),
    ("another expression", EVENT, the("twice", expression="value + value"), "columns", "widening", "minor", "rows"),
    ("a column becomes computed", EVENT, the("unit", expression="'a'"), "columns", "widening", "minor", "rows"),
    ("another field is read", EVENT, the("note", source_field="Remark"), "columns", "widening", "minor", "rows"),
    ("another date format", EVENT, the("since", format=None), "columns", "widening", "minor", "rows"),
    ("another zone for what decides the order", EVENT, the("at", timezone="UTC"), "columns", "breaking", "major", "table"),
    ("the event date is computed otherwise", EVENT, the("day", expression="date_sub(cast(at as date), 1)"), "columns", "breaking", "major", "table"),
    ("the key is read from another field", EVENT, the("id", source_field="ID"), "columns", "breaking", "major", "table"),
    ("a required column may be empty", EVENT, the("price", required=False), "rules", "breaking", "major", "rows"),
    ("a required column only warns", EVENT, the("price", on_fail="warn"), "rules", "breaking", "major", "rows"),
    ("a column becomes required", EVENT, the("value", required=True), "rules", "compatible", "minor", "rows"),
    ("a column that warns becomes required", EVENT, the("note", required=True), "rules", "compatible", "minor", "nothing"),
    ("refused rows are dropped", EVENT, the("unit", on_fail="drop"), "rules", "compatible", "minor", "nothing"),
    ("rules of a column only warn", EVENT, the("unit", on_fail="warn"), "rules", "widening", "minor", "rows"),
    ("rules of a column refuse", EVENT, the("note", on_fail="quarantine"), "rules", "compatible", "minor", "rows"),
    ("a value more", EVENT, the("unit", enum=("a", "b", "c")), "rules", "widening", "minor", "rows"),
    ("a value less", EVENT, the("unit", enum=("a",)), "rules", "compatible", "minor", "rows"),
    ("one value for another", EVENT, the("unit", enum=("a", "c")), "rules", "widening", "minor", "rows"),
    ("any value", EVENT, the("unit", enum=()), "rules", "widening", "minor", "rows"),
    ("only some values", EVENT, the("id", enum=("x",)), "rules", "compatible", "minor", "rows"),
    ("another pattern", EVENT, the("unit", pattern="^[a-z0-9]$"), "rules", "widening", "minor", "rows"),
    ("no pattern", EVENT, the("unit", pattern=None), "rules", "widening", "minor", "rows"),
    ("a pattern", EVENT, the("email", pattern="@"), "rules", "compatible", "minor", "rows"),
    ("a higher maximum", EVENT, the("value", maximum=200), "rules", "widening", "minor", "rows"),
    ("a lower maximum", EVENT, the("value", maximum=50), "rules", "compatible", "minor", "rows"),
    ("no minimum", EVENT, the("value", minimum=None), "rules", "widening", "minor", "rows"),
    ("a bound where there was none", EVENT, the("price", exclusive_maximum=9), "rules", "compatible", "minor", "rows"),
    ("an earlier date", EVENT, the("since", exclusive_minimum="2019-12-31"), "rules", "widening", "minor", "rows"),
    ("a later date", EVENT, the("since", exclusive_minimum="2021-01-01"), "rules", "compatible", "minor", "rows"),
    ("a moment that can't be compared", EVENT, the("since", exclusive_minimum="2021-01-01T00:00:00Z"), "rules", "widening", "minor", "rows"),
    ("longer texts", EVENT, the("unit", max_length=20), "rules", "widening", "minor", "rows"),
    ("shorter texts", EVENT, the("unit", max_length=3), "rules", "compatible", "minor", "rows"),
    ("empty texts", EVENT, the("unit", min_length=0), "rules", "widening", "minor", "rows"),
    ("a limit that warns", EVENT, the("note", max_length=99), "rules", "compatible", "minor", "nothing"),
    ("a column waits for rows", EVENT, the("unit", parent=UNITS), "rules", "compatible", "minor", "rows"),
    ("a column no longer waits", WAITING, the("unit", parent=None), "rules", "widening", "minor", "rows"),
    ("a column waits for other rows", WAITING, the("unit", parent=replace(UNITS, table="u", column="v")), "rules", "widening", "minor", "rows"),
    ("a record may wait longer", WAITING, the("unit", parent=replace(UNITS, horizon_days=9)), "rules", "compatible", "patch", "nothing"),
    ("masking is removed", EVENT, the("email", masking=None), "personal data", "breaking", "major", "rows"),
    ("masking is weaker", EVENT, the("email", masking="sha256"), "personal data", "breaking", "major", "rows"),
    ("masking is stronger", EVENT, the("email", masking="null"), "personal data", "breaking", "major", "rows"),
    ("a column is masked", EVENT, the("note", masking="sha256"), "personal data", "breaking", "major", "rows"),
    ("the key is masked", EVENT, the("id", masking="sha256"), "personal data", "breaking", "major", "table"),
    ("a lower classification", EVENT, the("email", classification="internal"), "personal data", "breaking", "major", "nothing"),
    ("no classification", EVENT, the("email", classification=None), "personal data", "breaking", "major", "nothing"),
    ("a classification that nobody knows", EVENT, the("email", classification="green"), "personal data", "breaking", "major", "nothing"),
    ("a first classification", EVENT, the("note", classification="confidential"), "personal data", "compatible", "minor", "nothing"),
    ("no longer tagged pii", EVENT, the("email", tags=("contact",)), "personal data", "breaking", "major", "nothing"),
    ("other tags", EVENT, the("email", tags=("pii", "mail")), "texts", "compatible", "patch", "nothing"),
    ("the table is no longer tagged pii", EVENT, table(tags=("iot",)), "personal data", "breaking", "major", "nothing"),
    ("the table is tagged", EVENT, table(tags=("iot", "pii", "new")), "texts", "compatible", "patch", "nothing"),
    ("a rule", EVENT, lambda c: replace(c, rules=(*c.rules, Rule("r", "seq > 0"))), "rules", "compatible", "minor", "rows"),
    ("a rule that warns", EVENT, lambda c: replace(c, rules=(*c.rules, Rule("r", "seq > 0", "warn"))), "rules", "compatible", "patch", "nothing"),
    ("a rule less", EVENT, lambda c: replace(c, rules=c.rules[1:]), "rules", "widening", "minor", "rows"),
    ("a rule less that warned", EVENT, lambda c: replace(c, rules=c.rules[:1]), "rules", "compatible", "minor", "nothing"),
    ("another rule", EVENT, rule("positive", expression="value > 1"), "rules", "widening", "minor", "rows"),
    ("another rule that warns", EVENT, rule("odd", expression="value % 2 <> 0"), "rules", "compatible", "minor", "nothing"),
    ("a rule only warns", EVENT, rule("positive", on_fail="warn"), "rules", "widening", "minor", "rows"),
    ("a rule refuses", EVENT, rule("odd", on_fail="fail"), "rules", "compatible", "minor", "rows"),
    ("another text of a rule", EVENT, rule("odd", description="Else."), "rules", "compatible", "patch", "nothing"),
    ("another kind", EVENT, table(kind="entity"), "identity", "breaking", "major", "table"),
    ("another key", EVENT, table(key=("id",)), "identity", "breaking", "major", "table"),
    ("the key in another order", EVENT, table(key=("seq", "id")), "identity", "compatible", "patch", "nothing"),
    ("another event date", EVENT, table(event_date="since"), "identity", "breaking", "major", "table"),
    ("another order of records", EVENT, table(sequence=("at", "seq")), "identity", "breaking", "major", "table"),
    ("history", replace(HISTORY, scd=1), table(scd=2), "identity", "breaking", "major", "table"),
    ("no change feed", HISTORY, table(feed=None), "identity", "breaking", "major", "table"),
    ("a change feed", replace(HISTORY, feed=None, scd=1), table(feed=ChangeFeed()), "identity", "breaking", "major", "table"),
    ("another form of changes", HISTORY, feed(form="debezium"), "identity", "breaking", "major", "source"),
    ("another delete", HISTORY, feed(delete_when=None), "identity", "breaking", "major", "table"),
    ("another column that counts as no change", HISTORY, feed(ignore=()), "identity", "breaking", "major", "table"),
    ("another column of the feed's own", HISTORY, feed(control=("at", "seq")), "identity", "breaking", "major", "table"),
    ("an earlier first day", EVENT, table(start=date(2025, 1, 1)), "identity", "compatible", "minor", "rows"),
    ("a later first day", EVENT, table(start=date(2026, 2, 1)), "identity", "breaking", "major", "rows"),
    ("later records count", EVENT, table(lateness_days=3), "identity", "widening", "minor", "rows"),
    ("late records count no longer", EVENT, table(lateness_days=1), "identity", "breaking", "major", "rows"),
    ("files elsewhere", EVENT, source(path="shop/u"), "source", "widening", "minor", "nothing"),
    ("other files", EVENT, source(pattern="*.csv"), "source", "widening", "minor", "nothing"),
    ("another format", EVENT, source(format="json"), "source", "breaking", "major", "source"),
    ("another delimiter", EVENT, source(delimiter=";"), "source", "breaking", "major", "source"),
    ("another quote", EVENT, source(quote="'"), "source", "breaking", "major", "source"),
    ("another escape", EVENT, source(escape="\\"), "source", "breaking", "major", "source"),
    ("another text for no value", EVENT, source(null_value="NA"), "source", "breaking", "major", "source"),
    ("fields of several lines", EVENT, source(multi_line=True), "source", "breaking", "major", "source"),
    ("another day of a file", EVENT, source(date_pattern=None), "source", "breaking", "major", "source"),
    ("snapshots instead of records", EVENT, source(compared=True), "source", "breaking", "major", "source"),
    ("another time of a snapshot", EVENT, source(time_pattern="T(..)"), "source", "breaking", "major", "source"),
    ("another sign of a complete snapshot", EVENT, source(complete="_SUCCESS"), "source", "compatible", "patch", "nothing"),
    ("another limit of a snapshot", EVENT, source(max_gone=0.1), "source", "compatible", "patch", "nothing"),
    ("files of longer ago", EVENT, source(lookback_days=9), "source", "compatible", "patch", "nothing"),
    ("more files at once", EVENT, source(max_files=9), "source", "compatible", "patch", "nothing"),
    ("more bytes at once", EVENT, source(max_bytes=9), "source", "compatible", "patch", "nothing"),
    ("a stream for files", EVENT, table(source=KafkaSource("one", topic="t")), "source", "breaking", "major", "source"),
    ("a stream for files of its form", HISTORY, table(source=KafkaSource("one", topic="t")), "source", "breaking", "major", "nothing"),
    ("other brokers", KAFKA, source(brokers="two:9092"), "source", "compatible", "patch", "nothing"),
    ("another topic", KAFKA, source(topic="u"), "source", "widening", "minor", "nothing"),
    ("topics", KAFKA, source(topic_pattern="t.*"), "source", "widening", "minor", "nothing"),
    ("more records at once", KAFKA, source(max_records=9), "source", "compatible", "patch", "nothing"),
    ("Avro for JSON", KAFKA, source(format="avro", avro_schema="{}"), "source", "breaking", "major", "source"),
    ("another Avro schema", AVRO, source(avro_schema="{}"), "source", "breaking", "major", "source"),
    ("another registry", AVRO, source(registry="http://two"), "source", "compatible", "patch", "nothing"),
    ("another host", POSTGRES, source(host="two"), "source", "compatible", "patch", "nothing"),
    ("another port", POSTGRES, source(port=1), "source", "compatible", "patch", "nothing"),
    ("another database", POSTGRES, source(database="other"), "source", "widening", "minor", "nothing"),
    ("another schema", POSTGRES, source(schema="other"), "source", "widening", "minor", "nothing"),
    ("another table", POSTGRES, source(table="other"), "source", "widening", "minor", "nothing"),
    ("snapshots for a cursor", POSTGRES, source(cursor=None), "source", "breaking", "major", "source"),
    ("a longer overlap", POSTGRES, source(overlap=9), "source", "compatible", "patch", "nothing"),
    ("more connections", POSTGRES, source(parallel=9), "source", "compatible", "patch", "nothing"),
    ("more rows at once", POSTGRES, source(max_records=9), "source", "compatible", "patch", "nothing"),
    ("rarer snapshots", POSTGRES, source(interval=9), "source", "compatible", "patch", "nothing"),
    ("older data is allowed", EVENT, table(freshness=timedelta(hours=3)), "promises", "widening", "minor", "nothing"),
    ("fresher data is promised", EVENT, table(freshness=timedelta(hours=1)), "promises", "compatible", "minor", "nothing"),
    ("freshness is no longer promised", EVENT, table(freshness=None), "promises", "widening", "minor", "nothing"),
    ("freshness by another time", EVENT, table(freshness_column="day"), "promises", "widening", "minor", "nothing"),
    ("fewer rows are allowed", EVENT, table(volume=Volume(0, 10, "error")), "promises", "widening", "minor", "nothing"),
    ("more rows are allowed", EVENT, table(volume=Volume(1, None, "error")), "promises", "widening", "minor", "nothing"),
    ("a volume only warns", EVENT, table(volume=Volume(1, 10, "warning")), "promises", "widening", "minor", "nothing"),
    ("a volume is narrower", EVENT, table(volume=Volume(2, 9, "error")), "promises", "compatible", "minor", "nothing"),
    ("no volume", EVENT, table(volume=None), "promises", "widening", "minor", "nothing"),
    ("a field that is passed over", EVENT, table(ignored_fields=("x",)), "source", "compatible", "patch", "nothing"),
    ("new columns are an error", EVENT, table(schema_evolution="strict"), "source", "compatible", "minor", "nothing"),
    ("another domain", EVENT, table(domain="sales"), "texts", "compatible", "patch", "nothing"),
    ("another status", EVENT, table(status="deprecated"), "texts", "compatible", "patch", "nothing"),
    ("another purpose", EVENT, table(description="Else."), "texts", "compatible", "patch", "nothing"),
    ("another grain", EVENT, table(grain="Else."), "texts", "compatible", "patch", "nothing"),
    ("other owners", EVENT, table(owners=()), "texts", "compatible", "patch", "nothing"),
    ("other maintenance", EVENT, table(maintenance=Maintenance(silver=Upkeep(keep_days=14))), "promises", "compatible", "patch", "nothing"),
    ("other channels", EVENT, table(support=()), "texts", "compatible", "patch", "nothing"),
]  # fmt: skip
KINDS, LEVELS = ("compatible", "widening", "breaking"), ("patch", "minor", "major")


@pytest.mark.parametrize(("old", "edit", "area", "kind", "level", "redo"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_a_change_is_told_with_its_kind_its_level_and_what_must_be_made_again(old: Contract, edit: Edit, area: str, kind: str, level: str, redo: str) -> None:
    worst = max(compare(old, edit(old)), key=lambda c: (KINDS.index(c.kind), LEVELS.index(c.level)))
    assert (worst.area, worst.kind, worst.level, worst.redo) == (area, kind, level, redo), worst


def changed(old: Any, new: Any, path: str) -> Iterator[str]:
    """The fields that differ, down to the smallest part."""
    if is_dataclass(old) and type(old) is type(new):
        for f in fields(old):
            yield from changed(getattr(old, f.name), getattr(new, f.name), f"{type(old).__name__}.{f.name}")
    elif isinstance(old, tuple) and isinstance(new, tuple) and [getattr(x, "name", x) for x in old] == [getattr(x, "name", x) for x in new]:
        for x, y in zip(old, new, strict=True):
            yield from changed(x, y, path)
    elif old != new:
        yield path


def test_there_is_a_case_for_every_part_of_a_contract() -> None:
    """A field that is added to the vocabulary is compared, too, or this fails."""
    seen = {path for _, old, edit, *_ in CASES for path in changed(old, edit(old), "")}
    kinds = (Contract, Column, Parent, Rule, FileSource, KafkaSource, PostgresSource, ChangeFeed, Volume)
    every = {f"{kind.__name__}.{f.name}" for kind in kinds for f in fields(kind)}  # type: ignore[arg-type]
    by_its_parts = {"Contract.maintenance"}
    unsaid = {"Contract.name", "Contract.version", "Contract.file", "Contract.raw"}  # what is compared by, and what is not said
    names = {"Column.name", "Rule.name"}  # another name is another column
    one_value = {"PostgresSource.format"}
    assert every - seen == by_its_parts | unsaid | names | one_value


@settings(deadline=None)
@given(st.sets(st.sampled_from(range(len(CASES)))))
def test_changes_together_are_not_called_milder_than_the_worst_of_them(chosen: set[int]) -> None:
    old, cases = EVENT, [CASES[n] for n in sorted(chosen) if CASES[n][1] is EVENT]
    new, done, worst, level = old, set[str](), 0, -1
    for _, start, edit, _, kind, needed, _ in cases:
        touched = set(changed(start, edit(start), ""))
        subjects = {str(c.subject) for c in compare(start, edit(start))}
        if subjects & done or touched & {"Contract.columns", "Contract.rules", "Contract.source", "Contract.kind"}:
            continue  # two edits of one thing are a third
        new, done = edit(new), done | subjects
        worst, level = max(worst, KINDS.index(kind)), max(level, LEVELS.index(needed))
    found = compare(old, new)
    assert max((KINDS.index(c.kind) for c in found), default=0) >= worst
    assert (LEVELS.index(required(found) or "patch") if found else -1) >= level
    assert compare(new, new) == ()


@pytest.mark.parametrize("contract", [EVENT, HISTORY, KAFKA, AVRO, POSTGRES, *load_contracts(PROJECT / "contracts").values()], ids=lambda c: c.name)
def test_a_contract_does_not_differ_from_itself_nor_from_its_record(contract: Contract) -> None:
    record = properties(contract)
    read = recorded(contract.silver, record, contract.file)
    assert read is not None
    assert compare(contract, contract) == compare(contract, read) == compare(read, contract) == ()
    assert read == contract
    assert properties(read) == record


def test_what_is_recorded_says_version_and_hash_and_another_contract_has_another_hash() -> None:
    record, other = properties(EVENT), properties(replace(EVENT, lateness_days=3))
    assert record["lakehouse.contract.version"] == "1.0.0"
    assert record["lakehouse.contract.hash"] != other["lakehouse.contract.hash"]
    assert recorded(EVENT.silver, {}, EVENT.file) is None


@pytest.mark.parametrize("record", ['{"name": "of another time"}', "{", "[]"])
def test_a_record_that_cannot_be_read_is_an_error_with_the_next_command(record: str) -> None:
    with pytest.raises(ContractUnreadable, match=f"What silver.{EVENT.name} records .* can't be read") as error:
        recorded(EVENT.silver, {"lakehouse.contract": record}, EVENT.file)
    assert str(error.value).endswith(f"lakehouse contract apply {EVENT.name} --breaking")


def test_a_field_that_is_read_under_a_new_name_is_named_where_the_old_column_is_gone() -> None:
    renamed = the("note", name="remark")(EVENT)
    (gone,) = [c for c in compare(EVENT, renamed) if c.subject == "note"]
    assert gone.what == "is gone: remark reads its field"


def test_a_technical_column_made_of_others_can_ask_for_a_new_table_though_no_reader_is_concerned() -> None:
    typed = the("seq", type="bigint")(HISTORY)
    told = {c.subject: (c.kind, c.redo, c.stops_runs) for c in compare(HISTORY, typed)}
    assert told == {
        "seq": ("widening", "rows", False),
        "change_seq": ("compatible", "table", True),
        "_repeats": ("compatible", "table", True),
    }
    plain = add(Column("more", "string", "string"))(HISTORY)
    assert {c.subject for c in compare(HISTORY, plain)} == {"more"}, "what is compared stands in no technical column"


@pytest.mark.parametrize(
    ("old", "new", "step"),
    [
        ("1.2.3", "1.2.3", None),
        ("1.2.3", "1.2.2", None),
        ("2.0.0", "1.9.9", None),
        ("1.2.3", "1.2.4", "patch"),
        ("1.2.3", "1.3.0", "minor"),
        ("1.2.3", "2.0.0", "major"),
        ("0.2.3", "0.2.4", "minor"),
        ("0.2.3", "0.3.0", "major"),
        ("0.2.3", "1.0.0", "major"),
        ("1.2.3-rc1", "1.3.0", "minor"),
    ],
)
def test_a_version_grows_by_what_it_announces(old: str, new: str, step: str | None) -> None:
    assert grown(old, new) == step


@pytest.mark.parametrize(
    ("old", "level", "new"),
    [("1.2.3", "patch", "1.2.4"), ("1.2.3", "minor", "1.3.0"), ("1.2.3", "major", "2.0.0"), ("0.2.3", "minor", "0.2.4"), ("0.2.3", "major", "0.3.0")],
)
def test_the_next_version_announces_just_enough(old: str, level: Any, new: str) -> None:
    assert next_version(old, level) == new
    assert announces(old, new, level)
    assert not announces(old, old, level)
    assert announces(old, old, None)
