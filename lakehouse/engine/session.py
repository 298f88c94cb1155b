"""Spark Connect sessions on the engine: `connect()`, and what a Connect error says to people.

Not here: starting the engine (`launcher`), writing tables (`delta`).
"""

from __future__ import annotations

import atexit
import contextlib
import weakref
from typing import TYPE_CHECKING, cast

from lakehouse.engine.launcher import Endpoints, ensure_engine
from lakehouse.settings import settings

if TYPE_CHECKING:  # PySpark takes a second to import: only those who connect pay
    from pyspark.sql import SparkSession

_SHOUTING = ("DataFrameQueryContextLogger", "SQLQueryContextLogger")
_TRACE = ("JVM stacktrace:", "\tat ", "Caused by:", "org.apache.spark.SparkException:", "*** Source:")


def connect() -> SparkSession:
    """A new session (its own temporary views and settings) on the engine, which is started where it does not run. UTC.

    `session.stop()` ends the session, not the engine; otherwise it ends with this process. Raises `EngineError` when there is no engine.
    """
    return open_session(ensure_engine())


def open_session(endpoints: Endpoints) -> SparkSession:
    """A new session at these doors."""
    from pyspark.sql import SparkSession

    _quieten()
    session = SparkSession.builder.remote(endpoints.connect_url).create()
    if settings().engine == "embedded":
        _fail_fast(session)
    else:
        session.conf.set("spark.sql.session.timeZone", "UTC")
    atexit.register(_release, weakref.ref(session))
    return session


def brief(error: BaseException, lines: int = 3) -> str:
    """What an error says, without the JVM's trace: its first `lines` lines that mean something, joined by spaces."""
    said: list[str] = []
    for line in str(error).splitlines():
        if line.startswith(_TRACE):
            break
        text = line.strip()
        if text and not text.startswith(("==", "^")):
            said.append(text)
    return " ".join(said[:lines]) or type(error).__name__


def _quieten() -> None:
    """Keep the client from printing every error with the whole JVM trace as JSON; the error itself carries all of it."""
    from pyspark.logger import PySparkLogger

    for name in _SHOUTING:
        PySparkLogger.getLogger(name).disabled = True


def _fail_fast(session: SparkSession) -> None:
    """Wait seconds, not the default ten minutes, for a local engine that has gone away: nobody restarts it under this address."""
    from pyspark.sql.connect.client.retries import DefaultPolicy
    from pyspark.sql.connect.session import SparkSession as ConnectSession

    cast(ConnectSession, session).client.set_retry_policies([DefaultPolicy(max_retries=5, max_backoff=1000)])


def _release(reference: weakref.ref[SparkSession]) -> None:
    session = reference()
    if session is not None:
        with contextlib.suppress(Exception):  # the process is ending: an engine that is gone, or a session already released, is fine
            session.stop()
