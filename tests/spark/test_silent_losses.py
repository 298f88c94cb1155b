"""Spark's silent losses, each one: what Spark would drop, guess or turn into NULL ends in Silver as it was, in quarantine with its reason, or in an error."""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.errors import PySparkException

from lakehouse.bronze.ingest import ingest, rebuild
from lakehouse.contracts.model import Column, Contract, FileSource
from lakehouse.errors import SourceError
from lakehouse.settings import settings
from tests.spark.conftest import Lake, _open, rule

GOOD = {"id": "a", "seq": 1, "at": "2026-01-05T10:00:00Z", "value": 1.5}
DAY = "dt=2026-01-05"


def reasons(lake: Lake, contract: Contract) -> list[tuple[Any, ...]]:
    return lake.rows(contract.quarantine, "_payload", "_reasons")


BAD: list[tuple[str, list[str]]] = [
    ('{"id": "b", "seq": 1, "at"', ["malformed"]),
    ('{"id": "b", "at": "2026-01-05T10:00:00Z", "more": ' + "[" * 2_000 + "]" * 2_000 + "}", ["malformed"]),
    ('{"id": "b", "at": "2026-01-05T10:00:00Z", "value": ' + "1" * 2_000 + "}", ["malformed"]),
    ("[1, 2]", ["malformed"]),
    ("null", ["malformed"]),
    ('{"id": "b", "at": "2026-01-05T10:00:00Z"} {"id": "c", "at": "2026-01-05T10:00:00Z"}', ["malformed"]),
    ('{"id": "b", "at": "2026-01-05T10:00:00Z"}] {"id": "c"}', ["malformed"]),
    ('{"id": "b", "at": "2026-01-05T10:00:00Z"} rest', ["malformed"]),
    ('{"id": "b", "id": "c", "at": "2026-01-05T10:00:00Z"}', ["duplicate_field"]),
    ('{"ID": "b", "at": "2026-01-05T10:00:00Z"}', ["field_case", "id_required"]),
    ('{"id": "b", "at": "2026-01-05T10:00:00Z", "Value": 2}', ["field_case"]),
    ('{"id": "b", "at": "2026-01-05T10:00:00Z", "value": "warm"}', ["value_type"]),
    ('{"id": "b", "at": "2026-01-05T10:00:00Z", "value": {"x": 1}}', ["value_type"]),
    ('{"id": "b", "at": "2026-01-05T10:00:00Z", "seq": 3000000000}', ["seq_type"]),
    ('{"id": "b", "at": "2026-01-05T10:00:00Z", "seq": 1.5}', ["seq_type"]),
    ('{"id": "b", "at": "2026-01-05T10:00:00Z", "value": NaN}', ["value_not_nan"]),
    ('{"id": "b", "at": "2026-01-05T10:00:00Z", "value": "NaN"}', ["value_not_nan"]),
    ('{"id": "b", "at": "2026-01-05T10:00:00Z", "value": 1e400}', ["value_not_nan"]),
    ('{"id": "b", "at": "2026-01-05T10:00:00Z", "value": 100.5}', ["value_in_range"]),
    ('{"id": "b", "at": "2026-01-05 10:00:00"}', ["at_type"]),
    ('{"id": "b", "at": "10:15"}', ["at_type"]),
    ('{"id": "b", "at": "2026"}', ["at_type"]),
    ('{"id": "b"}', ["at_required"]),
    ('{"id": null, "at": null, "value": 1000}', ["at_required", "id_required", "value_in_range"]),
    ('{"id": "b", "at": "2026-01-02T10:00:00Z"}', ["late"]),
    ('{"id": "b", "at": "2026-01-07T10:00:00Z"}', ["future"]),
]


def test_a_record_spark_would_lose_or_bend_is_refused_with_every_reason(lake: Lake) -> None:
    contract = lake.events()
    lake.put(f"{DAY}/x.json", "\n".join([json.dumps(GOOD), *(line for line, _ in BAD)]))
    lake.sync(contract)
    assert lake.rows(contract.silver, "id") == [("a",)]
    assert {p: sorted(r) for p, r in reasons(lake, contract)} == {line: sorted(expected) for line, expected in BAD}


