"""Sample files become a draft that lints, says what it saw, and leaves decisions to people."""

from __future__ import annotations

import csv
import gzip
import json
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakehouse.contracts.infer import infer
from lakehouse.contracts.loader import check_file
from lakehouse.contracts.model import Contract
from lakehouse.contracts.sample import LIMIT
from lakehouse.errors import ContractError

BELOW = "landing/sales/orders"


def draft(tmp_path: Path, *paths: Path, **options: Any) -> tuple[Contract, str]:
    """The contract that a draft is, once it is written where contracts live; it must lint."""
    drafted = infer(paths or [tmp_path / BELOW], landing=str(tmp_path / "landing"), **options)
    name = next(line.split(": ")[1] for line in drafted.text.splitlines() if line.startswith("name: "))
    domain = next(line.split(": ")[1] for line in drafted.text.splitlines() if line.startswith("domain: "))
    file = tmp_path / "contracts" / domain / f"{name}.odcs.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(drafted.text)
    checked = check_file(file)
    assert checked.contract is not None, f"{[str(m) for m in checked.mistakes]}\n{drafted.text}"
    return checked.contract, drafted.text


def write_csv(tmp_path: Path, name: str, rows: list[dict[str, Any]], delimiter: str = ",") -> Path:
    file = tmp_path / BELOW / name
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return file


def order(i: int, **more: Any) -> dict[str, Any]:
    base = {
        "order_id": f"SO-{i}", "Line No": i % 3, "price": f"{i}.50", "ratio": f"{i / 7:.6f}", "zip": f"0{i % 10}123", "paid": "true",
        "status": ["open", "done"][i % 2], "note": "" if i % 4 else "x", "ordered_at": f"2026-01-0{1 + i % 3} 10:00:00", "due": f"{1 + i % 28:02}.02.2026",
    }  # fmt: skip
    return {**base, **more}


def test_csv_gives_types_nullability_key_date_and_dialect(tmp_path: Path) -> None:
    write_csv(tmp_path, "dt=2026-01-03/orders.csv", [order(i) for i in range(1, 101)], delimiter=";")
    contract, text = draft(tmp_path)
    assert {c.name: c.type for c in contract.columns} == {
        "order_id": "string", "line_no": "bigint", "price": "decimal(10,2)", "ratio": "double", "zip": "string", "paid": "boolean",
        "status": "string", "note": "string", "ordered_at": "timestamp", "due": "date", "ordered_date": "date",
    }  # fmt: skip
    assert (contract.name, contract.domain, contract.kind, contract.key) == ("orders", "sales", "event", ("order_id",))
    assert (contract.event_date, contract.lateness_days, contract.start) == ("ordered_date", 2, date(2026, 1, 1))
    assert (contract.source.path, contract.source.format, contract.source.delimiter) == ("sales/orders", "csv", ";")
    assert contract.source.date_pattern == r"dt=(\d{4}-\d{2}-\d{2})"
    assert contract.column("line_no").source_field == "Line No"
    assert (contract.column("due").format, contract.column("ordered_at").timezone) == ("dd.MM.yyyy", "Etc/UTC")
    assert not contract.column("note").required
    assert contract.column("price").required
    assert "# enum: [{value: done}, {value: open}]" in text
    assert "# seen: 1.5 to 100.5" in text
    assert "DECIDE: the times carry no zone" in text
    assert "empty in 75 of 100 records" in text


def test_json_lines_give_types_nested_ones_too(tmp_path: Path) -> None:
    file = tmp_path / "landing/web/click/dt=2026-01-01/a.jsonl.gz"
    file.parent.mkdir(parents=True)
    with gzip.open(file, "wt") as stream:
        for i in range(60):
            record = {
                "click_id": f"K{i}", "n": i, "big": 2**70 + i, "share": i / 7, "amount": i + 0.25, "ok": i % 2 == 0, "who": {"id": i, "tags": ["a"]},
                "mixed": i if i % 2 else "x", "free": {}, "at": f"2026-01-01T10:{i:02}:00+01:00", "_odd": 1,
            }  # fmt: skip
            stream.write(json.dumps(record) + "\n")
        stream.write("{broken\n")
    contract, text = draft(tmp_path, tmp_path / "landing/web/click")
    assert {c.name: c.type for c in contract.columns} == {
        "click_id": "string", "n": "bigint", "big": "decimal(38,0)", "share": "double", "amount": "decimal(10,2)", "ok": "boolean",
        "who": "struct<id:bigint,tags:array<string>>", "mixed": "string", "free": "map<string,string>", "at": "timestamp", "odd": "bigint",
        "event_date": "date",
    }  # fmt: skip
    assert contract.column("odd").source_field == "_odd"
    assert contract.column("at").timezone is None, "the times carry their zone"
    assert "1 more records could not be read as json" in text
    assert "several types in one field (number, text)" in text


