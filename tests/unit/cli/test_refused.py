"""The trend of refused records, as numbers and bars; and the file that an export leaves."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyspark.sql import Row
from pyspark.sql import types as T

from lakehouse.cli.refused import bars, export, last_days

FIELDS = T.StructType([T.StructField("_payload", T.StringType()), T.StructField("_reasons", T.ArrayType(T.StringType())), T.StructField("n", T.LongType())])


def test_the_trend_ends_with_the_last_day_that_the_table_has() -> None:
    per_day = {date(2026, 1, 3): 2, date(2026, 1, 1): 5, None: 9}
    assert last_days(per_day, date(2026, 1, 4), 4) == [5, 0, 2, 0]
    assert last_days(per_day, None, 2) == [0, 2]
    assert last_days({None: 9}, None, 3) == [0, 0, 0]


@pytest.mark.parametrize(("numbers", "drawn"), [([], ""), ([0, 0], "··"), ([1], "█"), ([0, 1, 8], "·▁█"), ([1, 500, 1000], "▁▄█"), ([7, 7], "██")])
def test_bars_show_something_wherever_there_is_something(numbers: list[int], drawn: str) -> None:
    assert bars(numbers) == drawn


class Frame(SimpleNamespace):
    """What an export asks of a DataFrame."""

    schema = FIELDS

    def toLocalIterator(self) -> Any:  # noqa: N802 - Spark's name
        for row in self.rows:
            if isinstance(row, Exception):
                raise row
            yield row


ROWS = [Row('{"a": "1,2"}', ["late", "value_in_range"], 1), Row(None, ["empty_message"], None)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("out.csv", '_payload,_reasons,n\n"{""a"": ""1,2""}","[""late"", ""value_in_range""]",1\n,"[""empty_message""]",\n'),
        (
            "out.jsonl",
            '{"_payload": "{\\"a\\": \\"1,2\\"}", "_reasons": ["late", "value_in_range"], "n": 1}\n'
            '{"_payload": null, "_reasons": ["empty_message"], "n": null}\n',
        ),
    ],
)
def test_an_export_is_csv_or_json_lines_by_its_name(tmp_path: Path, name: str, text: str) -> None:
    assert export(Frame(rows=ROWS), tmp_path / name) == 2  # type: ignore[arg-type]
    assert (tmp_path / name).read_text("utf-8") == text


def test_an_export_that_breaks_off_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="gone"):
        export(Frame(rows=[ROWS[0], OSError("gone")]), tmp_path / "out.csv")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
