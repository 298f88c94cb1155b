"""The engine as an operating-system process: its command, its ports, its log, finding and ending it.

Not here: when to start or stop it (`launcher`), what it is told (`config`).
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import psutil

from lakehouse.engine.config import EngineConfig
from lakehouse.errors import EngineError

KEPT_LOGS = 3
_LOG = logging.getLogger(__name__)
LOOPBACK = "127.0.0.1"
_NOT_INHERITED = ("SPARK_", "PYSPARK_", "HIVE_", "HADOOP_CONF_DIR", "CLASSPATH", "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "JDK_AOT_VM_OPTIONS")
_KEEPER = "lakehouse.engine.keeper"
_CHILDREN: list[subprocess.Popen[bytes]] = []  # kept, so that one which ended is reaped by the next poll and not left as a zombie


def free_ports(count: int) -> list[int]:
    """Free ports on the loopback interface. Another process may be faster to take one: the launcher then tries again."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) for _ in range(count)]
        for one in sockets:
            one.bind((LOOPBACK, 0))
        return [one.getsockname()[1] for one in sockets]


def accepts(port: int) -> bool:
    """Whether somebody listens there."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1):
            return True
    except OSError:
        return False


def spawn(config: EngineConfig, connect_port: int, thrift_port: int, aot: Sequence[str] = ()) -> psutil.Process:
    """Start the engine, below the process that keeps its lease, as a session of its own, so that no Ctrl-C and no end of this process reaches it.

    Its doors open some seconds later. Raises `EngineError` when another engine owns the warehouse, `StorageError`.
    """
    for child in _CHILDREN:
        child.poll()
    _prepare_folders(config)
    hear, tell = os.pipe()
    keeper = [sys.executable, "-m", _KEEPER, config.warehouse, str(config.home), str(tell)]
    with config.log.open("ab") as log, os.fdopen(hear) as said:
        child = subprocess.Popen(
            [*keeper, *_command(config, connect_port, thrift_port, aot)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=config.folder,
            env=environment(config),
            start_new_session=True,
            pass_fds=(tell,),
        )
        os.close(tell)
        _CHILDREN.append(child)
        return _engine_of(child, said, config.log)


def _engine_of(keeper: subprocess.Popen[bytes], said: IO[str], log: Path) -> psutil.Process:
    """The engine's process, once its keeper says that it was started."""
    for line in said:
        told = json.loads(line)
        if "pid" in told:
            return psutil.Process(told["pid"])
        if "waiting" in told:
            _LOG.warning("%s", told["waiting"])
        else:
            raise EngineError(told["what"], state=told["state"], next_step=told["next_step"])
    lines = "\n".join(last_lines(log, 5))
    raise EngineError(f"The process that keeps the engine's lease ended at once (exit code {keeper.wait()}):\n{lines}", next_step=f"The whole log: {log}")


def strays(config: EngineConfig) -> list[psutil.Process]:
    """Engines of this lake that no state file knows, such as one whose starter was killed before it could write it down."""
    mark = [str(config.java), _argument_file(config)]
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        if process.info["status"] != psutil.STATUS_ZOMBIE and (process.info["cmdline"] or [])[:2] == mark:
            found.append(process)
    return found


def end(process: psutil.Process, patience: float) -> None:
    """SIGTERM, and SIGKILL if it is still there after `patience` seconds. Of an engine, its keeper's end as well: it still writes that the lake is free."""
    keeper = _keeper_of(process)
    with contextlib.suppress(psutil.NoSuchProcess):
        process.terminate()
        if not gone(process, patience):
            process.kill()
            gone(process, patience)
    if keeper is not None:
        with contextlib.suppress(psutil.NoSuchProcess):
            gone(keeper, patience)


def _keeper_of(engine: psutil.Process) -> psutil.Process | None:
    with contextlib.suppress(psutil.Error):
        parent = engine.parent()
        if parent is not None and _KEEPER in parent.cmdline():
            return parent
    return None


def reap(patience: float) -> None:
    """Wait for the keepers that this process has started and whose engines have ended: they still give the lease back."""
    for child in _CHILDREN:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(patience)


