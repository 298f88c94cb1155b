"""The training run of the AOT cache: a throw-away lake on an engine of its own, one pass over what the platform does, and the JVM writes down what it used.

It runs at the lowest priority, once per machine and set of jars. Not here: using the cache (`aot`).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from lakehouse.engine import aot, process
from lakehouse.engine.config import GIB, engine_config
from lakehouse.engine.jars import Progress, ensure_jars, shared_folder
from lakehouse.engine.launcher import Endpoints, start_process
from lakehouse.engine.session import open_session
from lakehouse.engine.state import EngineState
from lakehouse.errors import EngineError
from lakehouse.settings import Settings, settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NEEDED_MEMORY = 3 * GIB
START_TIMEOUT = 300.0
WRITE_PATIENCE = 600.0  # the JVM writes the cache after SIGTERM: 20 to 40 s with a processor to itself, longer at low priority
_LOG = logging.getLogger(__name__)


def train(progress: Progress, force: bool = False) -> Path | None:
    """Make the AOT cache for the present jars and settings, unless it is there; None when another training run is at work.

    Whatever fails here leaves the engine as it was: without a cache it starts slower. Raises `EngineError` when the training engine does not start.
    """
    cache = aot.cache_file(engine_config(settings()))
    if cache.is_file() and not force:
        progress(f"The AOT cache is there: {cache}")
        return cache
    cache.parent.mkdir(parents=True, exist_ok=True)
    with _only_one(cache.parent) as alone:
        if not alone:
            progress("Another process is making the AOT cache at this moment.")
            return None
        for left_over in cache.parent.glob(".train-*"):
            shutil.rmtree(left_over, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=".train-", dir=cache.parent, ignore_cleanup_errors=True) as scratch:
            return _train_in(Path(scratch), cache, progress)


def train_in_background() -> Path | None:
    """Start `train` as a process of its own at idle priority and return where it writes; None where the cache exists or memory is short."""
    if aot.cache_file(engine_config(settings())).is_file() or psutil.virtual_memory().available < NEEDED_MEMORY:
        return None
    log = shared_folder() / "aot" / "training.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        subprocess.Popen(
            [sys.executable, "-m", __name__], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=log.parent, start_new_session=True
        )
    return log


def _train_in(scratch: Path, cache: Path, progress: Progress) -> Path:
    ensure_jars()
    aot.share_classes(engine_config(settings()).java)
    lake = Settings(home=scratch / "lake", landing=str(scratch / "landing"), warehouse=str(scratch / "lake" / "warehouse"), engine="embedded", engine_heap="1g")
    config = engine_config(lake)
    output = scratch / cache.name
    progress("Starting an engine that writes down which classes it uses …")
    state = start_process(config, START_TIMEOUT, aot.record_flags(output))
    found = psutil.Process(state.pid)
    try:
        progress("Exercising it: JSON, CSV and Parquet in, Delta tables written, merged and replaced, SQL over Thrift …")
        _exercise(state, scratch)
        progress("Writing the cache (about 40 s) …")
    finally:
        process.end(found, WRITE_PATIENCE)
    if not output.is_file():
        lines = "\n".join(f"    {line}" for line in process.last_lines(config.log, 8))
        raise EngineError(f"The JVM ended without writing an AOT cache. Its last lines:\n{lines}", state="The engine works as before, only slower to start.")
    output.replace(cache)
    for outdated in cache.parent.glob("*.aot"):
        if outdated != cache:
            outdated.unlink(missing_ok=True)
    progress(f"The AOT cache is ready ({cache.stat().st_size // 1024**2} MB); the next start of the engine uses it.")
    return cache


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[bool]:
    with (folder / "training.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def _exercise(state: EngineState, scratch: Path) -> None:
    """What the platform asks of Spark, in small: the more of it, the fewer classes are loaded and methods compiled later."""
    session = open_session(Endpoints(f"sc://{process.LOOPBACK}:{state.connect_port}", process.LOOPBACK, state.thrift_port, state.pid))
    try:
        _write_sources(scratch / "landing")
        for statement in _preparation(scratch):
            session.sql(statement).collect()
        for _ in range(2):
            _increment(session, scratch)
            _over_thrift(state)
    finally:
        session.stop()


def _write_sources(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{"id": f"r{n:04d}", "value": n / 7, "kind": "ab"[n % 2], "at": f"2026-01-{1 + n % 5:02d}T10:00:00Z"} for n in range(2000)]
    (folder / "a.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n{broken\n", encoding="utf-8")
    lines = [f"{row['id']},{row['value']:.2f},{row['kind']},{row['at']}" for row in rows]
    (folder / "b.csv").write_text("\n".join(["id,value,kind,at", *lines]) + "\n", encoding="utf-8")


def _preparation(scratch: Path) -> list[str]:
    databases = [f"create database if not exists {name} location '{scratch}/lake/warehouse/{name}'" for name in ("bronze", "silver", "staging", "gold")]
    return [
        *databases,
        "create table silver.t (id string not null, value double, kind string, at timestamp, day date, h bigint) using delta partitioned by (day) "
        "tblproperties (delta.enableChangeDataFeed = true)",
    ]


def _increment(session: SparkSession, scratch: Path) -> None:
    from pyspark.sql import functions as F

    landing = str(scratch / "landing")
    lines = session.read.text([f"{landing}/a.jsonl"]).select("value", "_metadata.file_path", "_metadata.file_modification_time", "_metadata.file_size")
    bronze = lines.select(F.col("value").alias("_payload"), F.col("file_path").alias("_source"), F.current_timestamp().alias("_ingested_at"))
    bronze = bronze.withColumn("_source_date", F.lit("2026-01-01").cast("date"))
    bronze.write.format("delta").mode("append").partitionBy("_source_date").option("userMetadata", "{}").saveAsTable("bronze.t")
    session.sql("alter table bronze.t set tblproperties (delta.enableChangeDataFeed = true)").collect()
    _read_other_formats(session, scratch)
    parsed = session.table("bronze.t").select(
        "*", F.from_json("_payload", "id string, value double, kind string, at timestamp, _bad string", {"columnNameOfCorruptRecord": "_bad"}).alias("r")
    )
    checks = [F.when(F.col("r.id").isNull(), F.lit("id_required")), F.when(~F.col("r.kind").isin("a", "b"), F.lit("kind_in_set"))]
    judged = parsed.select("r.*", "_source", F.array_compact(F.array(*checks)).alias("_reasons"), F.xxhash64("_payload").alias("h"))
    judged = judged.withColumn("day", F.to_date("at")).persist()
    judged.filter(F.size("_reasons") > 0).write.format("delta").mode("append").saveAsTable("bronze.refused")
    good = judged.filter((F.size("_reasons") == 0) & F.col("_bad").isNull())
    good = good.groupBy("id", "day").agg(F.max_by(F.struct("value", "kind", "at", "h"), F.struct("at", "h")).alias("w")).select("id", "day", "w.*")
    good.createOrReplaceTempView("increment")
    for statement in (
        "merge into silver.t t using increment s on t.id = s.id and t.day = s.day and t.day in (date'2026-01-01', date'2026-01-02') "
        "when matched and s.at >= t.at then update set value = s.value, kind = s.kind, at = s.at, h = s.h "
        "when not matched then insert (id, value, kind, at, day, h) values (s.id, s.value, s.kind, s.at, s.day, s.h)",
        "insert into silver.t replace where day = date'2026-01-02' select id, value, kind, at, day, h from increment where day = date'2026-01-02'",
    ):
        session.sql(statement).collect()
    ordered = good.select("id", "value", "kind", "at", "day", "h").filter("day = date'2026-01-03'")
    ordered.write.format("delta").mode("overwrite").option("replaceWhere", "day = '2026-01-03'").saveAsTable("silver.t")
    session.read.format("delta").option("readChangeFeed", "true").option("startingVersion", 1).table("silver.t").groupBy("_change_type").count().collect()
    session.sql("select day, count(*), sum(value) from silver.t group by day order by day").toPandas()
    session.sql("select * except (n) from (select *, row_number() over (partition by id order by at desc) n from silver.t) where n = 1").collect()
    session.sql("select * from silver.t where day = '2026-01-02' except all select * from silver.t where day = '2026-01-02'").collect()
    session.sql("describe history silver.t").collect()
    session.sql("describe detail silver.t").collect()
    judged.unpersist()


def _read_other_formats(session: SparkSession, scratch: Path) -> None:
    landing = str(scratch / "landing")
    table = session.read.option("header", True).schema("id string, value string, kind string, at string").csv(f"{landing}/b.csv")
    typed = table.selectExpr("id", "try_cast(value as decimal(10,2)) value", "kind", "try_to_timestamp(at) at")
    typed.write.mode("overwrite").parquet(f"{landing}/c.parquet")
    session.read.parquet(f"{landing}/c.parquet").selectExpr("*", "_metadata.row_index").agg({"value": "sum"}).collect()
    session.read.format("binaryFile").load(landing).select("path", "length", "modificationTime").collect()


def _over_thrift(state: EngineState) -> None:
    """dbt's way in, with the statements it sends."""
    from pyhive import hive

    connection = hive.connect(host=process.LOOPBACK, port=state.thrift_port, auth="NONE")
    cursor = connection.cursor()
    for statement in (
        "show databases",
        "show table extended in silver like '*'",
        "describe extended silver.t",
        "create or replace view staging.v as select id, value, day from silver.t",
        "create or replace table gold.daily using delta partitioned by (day) as select day, count(*) as n, sum(value) as total from staging.v group by day",
        "insert into gold.daily replace where day = date'2026-01-01' select day, count(*), sum(value) from staging.v where day = date'2026-01-01' group by day",
        "select count(*) from (select day from gold.daily where day is null) x",
    ):
        cursor.execute(statement)
        if cursor.description:
            cursor.fetchall()
    connection.close()


def main() -> int:
    """The background process: as little in the way as the system allows."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("pyhive").setLevel(logging.WARNING)
    os.nice(19)
    if hasattr(os, "SCHED_IDLE"):
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    try:
        train(_LOG.info)
    except EngineError as error:
        _LOG.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    _LOG = logging.getLogger("lakehouse.engine.training")
    sys.exit(main())