def test_an_increment_refuses_bytes_that_are_not_utf8_as_a_rebuild_does(lake: Lake) -> None:
    contract = lake.events()
    lake.put(f"{DAY}/a.json", [GOOD])
    lake.sync(contract)
    raw = b'{"id": "b", "seq": 1, "at": "2026-01-05T10:00:00Z", "value": 1, "x": "\xff"}'
    lake.put(f"{DAY}/b.json", raw)
    lake.sync(contract)
    ((payload, found),) = reasons(lake, contract)
    assert (base64.b64decode(payload.removeprefix("base64:")), found) == (raw, ["invalid_utf8"])
    assert lake.rows(contract.silver, "id") == [("a",)]


def test_whole_numbers_written_as_floats_and_integers_in_exponent_free_form_are_read(lake: Lake) -> None:
    contract = lake.events()
    lake.put(f"{DAY}/a.json", '{"id": "b", "seq": 12.0, "at": "2026-01-05T10:00:00+02:00", "value": 7}\n')
    lake.sync(contract)
    assert lake.rows(contract.silver, "seq", "value") == [(12, 7.0)]


def test_byte_order_mark_crlf_and_blank_lines_are_no_part_of_records(lake: Lake) -> None:
    contract = lake.events()
    lake.put(f"{DAY}/a.json", b"\xef\xbb\xbf" + json.dumps(GOOD).encode() + b"\r\n\r\n" + json.dumps({**GOOD, "id": "b"}).encode() + b"\r\n")
    lake.sync(contract)
    assert lake.rows(contract.silver, "id") == [("a",), ("b",)]
    assert lake.rows(contract.bronze, "_payload") == [(json.dumps(GOOD),), (json.dumps({**GOOD, "id": "b"}),)]


def test_gzip_and_plain_files_hold_the_same_records(lake: Lake) -> None:
    contract = lake.events()
    lake.put(f"{DAY}/a.json.gz", gzip.compress((json.dumps(GOOD) + "\n").encode()))
    lake.put(f"{DAY}/b.json", [{**GOOD, "id": "b"}])
    lake.sync(contract)
    assert lake.rows(contract.silver, "id") == [("a",), ("b",)]


def test_a_truncated_gzip_file_is_named_and_the_others_are_taken_in(lake: Lake) -> None:
    contract = lake.events()
    lines = "".join(json.dumps({**GOOD, "id": f"k{i}", "x": "y" * 50}) + "\n" for i in range(2000))
    lake.put(f"{DAY}/bad.json.gz", gzip.compress(lines.encode())[:-200])
    lake.put(f"{DAY}/good.json", [GOOD])
    ingested, _ = lake.sync(contract)
    assert [u.path for u in ingested.unreadable] == [f"{DAY}/bad.json.gz"]
    assert lake.rows(contract.bronze, "_source") == [(f"{DAY}/good.json",)]
    lake.put(f"{DAY}/bad.json.gz", gzip.compress(lines.encode()))
    ingested, _ = lake.sync(contract)
    assert ingested.unreadable == ()
    assert len(lake.rows(contract.silver, "id")) == 2001


def test_a_rebuild_with_an_unreadable_file_changes_nothing_and_names_it(lake: Lake) -> None:
    contract = lake.events()
    lake.put(f"{DAY}/good.json", [GOOD])
    lake.sync(contract)
    before = lake.version(contract.bronze)
    lake.put(f"{DAY}/bad.json.gz", b"\x1f\x8b\x08\x00 no gzip")
    with pytest.raises(SourceError, match="bad.json.gz") as caught:
        rebuild(lake.spark, contract, [date(2026, 1, 5)], "test")
    assert "unchanged" in str(caught.value)
    assert lake.version(contract.bronze) == before


def test_files_that_spark_would_pass_over_are_reported(lake: Lake) -> None:
    contract = lake.events()
    for name in ("_hidden.json", ".hidden.json"):
        lake.put(f"{DAY}/{name}", [GOOD])
    lake.put(f"{DAY}/seen.json", [{**GOOD, "id": "b"}])
    ingested, _ = lake.sync(contract)
    assert ingested.hidden == (f"{DAY}/.hidden.json", f"{DAY}/_hidden.json")
    assert lake.rows(contract.silver, "id") == [("b",)]


