"""How full columns are, as file statistics tell it, in real Delta tables."""

from __future__ import annotations

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from lakehouse.engine.metadata import filled_shares
from lakehouse.settings import settings
from lakehouse.tables import Table

pytestmark = pytest.mark.usefixtures("home")

T = Table("silver", "t")


def write(**columns: list[object]) -> None:
    write_deltalake(T.location(settings().warehouse), pa.table(columns), mode="append", schema_mode="merge")


def test_a_column_s_share_of_values_is_that_of_all_files_of_the_version() -> None:
    write(a=[1, 2, None, 4], b=["x", "y", "z", None])
    write(a=[None, None, None, 1], b=["x"] * 4)
    assert filled_shares(T, 0) == {"a": 0.75, "b": 0.75}
    assert filled_shares(T, 1) == {"a": 0.5, "b": 0.875}


def test_nothing_is_said_of_a_column_that_not_every_file_tells_of_nor_of_a_table_that_is_not_there_or_empty() -> None:
    assert filled_shares(T, 0) == {}
    write(a=[1])
    write(a=[2], b=["x"])
    assert filled_shares(T, 1) == {"a": 1.0}
