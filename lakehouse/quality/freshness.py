"""How old the newest data of a table is, by the data's own time. Not here: the check that a run reports (`quality.checks`)."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.contracts.model import Contract

if TYPE_CHECKING:  # only its name: the engine alone opens tables
    from deltalake import DeltaTable


def newest_data(contract: Contract, table: DeltaTable) -> datetime | None:
    """The greatest value of the contract's freshness column, from file statistics. A date counts until its end."""
    actions = pa.table(table.get_add_actions(flatten=True))
    for name in (f"max.{contract.freshness_column}", f"partition.{contract.freshness_column}"):
        if name in actions.column_names and actions.num_rows:
            value = pc.max(actions[name]).as_py()
            if isinstance(value, datetime):
                return value if value.tzinfo else value.replace(tzinfo=UTC)
            if isinstance(value, date):
                return datetime.combine(value, time(), UTC) + timedelta(days=1)
    return None