def test_names_with_blanks_globs_and_quotes_are_read_once(lake: Lake) -> None:
    contract = lake.events()
    names = ["a b+c%20d.json", "[x]{y}*.json", "ä'ö.json"]
    for n, name in enumerate(names):
        lake.put(f"{DAY}/{name}", [{**GOOD, "id": str(n)}])
    lake.sync(contract)
    lake.sync(contract)
    assert lake.rows(contract.bronze, "_source", "_source_date") == sorted(((f"{DAY}/{n}", date(2026, 1, 5)) for n in names), key=repr)


def test_files_without_records_are_remembered_and_not_read_again(lake: Lake) -> None:
    contract = lake.events()
    lake.put(f"{DAY}/empty.json", "")
    lake.put(f"{DAY}/blank.json", "\n \n")
    lake.put(f"{DAY}/good.json", [GOOD])
    lake.sync(contract)
    version = lake.version(contract.bronze)
    ingested = ingest(lake.spark, contract, "again", full=True)
    assert (ingested.amount.files, lake.version(contract.bronze)) == (0, version)


def test_dates_out_of_range_are_kept_findable_and_make_no_partition(lake: Lake) -> None:
    contract = lake.events()
    lake.put("dt=1970-01-01/a.json", [GOOD])
    lake.put("dt=2099-01-01/a.json", [{**GOOD, "id": "b"}])
    lake.put("nodate/a.json", [{**GOOD, "id": "c"}])
    lake.sync(contract)
    lake.sync(contract)
    assert lake.rows(contract.bronze, "_source_date") == [(None,)] * 3
    assert [r[1] for r in reasons(lake, contract)] == [["source_date_out_of_range"]] * 3


def csv_contract(lake: Lake) -> Contract:
    columns = (
        Column("id", "string", "string", required=True),
        Column("price", "decimal(10,2)", "number"),
        Column("at", "timestamp", "timestamp", required=True, timezone="Europe/Berlin"),
        Column("note", "string", "string"),
        Column("day", "date", "date", required=True, expression="cast(at as date)"),
    )
    base = lake.events()
    return replace(base, columns=columns, sequence=(), source=replace(base.source, format="csv"))


def test_a_file_from_a_clock_that_is_years_ahead_keeps_those_of_today_from_nothing(lake: Lake) -> None:
    today = datetime.now(UTC).date()
    contract = lake.events(source=FileSource(path=lake.name, format="json"))
    ahead = datetime(2040, 1, 1, tzinfo=UTC)
    lake.put("dt=2040-01-01/ahead.json", [GOOD], millis=int(ahead.timestamp() * 1000))
    ingest(lake.spark, contract, "one")
    lake.put(f"dt={today}/now.json", [GOOD])
    ingest(lake.spark, contract, "two")
    assert lake.rows(contract.bronze, "_source") == sorted([("dt=2040-01-01/ahead.json",), (f"dt={today}/now.json",)])


def test_csv_columns_are_matched_by_name_in_files_of_different_order(lake: Lake) -> None:
    contract = csv_contract(lake)
    lake.put(f"{DAY}/a.csv", 'id,price,at,note\n1,9.90,2026-01-05 10:00:00,"a, b"\n')
    lake.put(f"{DAY}/b.csv", "at,note,price,id\n2026-01-05 11:00:00,n,1.00,2\n")
    lake.sync(contract)
    at = [datetime(2026, 1, 5, h, tzinfo=UTC).replace(tzinfo=None) for h in (9, 10)]
    assert lake.rows(contract.silver, "id", "price", "at", "note") == [("1", Decimal("9.90"), at[0], "a, b"), ("2", Decimal("1.00"), at[1], "n")]


def test_csv_records_that_do_not_fit_are_refused(lake: Lake) -> None:
    contract = csv_contract(lake)
    bad = {
        "2,1.00": ["malformed"],
        "2,1.00,2026-01-05 10:00:00,n,extra": ["malformed"],
        "2,1.005,2026-01-05 10:00:00,n": ["price_type"],
        "2,x,2026-01-05 10:00:00,": ["price_type"],
    }
    lake.put(f"{DAY}/a.csv", "\n".join(["id,price,at,note", "1,1.00,2026-01-05 10:00:00,", *bad]))
    lake.sync(contract)
    assert lake.rows(contract.silver, "id") == [("1",)]
    assert {p: r for p, r in reasons(lake, contract)} == bad


