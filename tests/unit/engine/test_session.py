"""What people get to see of an error of the engine; what an engine of others is given."""

from unittest.mock import MagicMock

import pytest

from lakehouse.engine import session
from lakehouse.engine.launcher import Endpoints
from lakehouse.engine.session import brief

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
    session.connect()
    assert made.called == (pid is None)
