"""The compose file's services that are others' programs, with their commands and settings as processes on loopback: the object store and what makes its
bucket, with keys from the file of variables; and PostgreSQL, in which Dagster keeps what happened."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import dagster as dg
import pytest
from botocore.exceptions import ClientError

from lakehouse.engine.process import free_ports
from tests.compose_file import DOCKER, command, environment, healthcheck
from tests.postgres_server import make_server, remove_server
from tests.s3_server import BUCKET, KEY, SECRET, S3Server

VARIABLES = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "POSTGRES_PASSWORD": "none here"}


def test_the_object_store_takes_its_keys_from_the_variables_and_gets_its_bucket(tmp_path: Path) -> None:
    s3, s3_rpc, *rest = free_ports(8)
    names = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc")
    alone = [f"-s3.port.grpc={s3_rpc}", *(f"-{name}={port}" for name, port in zip(names, rest, strict=True))]  # in a network of its own it has the usual ones
    places = {"-ip=s3": "-ip=127.0.0.1", "-ip.bind=0.0.0.0": "-ip.bind=127.0.0.1", "-dir=/data": f"-dir={tmp_path}", "-s3.port=8333": f"-s3.port={s3}"}
    places |= {"8333": str(s3), "http://s3:8333": f"http://127.0.0.1:{s3}"}
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("LAKEHOUSE_", "AWS_"))}
    weed = [str(Path(sys.executable).with_name("weed")), *command("s3", places), *alone]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(weed, env={**inherited, **environment("s3", VARIABLES, places)}, cwd=tmp_path, stdout=log, stderr=log)
    try:
        url, end = healthcheck("s3", places)[-1], time.monotonic() + 200
        while not answers(url):
            assert server.poll() is None and time.monotonic() < end, (tmp_path / "log").read_text()[-3000:]
            time.sleep(0.2)
        env = {**inherited, **environment("bucket", VARIABLES, places), "LAKEHOUSE_HOME": str(tmp_path / "home")}
        done = subprocess.run([sys.executable, *command("bucket", {})[1:]], env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        client = S3Server(f"http://127.0.0.1:{s3}")
        assert [found["Name"] for found in client.client().list_buckets()["Buckets"]] == [BUCKET]
        with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
            client.client(secret="another").list_objects_v2(Bucket=BUCKET)
    finally:
        server.kill()
        server.wait()


def test_dagster_keeps_what_happened_in_postgresql(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = make_server()
    try:
        server.for_dagster()
        for name, value in environment("daemon", VARIABLES, {"postgres": "127.0.0.1", "5432": str(server.port)}).items():
            if name.startswith("DAGSTER_POSTGRES_"):
                monkeypatch.setenv(name, value)
        (tmp_path / "dagster.yaml").write_text((DOCKER / "dagster.yaml").read_text())
        with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
            instance.report_runless_asset_event(dg.AssetMaterialization("made", metadata={"rows": 7}))
            kept = instance.get_latest_materialization_event(dg.AssetKey("made"))
            assert kept is not None and kept.asset_materialization is not None
            assert kept.asset_materialization.metadata["rows"].value == 7
    finally:
        remove_server(server)


def answers(url: str) -> bool:
    """Whether its health check would say so."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False
