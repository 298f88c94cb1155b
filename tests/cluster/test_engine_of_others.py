"""A Spark with Connect and Thrift doors that somebody else has started, with hardly a setting: the lake works on it, and `doctor` says what it lacks."""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lakehouse.engine.config import engine_config
from lakehouse.engine.process import accepts, environment, free_ports
from lakehouse.settings import Settings
from tests import pings
from tests.integration.conftest import Lake

DELTA = {
    "spark.plugins": "org.apache.spark.sql.connect.SparkConnectPlugin",
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    folder = tmp_path_factory.mktemp("others")
    config = engine_config(Settings(home=folder / "spark"))  # for its Java and jars alone
    connect, thrift = free_ports(2)
    conf = {
        **DELTA,
        "spark.sql.session.timeZone": "Asia/Tokyo",
        "spark.sql.ansi.enabled": "false",
        "spark.ui.enabled": "false",
        "spark.sql.warehouse.dir": str(folder / "spark" / "warehouse"),
        "spark.hadoop.javax.jdo.option.ConnectionURL": f"jdbc:derby:;databaseName={folder / 'spark' / 'metastore'};create=true",
        "spark.connect.grpc.binding.port": str(connect),
        "spark.hadoop.hive.server2.thrift.port": str(thrift),
    }
    (folder / "spark").mkdir()
    command = [str(config.java), *config.portable, "-Xmx1g", "-cp", ":".join(map(str, config.class_path)), "org.apache.spark.deploy.SparkSubmit"]
    command += ["--master", "local[2]", "--class", "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2"]
    command += [word for key, value in conf.items() for word in ("--conf", f"{key}={value}")]
    with (folder / "spark" / "log").open("wb") as log:
        spark = subprocess.Popen([*command, "spark-internal"], cwd=folder / "spark", env=environment(config), stdout=log, stderr=log)
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("LAKEHOUSE_", "DAGSTER_"))}
    told = {"LAKEHOUSE_ENGINE": "remote", "LAKEHOUSE_CONNECT_URL": f"sc://127.0.0.1:{connect}", "LAKEHOUSE_THRIFT_HOST": "127.0.0.1"}
    places = {"LAKEHOUSE_THRIFT_PORT": str(thrift), "LAKEHOUSE_HOME": str(folder), "LAKEHOUSE_CONTRACTS": str(folder / "contracts")}
    (folder / "contracts" / "test").mkdir(parents=True)
    (folder / "contracts" / "test" / "ping.odcs.yaml").write_text(pings.BY_FILES)
    try:
        end = time.monotonic() + 120
        while not (accepts(connect) and accepts(thrift)):
            assert spark.poll() is None and time.monotonic() < end, (folder / "spark" / "log").read_text()[-3000:]
            time.sleep(0.2)
        yield Lake(folder, {**inherited, **told, **places})
    finally:
        spark.kill()
        spark.wait()


def test_a_lake_is_built_there_and_lies_where_its_settings_say(lake: Lake) -> None:
    sent, rng = [], random.Random(5)
    for turn in range(2):
        for n, (day, lines) in enumerate(pings.portion(turn, rng)):
            file = Path(lake.landing / "ping" / f"dt={day}" / f"t{turn}-{n}.json")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(lines)
            sent.append((day, lines))
        lake.run("sync")
        pings.check(lake, "ping", sent)
    assert not any((lake.home / "spark" / "warehouse").glob("*/*"))


def test_doctor_says_what_its_settings_would_make_of_queries(lake: Lake) -> None:
    found = json.loads(lake.run("doctor", "--json", check=False).stdout)["findings"]
    (engine,) = [f for f in found if f["name"] == "engine"]
    assert engine["level"] == "problem"
    assert "spark.sql.session.timeZone=Asia/Tokyo" in engine["text"]
    assert "spark.sql.ansi.enabled=true" in engine["mend"]


def test_it_is_neither_started_nor_stopped_from_here(lake: Lake) -> None:
    for word in ("start", "stop"):
        refused = lake.run("engine", word, check=False)
        assert refused.returncode == 1
        assert "belongs to others" in " ".join(refused.stderr.split())
