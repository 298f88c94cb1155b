"""What people get to see of an error of the engine; what an engine of others is given."""

from contextlib import nullcontext
from unittest.mock import MagicMock

import pytest

from lakehouse.engine import session
from lakehouse.engine.launcher import Endpoints
from lakehouse.engine.session import brief
from lakehouse.errors import SettingsError
from lakehouse.settings import settings

LONG = """[TABLE_OR_VIEW_NOT_FOUND] The table or view `x` cannot be found.
Verify the spelling. SQLSTATE: 42P01; line 1 pos 14;
'Project [*]

JVM stacktrace:
org.apache.spark.sql.AnalysisException
\tat org.apache.spark.sql.catalyst.analysis(Some.scala:1)
"""


def test_the_trace_of_the_jvm_is_left_out():
    assert (
        brief(RuntimeError(LONG))
        == "[TABLE_OR_VIEW_NOT_FOUND] The table or view `x` cannot be found. Verify the spelling. SQLSTATE: 42P01; line 1 pos 14; 'Project [*]"
    )


def test_only_the_first_lines_are_shown():
    assert brief(RuntimeError(LONG), lines=1) == "[TABLE_OR_VIEW_NOT_FOUND] The table or view `x` cannot be found."


@pytest.mark.parametrize("error", [ValueError(), ValueError("\tat nothing but trace")])
def test_an_error_without_words_is_its_class(error: Exception):
    assert brief(error) == "ValueError"


def test_a_broken_connection_is_told_in_its_own_words():
    said = '<_InactiveRpcError of RPC that terminated with:\n\tstatus = StatusCode.UNAVAILABLE\n\tdetails = "connection refused"\n\tdebug_error_string = "x"\n>'
    assert brief(RuntimeError(said)) == "connection refused"


@pytest.mark.parametrize("pid", [None, 1])
def test_only_an_engine_of_others_is_given_the_databases_with_a_connection(monkeypatch: pytest.MonkeyPatch, pid: int | None):
    made = MagicMock()
    monkeypatch.setattr(session, "ensure_engine", lambda: Endpoints("sc://spark:15002", "spark", 10000, pid))
    monkeypatch.setattr(session, "open_session", lambda endpoints: endpoints)
    monkeypatch.setattr(session, "create_databases", made)
    monkeypatch.setattr(session, "hold_to_warehouse", made)
    session.connect()
    assert made.called == (pid is None)


@pytest.mark.parametrize(
    ("warehouse", "silver", "same"),
    [
        ("s3a://lake/warehouse", "s3a://lake/warehouse/silver", True),
        ("s3://lake/warehouse/", "s3://lake/warehouse/silver/", True),
        ("/data/my lake", "file:/data/my%20lake/silver", True),
        ("/data/lake", "file:///data/lake/silver", True),
        ("s3a://backup/lake", "s3a://lake/warehouse/silver", False),
        ("/data/lake", "file:/data/warehouse/silver", False),
    ],
)
def test_an_engine_of_others_for_another_lake_is_refused(monkeypatch: pytest.MonkeyPatch, warehouse: str, silver: str, same: bool):
    monkeypatch.setenv("LAKEHOUSE_WAREHOUSE", warehouse)
    monkeypatch.setenv("LAKEHOUSE_S3_REGION", "eu-central-1")
    settings.cache_clear()
    opened = MagicMock()
    opened.catalog.getDatabase.return_value.locationUri = silver
    monkeypatch.setattr(session, "ensure_engine", lambda: Endpoints("sc://spark:15002", "spark", 10000, None))
    monkeypatch.setattr(session, "open_session", lambda _: opened)
    monkeypatch.setattr(session, "create_databases", MagicMock())
    try:
        with nullcontext() if same else pytest.raises(SettingsError, match="LAKEHOUSE_WAREHOUSE"):
            session.connect()
    finally:
        settings.cache_clear()