def test_a_csv_file_with_only_a_header_or_nothing_brings_no_rows_and_is_not_read_again(lake: Lake) -> None:
    contract = csv_contract(lake)
    lake.put(f"{DAY}/a.csv", "id,price,at,note\n")
    lake.put(f"{DAY}/b.csv", "")
    lake.put(f"{DAY}/c.csv", b"\xef\xbb\xbfid,price,at,note\r\n1,1.00,2026-01-05 10:00:00,n\r\n")
    lake.sync(contract)
    version = lake.version(contract.bronze)
    lake.sync(contract)
    assert lake.version(contract.bronze) == version
    assert lake.rows(contract.silver, "id", "note") == [("1", "n")]


def test_quoted_line_breaks_are_read_where_the_contract_says_so(lake: Lake) -> None:
    contract = csv_contract(lake)
    contract = replace(contract, source=replace(contract.source, multi_line=True))
    lake.put(f"{DAY}/a.csv", 'id,price,at,note\n1,1.00,2026-01-05 10:00:00,"two\nlines"\n2,1.00,2026-01-05 10:00:00,one\n')
    lake.sync(contract)
    assert lake.rows(contract.silver, "id", "note") == [("1", "two\nlines"), ("2", "one")]


def test_times_around_the_clock_change_keep_their_instant(lake: Lake) -> None:
    contract = csv_contract(lake)
    lake.put("dt=2026-03-29/a.csv", "id,price,at,note\n1,1,2026-03-29 01:59:59,\n2,1,2026-03-29 03:00:00,\n3,1,2026-03-29T03:00:00+02:00,\n")
    lake.sync(contract)
    assert [str(r[1]) for r in lake.rows(contract.silver, "id", "at")] == ["2026-03-29 00:59:59", "2026-03-29 01:00:00", "2026-03-29 01:00:00"]


