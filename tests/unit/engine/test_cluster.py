"""The engine on a cluster: what driver and executors are told, and the commands of master and worker. Nothing is started."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from pydantic import ValidationError

from lakehouse.engine import cluster
from lakehouse.engine.config import engine_config
from lakehouse.engine.jars import S3_LOCK, read_lock
from lakehouse.errors import SettingsError
from lakehouse.settings import Settings

MASTER = "spark://master:7077"


def conf(**changes: object) -> dict[str, str]:
    return dict(engine_config(Settings(spark_master=MASTER, **changes)).conf)  # type: ignore[arg-type]


def test_without_a_master_everything_stays_in_the_engines_process() -> None:
    told = dict(engine_config(Settings()).conf)
    assert told["spark.master"] == "local[*]"
    assert not [key for key in told if key.startswith("spark.executor.")]


def test_executors_get_the_engines_jars_and_only_its_portable_flags() -> None:
    told = conf(s3_endpoint="http://127.0.0.1:9000")
    jars = {Path(path).name for path in told["spark.executor.extraClassPath"].split(":")}
    assert jars == {jar.filename for jar in (*read_lock(), *read_lock(S3_LOCK))}
    flags = told["spark.executor.extraJavaOptions"]
    assert "--add-opens=java.base/java.nio=ALL-UNNAMED" in flags
    assert "derby" not in flags
    assert "-XX:" not in flags  # what helps the engine may not be known to the executors' Java


def test_a_number_of_executors_is_fixed_and_a_range_grows_with_the_work() -> None:
    fixed, grown = conf(executors="3", executor_cores=4), conf(executors="1-10")
    assert (fixed["spark.executor.instances"], fixed["spark.cores.max"]) == ("3", "12")
    assert "spark.dynamicAllocation.enabled" not in fixed
    assert (grown["spark.dynamicAllocation.minExecutors"], grown["spark.dynamicAllocation.maxExecutors"]) == ("1", "10")


def test_a_driver_that_executors_reach_by_name_listens_at_every_address_and_one_on_loopback_nowhere_else() -> None:
    assert conf()["spark.driver.bindAddress"] == "127.0.0.1"
    assert conf(driver_host="engine")["spark.driver.bindAddress"] == "0.0.0.0"
    assert conf(driver_host="engine")["spark.connect.grpc.binding.address"] == "127.0.0.1"


@pytest.mark.parametrize("master", ["local", "local[4]", "yarn", "k8s://https://api:6443", MASTER])
def test_any_of_sparks_masters_is_passed_through(master: str) -> None:
    assert dict(engine_config(Settings(spark_master=master)).conf)["spark.master"] == master


def test_a_master_that_spark_does_not_know_is_a_mistake_of_the_settings() -> None:
    with pytest.raises(ValidationError):
        Settings(spark_master="master:7077")


def test_the_options_file_has_the_last_word_and_a_wrong_line_is_told(tmp_path: Path) -> None:
    file = tmp_path / "spark.conf"
    file.write_text("# ours\nspark.kubernetes.container.image lakehouse:1\nspark.sql.shuffle.partitions 7\n")
    told = conf(spark_options_file=file)
    assert (told["spark.kubernetes.container.image"], told["spark.sql.shuffle.partitions"]) == ("lakehouse:1", "7")
    file.write_text("kubernetes.namespace lake\n")
    with pytest.raises(SettingsError, match="kubernetes.namespace"):
        conf(spark_options_file=file)


def test_master_and_worker_run_on_the_packages_java_and_executors_on_one_without_the_module_it_lacks(tmp_path: Path) -> None:
    config = engine_config(Settings(home=tmp_path))
    command = cluster.worker_command(config, MASTER, "worker-1", 2, "3g")
    assert command[0] == str(config.java)
    assert command[-1] == MASTER
    env = cluster.environment(config, "127.0.0.1")
    java = Path(env["JAVA_HOME"]) / "bin" / "java"
    done = subprocess.run([java, "--add-modules=jdk.incubator.vector", "-version"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "-XX:-DontCompileHugeMethods" in java.read_text()
    assert env["SPARK_LOCAL_IP"] == "127.0.0.1"
    assert "SPARK_LOCAL_IP" not in cluster.environment(config, "worker-1")


def test_a_master_that_comes_back_knows_the_engine_again_and_workers_find_it(tmp_path: Path) -> None:
    config = engine_config(Settings(home=tmp_path))
    kept = dict(word[2:].split("=", 1) for word in cluster.master_command(config, "master", 7077) if word.startswith("-Dspark."))
    assert kept["spark.deploy.recoveryMode"] == "FILESYSTEM"
    assert Path(kept["spark.deploy.recoveryDirectory"]).is_relative_to(tmp_path)
    assert Path(kept["spark.deploy.recoveryDirectory"]).is_dir()
    assert "-Dspark.worker.preferConfiguredMasterAddress=true" in cluster.worker_command(config, MASTER, "worker-1", 2, "3g")
