"""Dagster's instance of this lake: its home below the lake's home, its settings file, and opening it.

Not here: starting Dagster's processes (`services`), what they load (`lakehouse.definitions`).
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.errors import SetupError
from lakehouse.settings import PREFIX, Settings, settings

if TYPE_CHECKING:
    import dagster as dg

TEMPLATE = Path(__file__).with_name("dagster.yaml")
_HANDED_ON = ("home", "contracts", "landing", "warehouse", "dbt_project")
_SILENCE = 120.0


def dagster_home() -> Path:
    """Where Dagster keeps its state."""
    return settings().home / "dagster"


def prepare() -> Path:
    """Make Dagster's home with its settings where they are missing, and point this process and its children there."""
    home = dagster_home()
    file = home / "dagster.yaml"
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            scratch = home / f".dagster.yaml.{os.getpid()}"
            scratch.write_text(TEMPLATE.read_text("utf-8"), "utf-8")
            scratch.replace(file)
    except OSError as error:
        raise SetupError(f"{home} can't be written: {error.strerror}.", next_step="Free it, or set LAKEHOUSE_HOME to a folder of yours.") from error
    os.environ.update(environment(settings()))
    return home


def environment(chosen: Settings) -> dict[str, str]:
    """What a child needs to find this lake from whatever folder it runs in, and to stay quiet."""
    paths = {PREFIX + name.upper(): str(getattr(chosen, name)) for name in _HANDED_ON}
    return {**paths, "DAGSTER_HOME": str(chosen.home / "dagster"), "DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "PYTHONUNBUFFERED": "1"}


def open_instance() -> dg.DagsterInstance:
    """The lake's instance, its orphaned runs ended. Imports Dagster, which takes a second or two."""
    prepare()
    import dagster as dg

    from lakehouse.orphans import end_orphans

    instance = dg.DagsterInstance.get()
    end_orphans(instance)
    return instance


def daemon_reports(instance: dg.DagsterInstance) -> bool:
    """Whether a daemon gave a sign of life in the last two minutes (it does each half minute), wherever it runs: in containers it is no process of ours."""
    sign = instance.get_daemon_heartbeats().get("BACKFILL")
    return sign is not None and time.time() - sign.timestamp < _SILENCE
