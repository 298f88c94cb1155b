"""A contract that changes under deployed tables: what a run takes along by itself, what it stops at, and what `lakehouse contract apply` does."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from lakehouse.cli.contract import app
from lakehouse.contracts.loader import load_contract
from lakehouse.contracts.model import ChangeFeed, Column, Contract
from lakehouse.engine import metadata
from lakehouse.errors import ContractChanged
from lakehouse.settings import settings
from lakehouse.silver import build, report
from tests.spark.conftest import Lake

CONTRACT = """\
apiVersion: v3.2.0
kind: DataContract
id: {name}
name: {name}
version: {version}
status: active
domain: test
servers:
  - {{server: landing, type: local, path: {name}, format: json}}
schema:
  - name: {name}
    properties:
      - {{name: id, logicalType: string, required: true, primaryKey: true}}
      - {{name: amount, logicalType: integer, physicalType: {amount}, description: "How many: it's a count."}}
      - name: email
        logicalType: string
        logicalTypeOptions: {{pattern: '^[^@]+@${{0}}'}}
        {masking}
      - {{name: at, logicalType: timestamp, required: true}}
      - {{name: day, logicalType: date, required: true, partitioned: true, transformLogic: cast(at as date)}}
{more}
customProperties:
  - {{property: kind, value: event}}
  - {{property: source, value: {{lookbackDays: 3650}}}}
  - {{property: partition, value: {{start: '2026-01-01'}}}}
"""
MASKED = "customProperties: [{property: masking, value: {policy: sha256}}]"
Write = Callable[..., Contract]


def wide_rows(lake: Lake, contract: Contract, *columns: str) -> list[tuple[Any, ...]]:
    """Silver's rows, read by the engine: the reader that `Lake.rows` uses does not know tables with widened types."""
    return sorted(tuple(row) for row in lake.spark.table(contract.silver.sql).select(*columns).collect())


