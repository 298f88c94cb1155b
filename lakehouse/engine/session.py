"""Spark Connect sessions on the engine: `connect()`, whether their queries are compiled, and what a Connect error says to people.

Not here: starting the engine (`launcher`), writing tables (`delta`).
"""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import warnings
import weakref
from typing import TYPE_CHECKING, cast

from lakehouse.engine.catalog import create_databases, hold_to_warehouse
from lakehouse.engine.config import MEANING
from lakehouse.engine.launcher import Endpoints, ensure_engine
from lakehouse.engine.process import accepts
from lakehouse.errors import EngineError

if TYPE_CHECKING:  # PySpark takes a second to import: only those who connect pay
    from pyspark.sql import SparkSession

COMPILE = "spark.sql.codegen.factoryMode"
_WORTH_COMPILING = 50_000
_READ = 5
_SHOUTING = ("DataFrameQueryContextLogger", "SQLQueryContextLogger")
_DETAILS = re.compile(r'status = StatusCode\.\w+\s+details = "(.*)"')
_TRACE = ("JVM stacktrace:", "\tat ", "Caused by:", "org.apache.spark.SparkException:", "*** Source:")


def connect() -> SparkSession:
    """A new session (its own temporary views and settings) on the engine, which is started where it does not run. UTC.

    `session.stop()` ends the session, not the engine; otherwise it ends with this process. Raises `EngineError` when there is no engine,
    `SettingsError` when it is one of others for another lake.
    """
    from pyspark.errors import PySparkException

    for last in (False, True):
        endpoints = ensure_engine()
        try:
            session = open_session(endpoints)
            if endpoints.pid is None:  # ours has its databases since its start
                create_databases(session)
                hold_to_warehouse(session)
            return session
        except PySparkException as error:  # it was killed a moment ago, and its process was still there to be seen
            if last:
                look = "Look at it with: lakehouse engine status" if endpoints.pid else "Check LAKEHOUSE_CONNECT_URL, and that it runs and can be reached."
                raise EngineError(f"The engine at {endpoints.connect_url} does not answer: {brief(error)}", next_step=look) from error
    raise AssertionError("the loop returns or raises")


def open_session(endpoints: Endpoints) -> SparkSession:
    """A new session at these doors, seen to answer. Raises PySpark's error within seconds when nobody does."""
    from pyspark.sql.connect.client.core import DefaultChannelBuilder
    from pyspark.sql.connect.client.retries import DefaultPolicy
    from pyspark.sql.connect.session import SparkSession as ConnectSession

    _quieten()
    os.environ["SPARK_CONNECT_MODE_ENABLED"] = "1"  # as `SparkSession.builder.remote` does: PySpark's functions then build Connect's columns
    ours = endpoints.pid is not None
    channel = DefaultChannelBuilder(endpoints.connect_url, [("grpc.enable_http_proxy", 0)] if ours else None)  # a proxy can't reach our loopback
    connected = ConnectSession.builder.channelBuilder(channel).create()
    # PySpark's functions ask "the active session", by itself the first one of the thread, for settings: that one's engine may be gone by now.
    ConnectSession._default_session = ConnectSession._active_session.session = connected
    session = cast("SparkSession", connected)
    atexit.register(_release, weakref.ref(session), endpoints)
    # Seconds, not the default ten minutes: an embedded engine that went away does not come back under this address.
    connected.client.set_retry_policies([DefaultPolicy(max_retries=5, max_backoff=1000)])
    _ = connected.version
    if not ours:
        for key, value in MEANING.items():
            session.conf.set(key, value)
        connected.client.set_retry_policies([DefaultPolicy()])
    return session


def compiling(rows: int, read: int = 0) -> str:
    """The value of `COMPILE` for queries that make so many rows, and `read` others only to join or add them up: taken for a fifth of the work each.

    For few rows Spark takes longer to write, compile and warm up the code of a query than to interpret it: a quarter of a stream's pass. For a million
    rows it is the other way round, by as much as the half (benchmarks/README.md).
    """
    return "FALLBACK" if rows + read // _READ > _WORTH_COMPILING else "NO_CODEGEN"


def compile_for(spark: SparkSession, rows: int, read: int = 0) -> None:
    """Have the session's next queries compiled or interpreted, whichever is quicker for so many rows (see `compiling`)."""
    spark.conf.set(COMPILE, compiling(rows, read))


def brief(error: BaseException, lines: int = 3) -> str:
    """What an error says, without the JVM's trace: its first `lines` lines that mean something, joined by spaces."""
    text = str(error)
    transport = _DETAILS.search(text)
    if transport:
        return transport.group(1)
    said: list[str] = []
    for line in text.splitlines():
        if line.startswith(_TRACE):
            break
        stripped = line.strip()
        if stripped and not stripped.startswith(("==", "^")):
            said.append(stripped)
    return " ".join(said[:lines]) or type(error).__name__


def _quieten() -> None:
    """Keep the client from printing every error with the whole JVM trace as JSON; the error itself carries all of it."""
    from pyspark.logger import PySparkLogger

    for name in _SHOUTING:
        PySparkLogger.getLogger(name).disabled = True
    warnings.filterwarnings("ignore", message=r"\[RETRIES_EXCEEDED\]")  # the error that follows says the same


def _release(reference: weakref.ref[SparkSession], endpoints: Endpoints) -> None:
    """End the session with the process, so that the engine forgets it; not worth waiting for an engine that is gone."""
    session = reference()
    if session is None or (endpoints.pid is not None and not accepts(int(endpoints.connect_url.rpartition(":")[2]))):
        return
    with contextlib.suppress(Exception):
        session.stop()