def test_parquet_gives_the_files_own_types(tmp_path: Path) -> None:
    file = tmp_path / "runs.parquet"
    table = pa.table(
        {
            "run_id": ["a", "b", "c"],
            "n": pa.array([1, 2, None], pa.int32()),
            "cost": pa.array([Decimal("1.20")] * 3, pa.decimal128(12, 4)),
            "day": pa.array([date(2026, 1, 1)] * 3),
            "updated_at": pa.array([datetime(2026, 1, 1, tzinfo=UTC)] * 3, pa.timestamp("us", "UTC")),
            "local": pa.array([datetime(2026, 1, 1)] * 3, pa.timestamp("us")),
            "xs": pa.array([[1], [], None], pa.list_(pa.int64())),
            "m": pa.array([{"a": 1}] * 3, pa.struct([("a", pa.float32())])),
            "raw": pa.array([b"x"] * 3),
        }
    )
    pq.write_table(table, file)
    contract, _ = draft(tmp_path, file, name="run", domain="production")
    assert {c.name: c.type for c in contract.columns} == {
        "run_id": "string", "n": "int", "cost": "decimal(12,4)", "day": "date", "updated_at": "timestamp", "local": "timestamp",
        "xs": "array<bigint>", "m": "struct<a:float>", "raw": "binary",
    }  # fmt: skip
    assert (contract.event_date, contract.sequence, contract.key) == ("day", ("updated_at",), ("run_id",))
    assert (contract.column("updated_at").timezone, contract.column("local").timezone) == (None, "Etc/UTC")
    assert contract.source.pattern == "runs.parquet"
    assert contract.source.date_pattern is None


