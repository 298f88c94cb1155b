"""The engine on a cluster: what its driver and executors are told, and Spark's own master and worker as commands, from the same packages as the engine.

Not here: what does not depend on where Spark computes (`config`), the engine's process (`process`, `launcher`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from lakehouse.engine import process
from lakehouse.engine.config import TUNED, EngineConfig, versions

MASTER, WORKER = "org.apache.spark.deploy.master.Master", "org.apache.spark.deploy.worker.Worker"
_SMALL = ("-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")  # of a master or worker itself: it only starts others
# Spark starts executors with a module that is only in full JDKs, and that only its machine learning uses; and knows nothing of this Java's flags.
_JAVA = """#!/bin/sh
for argument do
    shift
    [ "$argument" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$argument"
done
exec '{java}' {flags} "$@"
"""


def master_command(config: EngineConfig, host: str, port: int) -> list[str]:
    """A master that workers and the engine reach at `spark://host:port`.

    It writes down who is there: one that had forgotten the engine would end its executors, and give it no others. What another version wrote it can't read.
    """
    folder = config.folder / "master" / versions()["spark"]
    folder.mkdir(parents=True, exist_ok=True)
    kept = ("-Dspark.deploy.recoveryMode=FILESYSTEM", f"-Dspark.deploy.recoveryDirectory={folder}")
    return _command(config, kept, MASTER, ["--host", host, "--port", str(port), "--webui-port", "0"])


def worker_command(config: EngineConfig, master: str, host: str, cores: int, memory: str) -> list[str]:
    """A worker that lends this machine's processors and memory to the engines of a master."""
    folder = config.folder / "worker"
    folder.mkdir(parents=True, exist_ok=True)
    words = ["--host", host, "--cores", str(cores), "--memory", memory, "--work-dir", str(folder), "--webui-port", "0", master]
    return _command(config, ("-Dspark.worker.preferConfiguredMasterAddress=true",), WORKER, words)  # a master that comes back may have another address


def environment(config: EngineConfig, host: str) -> dict[str, str]:
    """What a master or worker at this address finds around it: no other Spark or Java, and a Java for the executors."""
    home = config.folder / "java"
    program = home / "bin" / "java"
    program.parent.mkdir(parents=True, exist_ok=True)
    scratch = program.with_name(f".java.{os.getpid()}")
    scratch.write_text(_JAVA.format(java=config.java, flags=" ".join(TUNED)), "utf-8")
    scratch.chmod(0o755)
    scratch.replace(program)
    found = {**process.environment(config), "JAVA_HOME": str(home)}
    return found if host == process.LOOPBACK else {name: value for name, value in found.items() if name != "SPARK_LOCAL_IP"}


def _command(config: EngineConfig, flags: Sequence[str], main: str, words: Sequence[str]) -> list[str]:
    jars = ":".join(str(path) for path in config.class_path if path.is_relative_to(config.spark_home))
    return [str(config.java), *config.portable, *_SMALL, *flags, "-cp", jars, main, *words]
