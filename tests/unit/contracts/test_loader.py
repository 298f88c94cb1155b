"""A folder of contracts becomes contracts, complete, or every mistake."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest

from lakehouse.contracts.loader import Checked, check_folder, load_contract, load_contracts
from lakehouse.contracts.model import Rule, Volume
from lakehouse.errors import ContractError

PROJECT = Path(__file__).resolve().parents[3]
Check = Callable[..., Checked]


def test_a_good_contract_is_read_completely(check: Check, event_text: str) -> None:
    checked = check(event_text)
    contract = load_contract(checked.file)
    assert (contract.name, contract.version, contract.domain, contract.kind, contract.status) == ("reading", "1.0.0", "factory", "event", "active")
    assert (contract.key, contract.event_date, contract.identity) == (("reading_id",), "event_date", ("reading_id", "event_date"))
    assert (contract.sequence, contract.lateness_days, contract.start) == (("event_time",), 2, date(2026, 1, 1))
    assert contract.rules == (Rule("plausible", "value < 500 or metric = 'vibration'", "warn"),)
    assert contract.volume == Volume(11, None, "warning")
    assert (contract.freshness, contract.freshness_column) == (timedelta(hours=2), "event_time")
    assert (contract.owners, contract.tags, contract.grain) == (("ada@example.com",), ("iot",), "One row per reading.")
    assert contract.description == "Readings of sensors."
    assert contract.file == checked.file
    source = contract.source
    assert (source.path, source.format, source.pattern, source.delimiter) == ("factory/reading", "csv", "**/*.csv", ";")
    assert source.date_pattern == r"dt=(\d{4}-\d{2}-\d{2})"


def test_columns_say_types_rules_and_where_they_come_from(check: Check, event_text: str) -> None:
    contract = load_contract(check(event_text).file)
    types = {c.name: c.type for c in contract.columns}
    assert types == {
        "reading_id": "string", "metric": "string", "value": "double", "count": "int", "price": "decimal(10,2)",
        "event_time": "timestamp", "event_date": "date", "operator": "string",
    }  # fmt: skip
    reading, operator, time_ = contract.column("reading_id"), contract.column("operator"), contract.column("event_time")
    assert (reading.pattern, reading.min_length, reading.max_length, reading.required) == ("^R-[0-9]+$", 3, 20, True)
    assert (operator.source_field, operator.masking, operator.on_fail) == ("Operator Name", "sha256", "drop")
    assert (time_.timezone, time_.format, time_.source_field) == ("Europe/Berlin", "yyyy-MM-dd HH:mm:ss", "event_time")
    assert contract.column("metric").enum == ("temperature", "vibration")
    assert (contract.column("value").minimum, contract.column("value").maximum) == (-273.15, 1000)
    assert [c.name for c in contract.derived_columns] == ["event_date"]


def test_what_is_left_unsaid_has_documented_defaults(check: Check, event_text: str) -> None:
    text = event_text.replace("  - {property: lateness, value: {days: 2}}\n", "").replace("  - {property: dedupe, value: {orderBy: [event_time]}}\n", "")
    text = text.replace(", element: reading.event_time", "").replace("  members:\n    - {username: ada@example.com, role: Owner}\n", "")
    contract = check(text).contract
    assert contract is not None
    assert (contract.lateness_days, contract.sequence) == (0, ())
    assert contract.freshness_column == "event_time", "the timestamp that the event date comes from"
    assert contract.owners == ("team:factory-data",)


def test_an_entity_has_no_event_date_and_one_row_per_key(check: Check, event_text: str) -> None:
    text = (
        event_text.replace("value: event}", "value: entity}")
        .replace("        partitioned: true\n", "")
        .replace("  - {property: lateness, value: {days: 2}}\n", "")
    )
    contract = check(text + "  - {property: scd, value: {type: 1}}\n").contract
    assert contract is not None
    assert (contract.event_date, contract.identity) == (None, ("reading_id",))


def test_a_composite_key_is_ordered_by_position(check: Check, event_text: str) -> None:
    text = event_text.replace("primaryKeyPosition: 1", "primaryKeyPosition: 2")
    text = text.replace("physicalType: int\n", "physicalType: int\n        required: true\n        primaryKey: true\n        primaryKeyPosition: 1\n")
    contract = check(text).contract
    assert contract is not None
    assert contract.key == ("count", "reading_id")


@pytest.mark.parametrize(
    ("said", "volume"),
    [
        ("mustBe: 5", Volume(5, 5)),
        ("mustBeGreaterOrEqualTo: 5", Volume(5, None)),
        ("mustBeLessThan: 5", Volume(None, 4)),
        ("mustBeLessOrEqualTo: 5, severity: error", Volume(None, 5, "error")),
        ("mustBeBetween: [1, 9]", Volume(1, 9)),
        ("mustBeGreaterThan: 0.5", Volume(1, None)),
    ],
)
def test_a_row_count_becomes_a_volume(check: Check, event_text: str, said: str, volume: Volume) -> None:
    contract = check(event_text.replace("mustBeGreaterThan: 10", said)).contract
    assert contract is not None
    assert contract.volume == volume


def test_all_mistakes_of_all_files_are_told_at_once(check: Check, event_text: str) -> None:
    broken = event_text.replace("logicalType: integer", "logicalType: intger").replace("sha256", "sha512")
    checked = check(broken)
    check(event_text.replace("reading", "other", 3), "factory/other.odcs.yaml")
    with pytest.raises(ContractError) as told:
        load_contracts(checked.file.parents[1])
    text = str(told.value)
    assert "sha512" in text
    assert "intger" in text
    assert "other.odcs.yaml:" in text
    assert "lakehouse contract lint" in text


def test_two_contracts_with_one_name_or_id_are_told(check: Check, event_text: str) -> None:
    check(event_text)
    folder = check(event_text.replace("domain: factory", "domain: sales"), "sales/reading.odcs.yaml").file.parents[1]
    told = [str(m) for c in check_folder(folder) for m in c.mistakes]
    assert len(told) == 2
    assert "sales/reading.odcs.yaml:4: name: 'reading' is the name of" in told[0]
    assert "sales/reading.odcs.yaml:3: id:" in told[1]


@pytest.mark.parametrize("name", ["factory/reading.yaml", "factory/reading.odcs.yml", "reading.yml"])
def test_a_yaml_file_that_would_not_be_read_is_a_mistake(check: Check, event_text: str, name: str) -> None:
    folder = next(p for p in check(event_text, name).file.parents if p.name == "contracts")
    told = [str(m) for c in check_folder(folder) for m in c.mistakes]
    assert len(told) == 1
    assert "is not called <table>.odcs.yaml" in told[0]


def test_hidden_files_and_other_files_are_not_contracts(check: Check, event_text: str) -> None:
    folder = check(event_text).file.parents[1]
    (folder / "README.md").write_text("# Contracts")
    (folder / ".idea").mkdir()
    (folder / ".idea" / "x.yaml").write_text("a: 1")
    assert list(load_contracts(folder)) == ["reading"]


def test_a_folder_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="no folder .*contracts should be(.|\n)*lakehouse contract infer"):
        load_contracts(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"# only a comment\n", "is empty"),
        (b"- a\n- b\n", "must be a mapping"),
        (b"just text", "must be a mapping"),
        (b"a: 1\n---\nb: 2\n", "more than one YAML document"),
        (b"a: \xff\xfe\n", "is not UTF-8"),
        (b"a:\n\t- b\n", "is not YAML"),
        (b"a: &x [*x]\n", "alias inside itself"),
        (b"a: &a [x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\n"
         b"e: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e]\n", "more than 50,000 values"),
        (b"a: " + b"[" * 5000, "is not YAML"),
        (b"a: " + b"{a: " * 100 + b"1" + b"}" * 100, "nested deeper than"),
        (b"schema: 5\nservers: no\nteam: x\ncustomProperties: {a: 1}\nslaProperties: [1, 2]\n", "must be a list"),
        (b"schema: [{properties: [1, {name: 3}, {name: x, enum: 5, quality: [7, {type: custom}]}]}]\n", "must be a mapping"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)  # fmt: skip
def test_what_is_no_contract_at_all_is_told_without_a_stack_trace(check: Check, content: bytes, says: str) -> None:
    checked = check(content)
    assert checked.contract is None
    assert any(says in str(m) for m in checked.mistakes), [str(m) for m in checked.mistakes]


def test_dates_and_words_that_yaml_would_turn_into_something_else_stay_text(check: Check, event_text: str) -> None:
    text = event_text.replace("status: active", "status: active\ncontractCreatedTs: 2026-01-01T00:00:00Z")
    text = text.replace("enum: [{value: temperature}, {value: vibration}]", "enum: [{value: no}, {value: on}, {value: 12:30}, {value: 2026-01-01}]")
    contract = check(text).contract
    assert contract is not None
    assert contract.column("metric").enum == ("no", "on", "12:30", "2026-01-01")
    assert contract.raw["contractCreatedTs"] == "2026-01-01T00:00:00Z"


def test_enum_values_are_written_as_spark_writes_them(check: Check, event_text: str) -> None:
    text = event_text.replace("physicalType: decimal(10,2)\n", "physicalType: decimal(10,2)\n        enum: [{value: 1}, {value: 2.5}]\n")
    contract = check(text).contract
    assert contract is not None
    assert contract.column("price").enum == ("1.00", "2.50")


def test_masking_null_may_be_written_bare(check: Check, event_text: str) -> None:
    contract = check(event_text.replace("policy: sha256", "policy: null")).contract
    assert contract is not None
    assert contract.column("operator").masking == "null"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("mustBeGreaterThan: 10}", "mustBeGreaterThan: 10}\n      - {id: nulls, metric: nullValues, mustBe: 0}", "metric nullValues is not evaluated"),
        ("mustBeGreaterThan: 10}", "mustBeGreaterThan: 10}\n      - {id: q, type: sql, query: select 1, mustBe: 1}", "type sql is not evaluated"),
        ("mustBeGreaterThan: 10}", "mustBeGreaterThan: 10}\n      - {id: s, type: custom, engine: soda, implementation: x}", "engine 'soda' is another tool's"),
        ("slaProperties:", "slaProperties:\n  - {property: retention, value: 400, unit: d}", "retention is not acted on"),
        ("[{value: temperature}, {value: vibration}]", "[temperature, vibration]", "our shorthand"),
        ("physicalType: int\n", "physicalType: int\n        unique: true\n", "is not checked by this version"),
        ("physicalType: int\n", "physicalType: int\n        logicalTypeOptions: {multipleOf: 5}\n", "is not checked by this version"),
    ],
)
def test_what_the_standard_allows_and_the_platform_does_not_act_on_is_noted(check: Check, event_text: str, old: str, new: str, says: str) -> None:
    checked = check(event_text.replace(old, new))
    assert checked.contract is not None, [str(m) for m in checked.mistakes]
    assert any(says in str(n) for n in checked.notes), checked.notes


def test_other_tools_properties_are_left_alone(check: Check, event_text: str) -> None:
    text = event_text + "  - {property: topicConfig, value: {a: 1}, vendor: confluent}\n"
    text = text.replace("tags: [iot]", "tags: [iot]\nprice: {priceAmount: 1.5, priceCurrency: EUR, priceUnit: row}")
    assert check(text).contract is not None


def test_the_contracts_of_this_project_have_no_mistake_and_no_note() -> None:
    checked = check_folder(PROJECT / "contracts")
    assert checked
    assert [str(m) for c in checked for m in (*c.mistakes, *c.notes)] == []


def test_ten_contracts_load_quickly_and_once(tmp_path: Path, event_text: str) -> None:
    for i in range(10):
        file = tmp_path / "factory" / f"t{i}.odcs.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(event_text.replace("reading", f"t{i}").replace(f"t{i}_id", "id").replace("6f0a1a3c", f"6f0a1a{i:02}"))
    load_contracts(tmp_path)
    begin = time.perf_counter()
    load_contracts(tmp_path)
    assert time.perf_counter() - begin < 0.1, "the second load is from memory"


def test_importing_the_loader_loads_no_parser() -> None:
    code = "import sys, lakehouse.contracts.loader; print([m for m in ('yaml', 'jsonschema', 'sqlglot', 'pyspark', 'pydantic') if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PROJECT)
    assert loaded.stdout.strip() == "[]"
