"""How the engine is configured: heap, fingerprint, cache key, and the settings that keep queries honest."""

from pathlib import Path

import pytest

from lakehouse.engine.config import GIB, default_heap, engine_config, memory_limit, metastore_folder
from lakehouse.engine.jars import read_lock
from lakehouse.engine.process import _java_arguments
from lakehouse.errors import SettingsError
from lakehouse.settings import Settings


@pytest.fixture
def lake(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, engine_heap="2g", warehouse=str(tmp_path / "warehouse"))


@pytest.mark.parametrize(("memory", "heap"), [(1, "2g"), (4, "2g"), (8, "2g"), (12, "3g"), (16, "4g"), (24, "6g"), (32, "8g"), (512, "8g")])
def test_the_heap_is_a_quarter_of_the_memory_between_2_and_8_gib(memory: int, heap: str):
    assert default_heap(memory * GIB) == heap


def test_a_containers_limit_counts_where_it_is_less_than_the_machine(tmp_path: Path):
    (tmp_path / "memory.max").write_text(f"{GIB}\n", encoding="ascii")
    assert memory_limit(tmp_path) == GIB


def test_no_limit_means_the_machines_memory(tmp_path: Path):
    (tmp_path / "memory.max").write_text("max\n", encoding="ascii")
    assert memory_limit(tmp_path) > GIB // 4


def test_the_same_settings_give_the_same_fingerprint(lake: Settings):
    assert engine_config(lake).fingerprint() == engine_config(lake).fingerprint()


@pytest.mark.parametrize("change", [{"engine_heap": "3g"}, {"warehouse": "/somewhere/else"}, {"engine_java_options": "-Da=b"}])
def test_another_heap_warehouse_or_flag_gives_another_fingerprint(lake: Settings, change: dict[str, str]):
    assert engine_config(lake.model_copy(update=change)).fingerprint() != engine_config(lake).fingerprint()


def test_another_jar_set_gives_another_fingerprint_and_another_cache(lake: Settings, monkeypatch: pytest.MonkeyPatch):
    before = engine_config(lake)
    monkeypatch.setattr("lakehouse.engine.config.read_lock", lambda: [])
    after = engine_config(lake)
    assert after.fingerprint() != before.fingerprint()
    assert after.aot_key() != before.aot_key()


def test_lakes_of_one_installation_share_the_cache_whatever_their_heap(lake: Settings, tmp_path: Path):
    other = lake.model_copy(update={"home": tmp_path / "other", "engine_heap": "4g", "warehouse": "/elsewhere", "engine_java_options": "-Da=b"})
    assert engine_config(other).aot_key() == engine_config(lake).aot_key()


@pytest.mark.parametrize(("change", "raw"), [({}, True), ({"landing": "s3a://b/l", "s3_region": "x"}, False), ({"spark_master": "spark://h:1"}, False)])
def test_only_lakes_on_this_machine_s_disk_do_without_files_of_checksums(lake: Settings, change: dict[str, str], raw: bool):
    assert ("spark.hadoop.fs.file.impl" in dict(engine_config(lake.model_copy(update=change)).conf)) is raw


def test_further_flags_reach_the_engine_and_its_executors(lake: Settings):
    flags = "-Djavax.net.ssl.trustStore='/a folder/ours.p12' -XX:TieredStopAtLevel=1"
    config = engine_config(lake.model_copy(update={"engine_java_options": flags, "spark_master": "spark://host:7077"}))
    assert {"-Djavax.net.ssl.trustStore=/a folder/ours.p12", "-XX:TieredStopAtLevel=1"} < set(_java_arguments(config, ()))
    assert dict(config.conf)["spark.executor.extraJavaOptions"].endswith("'-Djavax.net.ssl.trustStore=/a folder/ours.p12' -XX:TieredStopAtLevel=1")


@pytest.mark.parametrize(("flags", "says"), [("-Xmx4g", "LAKEHOUSE_ENGINE_HEAP"), ("trustStore=x", "begin with -D or -X"), ("-Da='b", "quotation mark")])
def test_what_is_no_further_flag_is_refused_with_what_to_do(lake: Settings, flags: str, says: str):
    with pytest.raises(SettingsError) as refused:
        engine_config(lake.model_copy(update={"engine_java_options": flags}))
    assert "LAKEHOUSE_ENGINE_JAVA_OPTIONS" in str(refused.value) and says in str(refused.value.next_step)


def test_a_lake_that_was_moved_gets_a_new_catalogue(lake: Settings):
    assert metastore_folder(lake) != metastore_folder(lake.model_copy(update={"warehouse": "/elsewhere"}))


def test_the_class_path_is_explicit_and_sorted(lake: Settings):
    config = engine_config(lake)
    spark = [path.name for path in config.class_path if path.is_relative_to(config.spark_home)]
    ours = [path.name for path in config.class_path[len(spark) :]]
    assert len(spark) > 200 and spark == sorted(spark)
    assert ours == sorted(jar.filename for jar in read_lock())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("spark.sql.session.timeZone", "UTC"),
        ("spark.sql.ansi.enabled", "true"),
        ("spark.sql.unionOutputPartitioning", "false"),
        ("spark.sql.files.ignoreCorruptFiles", "false"),
        ("spark.sql.files.ignoreMissingFiles", "false"),
        ("spark.sql.runSQLOnFiles", "false"),
        ("spark.databricks.delta.schema.autoMerge.enabled", "false"),
        ("spark.databricks.delta.optimizeMetadataQuery.enabled", "false"),
        ("spark.connect.grpc.binding.address", "127.0.0.1"),
        ("spark.hadoop.hive.server2.thrift.bind.host", "127.0.0.1"),
        ("spark.driver.bindAddress", "127.0.0.1"),
    ],
)
def test_the_engine_is_told(lake: Settings, key: str, value: str):
    assert dict(engine_config(lake).conf)[key] == value


def test_texts_that_look_like_variables_are_texts_and_show_nobody_the_engine_s_environment(lake: Settings):
    assert dict(engine_config(lake).conf)["spark.sql.variable.substitute"] == "false"