@pytest.fixture
def write(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes the table's contract, and reads it."""
    monkeypatch.setenv("LAKEHOUSE_CONTRACTS", str(tmp_path / "contracts"))
    monkeypatch.setenv("LAKEHOUSE_DBT_PROJECT", str(tmp_path / "none"))
    settings.cache_clear()
    file = tmp_path / "contracts" / "test" / f"{lake.name}.odcs.yaml"
    file.parent.mkdir(parents=True)

    def written(version: str, amount: str = "int", masking: str = MASKED, more: str = "") -> Contract:
        text = CONTRACT.format(name=lake.name, version=version, amount=amount, masking=masking, more=more)
        file.write_text(text.replace("${0}", "[^@]+$"))
        return load_contract(file)

    yield written
    settings.cache_clear()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


def record(number: int, amount: int, **more: object) -> dict[str, object]:
    return {"id": f"k{number}", "amount": amount, "email": "a@example.com", "at": f"2026-01-0{number}T10:00:00Z", **more}


def test_a_run_takes_along_what_breaks_nobody_and_stops_at_what_does(lake: Lake, write: Write) -> None:
    first = write("1.0.0")
    lake.put("dt=2026-01-01/a.json", [record(1, 7)])
    lake.sync(first)
    for table in (first.bronze, first.silver, first.quarantine):
        state = metadata.state(table)
        assert state is not None
        assert state.properties["lakehouse.contract.version"] == "1.0.0"
        assert [e["operation"] for e in (metadata.open_table(table) or pytest.fail()).history()][-1] == "CREATE TABLE"
    made = lake.version(first.silver)

    second = write("1.1.0", amount="bigint", more="      - {name: note, logicalType: string, description: 'Costs ${HOME} \\ less.'}")
    lake.put("dt=2026-01-02/a.json", [record(2, 3_000_000_000, note="x")])
    lake.sync(second)
    assert wide_rows(lake, second, "id", "amount", "note") == [("k1", 7, None), ("k2", 3_000_000_000, "x")]
    settled = lake.version(second.silver)
    lake.put("dt=2026-01-02/b.json", [record(2, 5, note="y")])
    lake.sync(second)
    assert lake.version(second.silver) == settled + 1, "what is as it should be is not altered again"
    state = metadata.state(second.silver)
    assert state is not None and state.properties["lakehouse.contract.version"] == "1.1.0"
    build.rebuild(lake.spark, second, None, "test")
    assert wide_rows(lake, second, "id", "amount", "note") == [("k1", 7, None), ("k2", 5, "y")]

    lake.spark.sql(f"RESTORE TABLE {first.silver.sql} TO VERSION AS OF {made}").collect()
    lake.sync(second)
    assert wide_rows(lake, second, "id", "amount", "note") == [("k1", 7, None), ("k2", 5, "y")]

    broken = write("1.2.0", amount="bigint", masking="", more="      - {name: note, logicalType: string}")
    before, arrived = lake.version(broken.silver), lake.version(broken.bronze)
    lake.put("dt=2026-01-03/a.json", [record(3, 1)])
    with pytest.raises(ContractChanged, match=f"email: masking none, was sha256.*\n.*\n.*lakehouse contract plan {lake.name}"):
        lake.sync(broken)
    assert (lake.version(broken.silver), lake.version(broken.bronze) > arrived) == (before, True), "what arrives is kept"
    with pytest.raises(ContractChanged):
        build.rebuild(lake.spark, broken, None, "test")


def test_apply_does_what_breaks_nobody_and_refuses_the_rest_until_a_version_and_a_flag_say_so(lake: Lake, write: Write) -> None:
    lake.put("dt=2026-01-01/a.json", [record(1, 7)])
    lake.sync(write("1.0.0"))
    assert run("apply").stdout == "Every deployed table is as its contract says.\n"

    contract = write("1.1.0", amount="bigint", more="      - {name: note, logicalType: string}")
    assert run("plan").exit_code == 0
    done = run("apply", lake.name)
    assert (done.exit_code, done.stdout) == (0, f"{lake.name}: 1.0.0 to 1.1.0, 2 changes applied.\n")
    assert f"lakehouse backfill silver/{lake.name}+ --from 2026-01-01 --only stale" in done.stderr
    types = {f.name: f.dataType.simpleString() for f in lake.spark.table(contract.silver.sql).schema.fields}
    assert (types["amount"], types["note"]) == ("bigint", "string")
    assert run("plan").stdout == "1 table as deployed.\n"

    more = "      - {name: note, logicalType: string}"
    for version, flag, told in (("1.2.0", "--breaking", "Make its version 2.0.0"), ("2.0.0", None, "--breaking")):
        write(version, amount="bigint", masking="", more=more)
        refused = run("apply", *filter(None, [flag]))
        assert refused.exit_code == 1
        assert told in refused.stderr
        assert "nothing was changed" in refused.stderr.lower() or "is unchanged" in refused.stderr
    assert run("apply", "--breaking").exit_code == 0
    shown = write("2.0.0", amount="bigint", masking="", more=more)
    lake.put("dt=2026-01-02/a.json", [record(2, 1)])
    lake.sync(shown)
    assert [e for _, e in wide_rows(lake, shown, "id", "email")][1] == "a@example.com"

    write("3.0.0", amount="int", masking="", more=more)
    anew = run("apply", "--breaking")
    assert anew.exit_code == 1
    assert f"lakehouse materialize silver/{lake.name} --recreate" in anew.stderr


def test_a_field_that_is_new_or_gone_is_told_with_what_the_contract_could_say(lake: Lake) -> None:
    contract = lake.events(columns=(*lake.events().columns[:2], Column("firmware", "string", "string"), *lake.events().columns[2:]))

    def sent(number: int, **fields: object) -> dict[str, object]:
        return {"id": f"k{number}", "seq": 1, "at": "2026-01-02T10:00:00Z", "value": 1.5, **fields}

    lake.put("dt=2026-01-02/a.json", [*(sent(n, firmware="1.0") for n in range(30)), "no record"])
    _, first = lake.sync(contract)
    assert (first.drift.records, first.drift.unknown, first.drift.gone) == (31, {}, {})
    more = [*(sent(n, vip=True) for n in range(30, 50)), *(sent(n, vip=False, **{"Shop Id": n}) for n in range(50, 60))]
    no_text = b'{"id": "z", "seq": 1, "at": "2026-01-02T10:00:00Z", "value": 1, "v\xffp": 1, "vip": "\xff"}\n'  # refused, and told nobody
    lake.put("dt=2026-01-02/b.json", no_text + "".join(json.dumps(r) + "\n" for r in more).encode())
    _, second = lake.sync(contract)
    assert (second.drift.unknown, second.drift.gone) == ({"Shop Id": 10, "vip": 30}, {"firmware": 1.0})
    assert [(c["name"], c["logicalType"]) for c in yaml.safe_load(second.drift.patch)] == [("shop_id", "integer"), ("vip", "boolean")]
    lake.put("dt=2026-01-02/c.json", [sent(60, firmware=None, vip=True)])
    known = replace(contract, ignored_fields=("vip",))
    _, third = lake.sync(known)
    assert (third.drift.unknown, third.drift.gone) == ({}, {}), "a field that is there without a value is not gone"
    again = build.rebuild(lake.spark, known, None, "test")
    assert (again.drift.unknown, again.drift.gone, again.drift.records) == ({"Shop Id": 10}, {}, 63)


def test_names_of_a_record_s_own_making_are_counted_as_one(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "MOST_GROUPS", 20)
    contract = lake.entities()
    lake.put("dt=2026-01-02/a.json", [{"id": f"k{n}", "name": "x", "seq": 1, f"v{n}": n} for n in range(50)])
    _, built = lake.sync(contract)
    assert dict(built.drift.unknown) == {"(many different names)": 50}
    assert len(lake.rows(contract.silver, "id")) == 50


def test_columns_of_a_typed_format_that_are_new_or_empty_are_told(lake: Lake) -> None:
    source = replace(lake.entities().source, format="parquet")  # type: ignore[arg-type]
    contract = lake.entities(source=source)
    for name, table in (
        ("a", pa.table({"id": [f"k{n}" for n in range(30)], "name": ["x"] * 30, "seq": pa.array([1] * 30, pa.int32())})),
        ("b", pa.table({"id": [f"k{n}" for n in range(30, 50)], "seq": pa.array([1] * 20, pa.int32()), "tags": [["t"]] * 10 + [None] * 10})),
    ):
        buffer = io.BytesIO()
        pq.write_table(table, buffer)
        lake.put(f"dt=2026-01-02/{name}.parquet", buffer.getvalue())
        _, built = lake.sync(contract)
    assert (built.drift.unknown, built.drift.gone) == ({"tags": 10}, {"name": 1.0})
    assert yaml.safe_load(built.drift.patch)[0]["physicalType"] == "array<string>"


def test_a_column_of_csv_that_is_new_or_gone_is_told(lake: Lake) -> None:
    contract = lake.entities(source=replace(lake.entities().source, format="csv"))  # type: ignore[arg-type]
    lake.put("dt=2026-01-02/a.csv", "id,name,seq\n" + "".join(f"k{n},x,1\n" for n in range(30)))
    lake.sync(contract)
    lake.put("dt=2026-01-02/b.csv", "seq,id,since\n" + "".join(f"1,k{n},2026-01-0{n % 9 + 1}\n" for n in range(30, 60)))
    _, built = lake.sync(contract)
    assert (built.drift.unknown, built.drift.gone) == ({"since": 30}, {"name": 1.0})
    assert yaml.safe_load(built.drift.patch)[0]["logicalType"] == "date"
    lake.put("dt=2026-01-02/c.csv", "id,name,seq\n" + "".join(f"k{n},,1\n" for n in range(60, 90)))
    _, empty = lake.sync(contract)
    assert (empty.drift.unknown, empty.drift.gone) == ({}, {}), "a column that is there without values is not gone"


def test_fields_of_a_row_in_an_envelope_are_told_and_a_delete_lacks_none(lake: Lake) -> None:
    columns = (
        Column("id", "string", "string", required=True),
        Column("name", "string", "string"),
        Column("lsn", "bigint", "integer", required=True, source_field="__source_lsn"),
    )
    contract = lake.entities(columns=columns, sequence=("lsn",), feed=ChangeFeed("debezium", None, ("lsn",)))

    def message(number: int, op: str, row: dict[str, object]) -> dict[str, object]:
        return {"op": op, "before": row if op == "d" else None, "after": None if op == "d" else row, "source": {"lsn": number}, "ts_ms": 1}

    lake.put("dt=2026-01-02/a.json", [message(n, "c", {"id": f"k{n}", "name": "x"}) for n in range(30)])
    lake.sync(contract)
    lake.put("dt=2026-01-02/b.json", [message(30 + n, "d", {"id": f"k{n}"}) for n in range(5)])
    _, deletes = lake.sync(contract)
    assert (deletes.drift.unknown, deletes.drift.gone) == ({}, {})
    lake.put("dt=2026-01-02/c.json", [message(60 + n, "u", {"id": f"k{n}", "vip": n % 2 == 0}) for n in range(30)])
    _, built = lake.sync(contract)
    assert dict(built.drift.unknown) == {"vip": 30}
    assert set(built.drift.gone) == {"name"}
    assert yaml.safe_load(built.drift.patch)[0]["logicalType"] == "boolean"