def gone(process: psutil.Process, patience: float) -> bool:
    """Wait up to `patience` seconds for its end. Reaps it where it is a child of ours; one that its own parent has not reaped has ended, too."""
    for child in _CHILDREN:
        if child.pid == process.pid:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(patience)
            return child.returncode is not None
    deadline = time.monotonic() + patience
    while psutil.wait_procs([process], timeout=0)[1] and process.status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def ended(process: psutil.Process) -> bool:
    """Whether it has ended by now."""
    try:
        return gone(process, 0)
    except psutil.NoSuchProcess:
        return True


def clients(process: psutil.Process, connect_port: int, thrift_port: int) -> int:
    """How many connections of other processes are open at its doors."""
    try:
        found = process.net_connections(kind="tcp")
    except psutil.Error:
        return 0
    inside = {connect_port, thrift_port}
    own = _own_ports()
    return sum(1 for c in found if c.status == psutil.CONN_ESTABLISHED and c.laddr.port in inside and c.raddr and c.raddr.port not in own)


def last_lines(log: Path, count: int = 15) -> list[str]:
    """The end of the log, without the frames of stack traces."""
    try:
        with log.open(encoding="utf-8", errors="replace") as lines:
            return list(deque((line.rstrip() for line in lines if line.strip() and not line.startswith(("\tat ", "\t... "))), maxlen=count))
    except FileNotFoundError:
        return []


def environment(config: EngineConfig) -> dict[str, str]:
    """This process's environment handed on (credentials of object stores, proxies), without what would configure another Spark or Java."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
    alone = {"SPARK_LOCAL_IP": LOOPBACK} if dict(config.conf)["spark.driver.host"] == LOOPBACK else {}
    return {**kept, **alone, "SPARK_HOME": str(config.spark_home), "SPARK_SCALA_VERSION": "2.13", "PYSPARK_PYTHON": sys.executable}


def _own_ports() -> set[int]:
    return {c.laddr.port for c in psutil.Process().net_connections(kind="tcp") if c.laddr}


def _command(config: EngineConfig, connect_port: int, thrift_port: int, aot: Sequence[str]) -> list[str]:
    (config.folder / "java.args").write_text("\n".join(_quoted(flag) for flag in _java_arguments(config, aot)) + "\n", encoding="utf-8")
    ports = {"spark.connect.grpc.binding.port": connect_port, "spark.hadoop.hive.server2.thrift.port": thrift_port}
    conf = {**dict(config.conf), **ports}
    (config.folder / "spark.conf").write_text("".join(f"{key} {_escaped(str(value))}\n" for key, value in conf.items()), encoding="utf-8")
    return [
        str(config.java),
        _argument_file(config),
        "org.apache.spark.deploy.SparkSubmit",
        "--properties-file",
        str(config.folder / "spark.conf"),
        "--class",
        "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2",
        "spark-internal",
    ]


def _java_arguments(config: EngineConfig, aot: Sequence[str]) -> list[str]:
    return [*config.flags, *config.options, f"-Xmx{config.heap}", *aot, "-cp", ":".join(str(path) for path in (*config.class_path, *config.further))]


def _argument_file(config: EngineConfig) -> str:
    return f"@{config.folder / 'java.args'}"


def _quoted(argument: str) -> str:
    escaped = argument.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\")


def _prepare_folders(config: EngineConfig) -> None:
    """Fresh scratch space, and the earlier logs one number up."""
    shutil.rmtree(config.folder / "tmp", ignore_errors=True)
    (config.folder / "tmp" / "hive-local").mkdir(parents=True)  # each Thrift session that ends looks there, and says that it is missing
    config.log.parent.mkdir(parents=True, exist_ok=True)
    for number in range(KEPT_LOGS - 1, 0, -1):
        older = config.log.with_name(f"{config.log.name}.{number}")
        if older.exists():
            older.replace(config.log.with_name(f"{config.log.name}.{number + 1}"))
    if config.log.exists():
        config.log.replace(config.log.with_name(f"{config.log.name}.1"))