def parquet(path: Path, table: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def test_parquet_keeps_its_columns_and_what_a_cast_would_bend_is_refused(lake: Lake) -> None:
    base = lake.events()
    contract = replace(base, source=replace(base.source, format="parquet"))
    at = pa.array([datetime(2026, 1, 5, 10, tzinfo=UTC)] * 4, pa.timestamp("us", "UTC"))
    table = pa.table(
        {"id": ["a", "b", "c", None], "seq": pa.array([1.0, 1.5, 3e9, 1.0]), "at": at, "value": pa.array([1.0, 1.0, 1.0, float("nan")]), "extra": [1, 2, 3, 4]}
    )
    parquet(lake.landing / lake.name / DAY / "a.parquet", table)
    lake.sync(contract)
    assert lake.rows(contract.silver, "id", "seq", "_source_position") == [("a", 1, 0)]
    assert sorted(r[1] for r in reasons(lake, contract)) == [["id_required", "value_not_nan"], ["seq_type"], ["seq_type"]]
    assert lake.rows(contract.bronze, "extra") == [(1,), (2,), (3,), (4,)]


def test_a_parquet_file_with_a_new_column_adds_it_to_bronze(lake: Lake) -> None:
    base = lake.events()
    contract = replace(base, source=replace(base.source, format="parquet"))
    at = pa.array([datetime(2026, 1, 5, 10, tzinfo=UTC)], pa.timestamp("us", "UTC"))
    for n, extra in (("a", {}), ("b", {"fresh": ["new"]})):
        parquet(lake.landing / lake.name / DAY / f"{n}.parquet", pa.table({"id": [n], "seq": pa.array([1], pa.int32()), "at": at, "value": [1.0], **extra}))
        lake.sync(contract)
    assert lake.rows(contract.bronze, "id", "fresh") == [("a", None), ("b", "new")]
    assert lake.rows(contract.silver, "id") == [("a",), ("b",)]


def test_a_truncated_parquet_file_is_named(lake: Lake) -> None:
    base = lake.events()
    contract = replace(base, source=replace(base.source, format="parquet"))
    at = pa.array([datetime(2026, 1, 5, 10, tzinfo=UTC)], pa.timestamp("us", "UTC"))
    parquet(lake.landing / lake.name / DAY / "a.parquet", pa.table({"id": ["a"], "seq": pa.array([1], pa.int32()), "at": at, "value": [1.0]}))
    whole = (lake.landing / lake.name / DAY / "a.parquet").read_bytes()
    lake.put(f"{DAY}/b.parquet", whole[: len(whole) // 2])
    ingested, _ = lake.sync(contract)
    assert [u.path for u in ingested.unreadable] == [f"{DAY}/b.parquet"]
    assert lake.rows(contract.silver, "id") == [("a",)]


def test_a_byte_that_the_disk_turned_over_is_an_error_and_no_other_number(lake: Lake) -> None:
    contract = lake.events()
    lake.put(f"{DAY}/a.json", [{**GOOD, "id": f"{n}", "value": n / 700} for n in range(20_000)])  # numbers that nothing makes smaller
    lake.sync(contract)
    table = _open(contract.silver)
    file = Path(contract.silver.location(settings().warehouse)) / table.file_uris()[0].removeprefix(contract.silver.location(settings().warehouse)).lstrip("/")
    whole = file.read_bytes()
    column = next(c for c in (pq.read_metadata(file).row_group(0).column(n) for n in range(20)) if c.path_in_schema == "value")
    middle = column.data_page_offset + column.total_compressed_size // 2
    total = "select sum(value) from " + contract.silver.sql
    try:
        for place in range(middle, middle + 40, 8):
            file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            with pytest.raises(PySparkException):
                lake.spark.sql(total).collect()
    finally:
        file.write_bytes(whole)
    lake.spark.sql(total).collect()


def test_money_keeps_digits_that_a_double_would_lose_and_is_never_rounded(lake: Lake) -> None:
    base = lake.events()
    columns = tuple(replace(c, type="decimal(24,6)", minimum=None, maximum=None) if c.name == "value" else c for c in base.columns)
    contract = replace(base, columns=columns)
    row = '{"id": "%s", "seq": 1, "at": "2026-01-05T10:00:00Z", "value": %s}\n'
    lake.put(f"{DAY}/a.json", row % ("a", "123456789012345678.123456") + row % ("b", "123456789012345678.1234565") + row % ("c", "0.0000005"))
    lake.sync(contract)
    assert lake.rows(contract.silver, "value") == [(Decimal("123456789012345678.123456"),)]
    assert [r[1] for r in reasons(lake, contract)] == [["value_type"]] * 2


NESTED = "struct<a:array<decimal(10,2)>,m:map<string,array<decimal(38,4)>>,n:int,t:string>"


@pytest.mark.parametrize("fmt", ["json", "csv"])
def test_decimals_in_lists_maps_and_records_keep_every_digit_or_are_refused(lake: Lake, fmt: str) -> None:
    base = lake.entities(source=replace(lake.entities().source, format=fmt))  # type: ignore[arg-type]
    contract = replace(base, columns=(*base.columns[:1], Column("prices", NESTED, "object"), Column("total", "decimal(38,4)", "number")), sequence=())
    long = "1234567890123456789012345678901234.5678"
    wrong = ('{"a": [1.0, 2.005]}', '{"m": {"x": [1], "y": [2, 0.00001]}}', '{"a": ["1,5"]}', '{"a": [1e-3]}', '{"a": [123456789.10]}', '{"n": 1.5}')
    values = {
        "good": ('{"a": [9.90, null, 2, 1.5e1, "3.25"], "m": {"x\\\\": [LONG]}, "n": 5, "t": "say \\"1.005\\", 2.005"}'.replace("LONG", long), long),
        "text": ('"{\\"a\\": [2.25]}"' if fmt == "json" else '{"a": [2.25]}', "1e3"),
        **{f"wrong{n}": (text, "1") for n, text in enumerate(wrong)},
        "total0": ("null" if fmt == "json" else "", f"{long}1"),
        "total1": ("null" if fmt == "json" else "", "0.00001"),
        "total2": ("null" if fmt == "json" else "", "1e-5"),
    }
    if fmt == "json":
        lake.put(f"{DAY}/a.json", "".join(f'{{"id": "{id}", "prices": {prices}, "total": {total}}}\n' for id, (prices, total) in values.items()))
    else:
        lines = ((id, '"' + prices.replace('"', '""') + '"' if prices else "", total) for id, (prices, total) in values.items())
        lake.put(f"{DAY}/a.csv", "id,prices,total\n" + "".join(",".join(line) + "\n" for line in lines))
    lake.sync(contract)
    cents = [Decimal("9.90"), None, Decimal("2.00"), Decimal("15.00"), Decimal("3.25")]
    good = {"a": cents, "m": [("x\\", [Decimal(long)])], "n": 5, "t": 'say "1.005", 2.005'}
    text = {"a": [Decimal("2.25")], "m": None, "n": None, "t": None}
    assert lake.rows(contract.silver, "id", "prices", "total") == [("good", good, Decimal(long)), ("text", text, Decimal(1000))]
    refused = {json.loads(r[0])["id"] if fmt == "json" else r[0].split(",")[0]: r[1] for r in lake.rows(contract.quarantine, "_payload", "_reasons")}
    assert refused == {**{f"wrong{n}": ["prices_type"] for n in range(len(wrong))}, **{f"total{n}": ["total_type"] for n in range(3)}}


def test_decimals_in_lists_of_a_typed_format_are_not_rounded(lake: Lake) -> None:
    base = lake.entities(source=replace(lake.entities().source, format="parquet"))  # type: ignore[arg-type]
    contract = replace(base, columns=(*base.columns[:1], Column("prices", "array<decimal(10,2)>", "array")), sequence=())
    prices = pa.array([[Decimal("1.5000"), None], [Decimal("1.0050")], None], pa.list_(pa.decimal128(20, 4)))
    parquet(lake.landing / lake.name / DAY / "a.parquet", pa.table({"id": ["a", "b", "c"], "prices": prices}))
    lake.sync(contract)
    assert lake.rows(contract.silver, "id", "prices") == [("a", [Decimal("1.50"), None]), ("c", None)]
    assert [r[0] for r in lake.rows(contract.quarantine, "_reasons")] == [["prices_type"]]


def test_nested_values_that_do_not_fit_their_type_are_refused(lake: Lake) -> None:
    base = lake.events()
    contract = replace(base, columns=(*base.columns[:-1], Column("tags", "array<int>", "array"), base.columns[-1]))
    lake.put(f"{DAY}/a.json", [{**GOOD, "tags": [1, 2]}, {**GOOD, "id": "b", "tags": [1, "x"]}, {**GOOD, "id": "c", "tags": "none"}, {**GOOD, "id": "d"}])
    lake.sync(contract)
    assert lake.rows(contract.silver, "id", "tags") == [("a", [1, 2]), ("d", None)]
    assert [r[1] for r in reasons(lake, contract)] == [["tags_type"], ["tags_type"]]


def test_a_record_without_its_date_is_refused_though_it_also_breaks_a_rule_that_only_warns(lake: Lake) -> None:
    plain = lake.events()
    contract = replace(
        plain, columns=tuple(replace(c, required=c.name != "at" and c.required) for c in plain.columns), rules=(rule("usual", "value < 50", "warn"),)
    )
    lake.put(f"{DAY}/a.json", [{"id": "a", "seq": 1, "value": 90.0}, {"id": "b", "seq": 1, "value": 1.0}, {**GOOD, "value": 90.0}])
    lake.sync(contract)
    assert lake.rows(contract.silver, "id") == [("a",)]
    assert sorted(r[1] for r in reasons(lake, contract)) == [["day_required"], ["day_required", "usual"]]


def test_a_day_that_is_built_anew_takes_its_files_from_where_they_stood_without_a_day(lake: Lake) -> None:
    later = lake.events()
    early = replace(later, start=date(2025, 12, 29))
    lake.put("dt=2025-12-30/a.json", [{"id": "a", "seq": 1, "at": "2025-12-30T10:00:00Z", "value": 1.0}])
    lake.put(f"{DAY}/b.json", [GOOD])
    lake.sync(later)
    assert [r[0] for r in lake.rows(later.quarantine, "_reasons")] == [["source_date_out_of_range"]]
    rebuild(lake.spark, early, [date(2025, 12, 30)], "again")
    lake.sync(early)
    assert lake.count(early.bronze) == 2
    assert (lake.count(early.quarantine), lake.rows(early.silver, "id", "day")) == (0, [("a", date(2025, 12, 30)), ("a", date(2026, 1, 5))])
