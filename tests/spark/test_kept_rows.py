"""What the engine keeps for a client goes when the client has done its work, and what a killed client has left goes with the next one's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from lakehouse.engine.kept import kept

CLIENT = """
import time
from lakehouse.engine.kept import kept
from lakehouse.engine.session import connect
with kept(connect().range(1234567).selectExpr("id * 2 as twice")) as rows:
    print(rows.count(), flush=True)
    time.sleep(600)
"""


def is_kept(rows: DataFrame) -> bool:
    return rows.storageLevel.useMemory


def test_rows_that_a_killed_client_had_kept_are_removed_after_the_next_one_s_work(spark: SparkSession, home: Path) -> None:
    own, left = spark.range(7).selectExpr("id + 1 as more"), spark.range(1234567).selectExpr("id * 2 as twice")
    with kept(own) as rows:
        assert rows.count() == 7 and is_kept(own)
        client = subprocess.Popen([sys.executable, "-c", CLIENT], stdout=subprocess.PIPE, text=True)
        try:
            assert client.stdout is not None and client.stdout.readline() == "1234567\n"
            with kept(spark.range(3)) as others:
                others.count()
            assert is_kept(left), "a client that is at work keeps its rows"
        finally:
            client.kill()
            client.wait()
        with kept(spark.range(3)) as others:
            others.count()
        assert is_kept(own) and is_kept(left), "nothing is removed while somebody works"
    assert not is_kept(own) and not is_kept(left)
    assert list((home / "run" / "kept").iterdir()) == []