@pytest.mark.parametrize("far", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-05:00"])
@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_times_that_leave_the_calendar_in_utc_are_told(tmp_path: Path, name: str, far: str) -> None:
    file = tmp_path / BELOW / name
    file.parent.mkdir(parents=True)
    times = ["2026-01-01T00:00:00+01:00", "2026-01-02T00:00:00+01:00", far]
    lines = [json.dumps({"id": i, "at": t}) for i, t in enumerate(times)] if name == "a.jsonl" else ["id,at", *[f"{i},{t}" for i, t in enumerate(times)]]
    file.write_text("\n".join(lines))
    contract, text = draft(tmp_path)
    assert (contract.column("at").type, contract.event_date) == ("timestamp", "event_date")
    assert f"# out of reach, before year 1 or after 9999 in UTC: {far}; DECIDE" in text
    assert "# seen: 2025-12-31T23:00:00 to 2026-01-01T23:00:00" in text


def test_parquet_times_after_the_year_9999_are_told(tmp_path: Path) -> None:
    last, past = 253_402_300_740_000_000, 260_000_000_000_000_000  # 9999-12-31 23:59 UTC, and a time of the year 10209
    table = pa.table(
        {
            "id": [1, 2],
            "local": pa.array([0, last]).cast(pa.timestamp("us", "Europe/Berlin")),
            "at": pa.array([0, past]).cast(pa.timestamp("us")),
            "day": pa.array([0, 4_000_000], pa.int32()).cast(pa.date32()),
            "inside": pa.StructArray.from_arrays([pa.array([0, past]).cast(pa.timestamp("us"))], ["at"]),
        }
    )
    file = tmp_path / BELOW / "a.parquet"
    file.parent.mkdir(parents=True)
    pq.write_table(table, file)
    contract, text = draft(tmp_path)
    assert [c.type for c in contract.columns][:5] == ["bigint", "timestamp", "timestamp", "date", "struct<at:timestamp>"]
    assert "# seen: 1970-01-01T00:00:00+00:00 to 9999-12-31T23:59:00+00:00" in text
    for far in ("10209-01-27 06:13:20.000000;", "12921-08-18;", "timestamp[us] [ 10209-01-27 06:13:20.000000;"):
        assert far in text


@pytest.mark.parametrize(
    ("name", "content", "left"),
    [
        ("a.csv", "id,Name,name\n1,x,y\n", "# Left out: 1 field without"),
        ("a.csv", ",Name,,name\n1,x,2,y\n", "# Left out: 3 fields without"),
        ("a.jsonl", '{"Name": 1, "name": 2, "": 3}\n', "# Left out: 2 fields without"),
    ],
)
def test_fields_that_are_left_out_are_told(tmp_path: Path, name: str, content: str, left: str) -> None:
    file = tmp_path / BELOW / name
    file.parent.mkdir(parents=True)
    file.write_text(content)
    contract, text = draft(tmp_path)
    assert [c.name for c in contract.columns if c.name != "id"] == ["Name"]
    assert "# 'Name' and 'name' differ in case only, and one of them can be read" in text
    assert left in text


def test_fields_of_parquet_that_are_left_out_are_told(tmp_path: Path) -> None:
    file = tmp_path / BELOW / "a.parquet"
    file.parent.mkdir(parents=True)
    pq.write_table(pa.table([pa.array([1]), pa.array(["x"]), pa.array([2]), pa.array([{"b": 1, "B": 2}])], ["a", "a", "A", "inside"]), file)
    contract, text = draft(tmp_path)
    assert [(c.name, c.type) for c in contract.columns] == [("a", "bigint"), ("inside", "string")]
    assert "# Left out: 2 fields without a name" in text
    assert "# 'a' and 'A' differ in case only" in text
    assert "DECIDE: its fields have no names that differ in more than case" in text


def test_records_without_a_date_are_an_entity(tmp_path: Path) -> None:
    write_csv(tmp_path, "orders.csv", [{"code": f"C{i}", "label": f"L{i}"} for i in range(30)])
    contract, text = draft(tmp_path)
    assert (contract.kind, contract.key, contract.event_date) == ("entity", ("code",), None)
    assert "other candidates: label" in text


def test_a_dump_of_years_is_no_event_table_of_thousands_of_days(tmp_path: Path) -> None:
    rows = [{"order": i // 3, "line": i % 3, "order_day": f"{1992 + i % 7}-0{1 + i % 9}-11", "note": "x" * (i % 5)} for i in range(300)]
    write_csv(tmp_path, "orders.1.csv", rows)
    contract, text = draft(tmp_path)
    assert (contract.kind, contract.key, contract.event_date) == ("entity", ("order", "line"), None)
    assert "more than a year: whole tables" in text


def test_a_number_before_the_ending_is_no_part_of_the_pattern(tmp_path: Path) -> None:
    write_csv(tmp_path, "orders.1.csv", [{"code": f"C{i}"} for i in range(30)])
    assert draft(tmp_path)[0].source.pattern == "**/*.csv*"


def test_files_that_list_the_same_things_again_are_snapshots(tmp_path: Path) -> None:
    for day in (1, 2, 3):
        rows = [
            {"product_id": f"P{i}", "list_price": f"{i}.{day}0", "created_at": f"2026-01-01T00:00:{i:02}Z", "updated_at": f"2026-01-0{day}T00:00:00Z"}
            for i in range(40)
        ]
        write_csv(tmp_path, f"product_2026010{day}.csv", rows)
    contract, text = draft(tmp_path, name="product")
    assert (contract.kind, contract.key, contract.sequence) == ("entity", ("product_id",), ("updated_at",))
    assert contract.source.date_pattern == r"(\d{4})(\d{2})(\d{2})"
    assert "snapshots" in text
    assert "`mode: snapshot`" in text


@pytest.mark.parametrize("thing", ["sku", "article"])
def test_snapshots_are_found_by_any_column_that_is_no_measure(tmp_path: Path, thing: str) -> None:
    for day in (1, 2, 3):
        rows = [{"title": f"T{i % 290}", "price": f"{i + day * (i % 300 < 20)}.00", thing: f"P{i}"} for i in range(300)]
        write_csv(tmp_path, f"product_2026010{day}.csv", rows)
    contract, text = draft(tmp_path, name="product")
    assert (contract.kind, contract.key) == ("entity", (thing,))
    assert "snapshots" in text


@pytest.mark.parametrize("files", [1, 28])
@pytest.mark.parametrize(("figure", "different"), [("visits", 331), ("sales", 337)])
def test_figures_of_each_day_are_events_however_many_files_they_come_in(tmp_path: Path, files: int, figure: str, different: int) -> None:
    rows = [{"date": f"2026-01-{1 + i // 12:02}", "store": f"S{i % 12}", figure: 1000 + i * 7919 % different} for i in range(336)]
    for part in range(files):
        write_csv(tmp_path, f"figures_{part}.csv", rows[part * 336 // files : (part + 1) * 336 // files])
    contract, text = draft(tmp_path)
    assert (contract.kind, contract.key, contract.event_date) == ("event", ("store",), "date")
    assert "within an event date" in text


def test_a_number_in_each_file_is_no_thing_where_records_have_an_id(tmp_path: Path) -> None:
    for part in range(3):
        write_csv(tmp_path, f"orders_{part}.csv", [{"position_no": i, "order_id": f"O{part}-{i}"} for i in range(30)])
    assert draft(tmp_path)[0].key == ("order_id",)


def test_a_pair_is_a_key_where_no_column_is(tmp_path: Path) -> None:
    write_csv(tmp_path, "orders.csv", [{"order": f"O{i // 3}", "line": i % 3, "sku": "x"} for i in range(60)])
    contract, _ = draft(tmp_path)
    assert contract.key == ("order", "line")


def test_a_column_that_is_unique_within_a_day_is_a_key_of_events(tmp_path: Path) -> None:
    write_csv(tmp_path, "orders.csv", [{"flight": f"F{i % 20}", "kind": "x", "day": f"2026-01-0{1 + i // 20}"} for i in range(60)])
    contract, text = draft(tmp_path)
    assert (contract.key, contract.event_date) == (("flight",), "day")
    assert "within an event date" in text


def test_records_sent_twice_do_not_hide_the_key(tmp_path: Path) -> None:
    rows = [{"reading_id": f"R{i}", "v": f"{i}.123"} for i in range(50)]
    write_csv(tmp_path, "orders.csv", rows + rows[:5])
    contract, text = draft(tmp_path)
    assert contract.key == ("reading_id",)
    assert "5 records are exact repetitions" in text


def test_no_key_at_all_is_a_decision(tmp_path: Path) -> None:
    write_csv(tmp_path, "orders.csv", [{"a": 1, "b": i % 2} for i in range(50)] + [{"a": "", "b": 1}])
    contract, text = draft(tmp_path)
    assert len(contract.key) == 1
    assert "DECIDE: no columns are unique" in text


def test_a_word_for_no_value_is_found(tmp_path: Path) -> None:
    write_csv(tmp_path, "orders.csv", [{"id": i, "delay": "NA" if i % 5 == 0 else f"{i}.0", "name": "NA" if i == 3 else f"n{i}"} for i in range(40)])
    contract, _ = draft(tmp_path)
    assert contract.source.null_value == "NA"
    assert (contract.column("delay").type, contract.column("delay").required) == ("bigint", False)


def test_days_and_months_that_could_be_either_are_a_decision(tmp_path: Path) -> None:
    write_csv(tmp_path, "orders.csv", [{"id": i, "day": f"0{1 + i % 9}/01/2026"} for i in range(30)])
    _, text = draft(tmp_path)
    assert "DECIDE: dd/MM/yyyy or MM/dd/yyyy?" in text


@pytest.mark.parametrize(
    ("texts", "type_", "pattern"),
    [
        (["1/5/2024", "12/15/2024"], "date", "M/d/yyyy"),
        (["5.1.2024", "15.12.2024"], "date", "d.M.yyyy"),
        (["15.12.2024", "05.01.2024"], "date", "dd.MM.yyyy"),
        (["31-12-2024", "01-02-2024"], "date", "dd-MM-yyyy"),
        (["Jan 1 2005", "Dec 31 2005"], "date", "MMM d yyyy"),
        (["3-Jan-2024", "13-Feb-2024"], "date", "d-MMM-yyyy"),
        (["March 3, 2024", "May 13, 2024"], "date", "MMMM d, yyyy"),
        (["1/25/2024 1:05 PM", "12/1/2024 11:59 AM"], "timestamp", "M/d/yyyy h:mm a"),
        (["2024-01-25 9:05:00", "2024-01-25 19:05:00"], "timestamp", "yyyy-MM-dd H:mm:ss"),
        (["25 Dec 2024 09:05", "1 Dec 2024 19:05"], "timestamp", "d MMM yyyy HH:mm"),
        (["1/5/2024", "13/13/2024"], "string", None),
        (["Jan 1 2005", "Foo 1 2005"], "string", None),
        (["1/5/0024", "1/6/2024"], "string", None),
    ],
)
def test_dates_as_people_and_spreadsheets_write_them(tmp_path: Path, texts: list[str], type_: str, pattern: str | None) -> None:
    write_csv(tmp_path, "orders.csv", [{"id": i, "when": texts[i % 2]} for i in range(30)])
    contract, _ = draft(tmp_path)
    assert (contract.column("when").type, contract.column("when").format) == (type_, pattern)


@pytest.mark.parametrize(
    ("texts", "sql"),
    [
        (["$1,200.50", "-$3.00"], "cast(translate(<column>, '$,', '') as decimal(18,2))"),
        (["1.200,50 €", "3,00 €"], "cast(translate(translate(<column>, ' .€', ''), ',', '.') as decimal(18,2))"),
        (["12.5%", "3%"], "cast(translate(<column>, '%', '') as decimal(18,2))"),
    ],
)
def test_numbers_written_for_people_come_with_the_way_to_read_them(tmp_path: Path, texts: list[str], sql: str) -> None:
    write_csv(tmp_path, "orders.csv", [{"id": i, "worth": texts[i % 2]} for i in range(30)])
    contract, text = draft(tmp_path)
    assert contract.column("worth").type == "string"
    assert sql in text


def test_what_would_go_wrong_with_a_file_stands_at_the_head_of_the_draft(tmp_path: Path) -> None:
    file = tmp_path / BELOW / "a.csv"
    file.parent.mkdir(parents=True)
    file.write_bytes("id;name\n1;Müller\n2;Größe\n3;Ada\n".encode("latin-1"))
    _, text = draft(tmp_path)
    assert "# 2 lines are not UTF-8" in text
    file.write_text("1,a,2024-01-01\n2,b,2024-01-02\n")
    _, text = draft(tmp_path)
    assert "# The first line was taken for the header, though 1, 2024-01-01 look like values" in text
    file.write_text("country,2023,2024\nDE,1,2\n")
    _, text = draft(tmp_path)
    assert "The first line was taken" not in text and "not UTF-8" not in text


def test_codes_of_digits_are_no_numbers_with_signs(tmp_path: Path) -> None:
    write_csv(tmp_path, "orders.csv", [{"id": i, "zip": f"0{i:04}"} for i in range(30)])
    contract, text = draft(tmp_path)
    assert contract.column("zip").type == "string"
    assert "with signs" not in text


@pytest.mark.parametrize("row", [{"code": "C", "ordered_at": "2026-01-01T00:00:00Z"}, {"code": "C", "value": 1.5}])
def test_the_rule_in_the_draft_holds_once_its_comment_signs_are_gone(tmp_path: Path, row: dict[str, Any]) -> None:
    write_csv(tmp_path, "orders.csv", [row])
    _, text = draft(tmp_path)
    file = tmp_path / "contracts/sales/orders.odcs.yaml"
    file.write_text(re.sub(r"# (quality:|  - \{id: plausible)", r"\1", text))
    checked = check_file(file)
    assert checked.contract is not None, [str(m) for m in checked.mistakes]
    assert "plausible" in [r.name for r in checked.contract.rules]


def test_no_more_than_the_limit_is_read(tmp_path: Path) -> None:
    file = tmp_path / BELOW / "big.csv"
    file.parent.mkdir(parents=True)
    file.write_text("id\n" + "\n".join(map(str, range(LIMIT + 10))))
    _, text = draft(tmp_path)
    assert f"{LIMIT:,} records of 1 file (a part of what is there)" in text


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.csv", b"", "no file with content"),
        ("a.csv", b"a,b\n", "no record"),
        ("a.csv", b"a,a\n1,2\n", "names a more than once"),
        ("a.json", b'[{"a": 1}]', "JSON array; one record per line"),
        ("a.csv", b"sep=;\na;b\n1;2\n", "sep=;, tells Excel the delimiter and is no header: remove it"),
        ("a.csv", b"# exported 2026-01-01\na,b\n1,2\n3,4\n", "3 of 3 records"),
        ("a.csv", b"# exported 2026-01-01, by Ada\na,b,c\n1,2,3\n", "seems to be no header, so remove the lines before it"),
        ("a.csv", b'a,b\n1,"x \\"y, z\\""\n', "backslashes escape quotes or delimiters"),
        ("a.csv", b"a,b\n1,'x, y'\n", "single quotes stand around fields"),
        ("a.csv", b"a,b\n1,2,3\n", "another number of fields than the header"),
        ("a.jsonl", b"not json\n", "1 of 1 records"),
        ("a.jsonl", b"1\n2\n", "a record is a line that holds one object"),
        ("a.jsonl", b'{"a":1}\nx\ny\nz\n', "3 of 4 records"),
        ("a.csv", "a,b\n1,2\n".encode("utf-16"), "UTF-16"),
        ("a.json", b'{\n "a": 1,\n "b": {"c": [1]}\n}\n', "no record that is a line of its own, as `jq -c . a.json > a.jsonl`"),
        ("a.json", b'{"a": 1}{"a": 2}', "no record that is a line of its own"),
        ("a.xlsx", b"PK\x03\x04\x14\x00\x06\x00", "ZIP archive"),
        ("a.csv.gz", gzip.compress(b"a,b\n" + b"1,2\n" * 10_000, mtime=0)[:40], "can't be read as csv"),
        ("a.parquet", b"PAR1 nothing", "can't be read as parquet"),
        ("a.avro", b"Obj\x01", "Avro files are not read"),
        ("_hidden.csv", b"a\n1\n", "no file with content"),
    ],
)
def test_samples_that_cannot_be_read_are_told_with_the_file(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    file = tmp_path / BELOW / name
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    with pytest.raises(ContractError) as told:
        infer([tmp_path / BELOW])
    assert says in str(told.value)


def test_files_of_two_formats_are_told(tmp_path: Path) -> None:
    write_csv(tmp_path, "a.csv", [{"a": 1}])
    (tmp_path / BELOW / "b.jsonl").write_text("{}")
    with pytest.raises(ContractError, match="several formats"):
        infer([tmp_path / BELOW])


def test_files_with_different_delimiters_are_told(tmp_path: Path) -> None:
    write_csv(tmp_path, "a.csv", [{"a": 1, "b": 2}])
    write_csv(tmp_path, "b.csv", [{"a": 1, "b": 2}], delimiter=";")
    with pytest.raises(ContractError, match="b.csv can't be read as csv: its delimiter is ';' and that of files before it ','"):
        infer([tmp_path / BELOW])


def test_a_path_or_name_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="There is no"):
        infer([tmp_path / "nowhere.csv"])
    file = write_csv(tmp_path, "a.csv", [{"a": 1}])
    with pytest.raises(ContractError, match="no name for a table"):
        infer([file], name="My Table")
    with pytest.raises(ContractError, match="no name for a domain"):
        infer([file], domain="1")


VALUES = st.one_of(
    st.text(max_size=12),
    st.integers().map(str),
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
    st.dates().map(str),
    st.datetimes().map(str),
    st.sampled_from(["", "NA", "true", "null", "- x", "a: b", "# c", "{", "'", '"', "\u2028", "\x85", "0012", "1e5", "NaN"]),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), min_size=1, max_size=8), min_size=1, max_size=5, unique=True),
    data=st.data(),
)
def test_whatever_a_csv_holds_its_draft_lints(tmp_path: Path, names: list[str], data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.tuples(*[VALUES for _ in names]), min_size=1, max_size=25))
    file = tmp_path / BELOW / "any.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, quoting=csv.QUOTE_ALL).writerows([names, *rows])
    try:
        draft(tmp_path)
    except ContractError as told:
        assert any(s in str(told) for s in ("no record", "more than once", "No column", "are no csv records")), told


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(st.text(min_size=1, max_size=6), JSON, min_size=1, max_size=4), min_size=1, max_size=15))
def test_whatever_json_lines_hold_their_draft_lints(tmp_path: Path, records: list[dict[str, Any]]) -> None:
    file = tmp_path / BELOW / "any.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(r) + "\n" for r in records))
    draft(tmp_path)
