"""Tables that need code: `<table>.py` with `transform(rows: DataFrame) -> DataFrame`, found by name.

A transform gets the typed rows with their technical columns (`_…`) before the rules are applied. It may change or fill the contract's columns; it must
keep every row and every technical column. It is pure: no session, no reads, no clock.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def transform_of(table: str) -> Callable[[DataFrame], DataFrame] | None:
    """The table's code; None where it needs none."""
    module = f"{__name__}.{table}"
    if importlib.util.find_spec(module) is None:
        return None
    return cast("Callable[[DataFrame], DataFrame]", import_module(module).transform)
