"""A real S3 server (SeaweedFS) on loopback for tests, with one user, one bucket and its data in a folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from lakehouse.engine.process import free_ports

KEY, SECRET, BUCKET = "tests-access-key", "tests-secret-key-that-must-show-nowhere", "lake"
READY_SECONDS = 200.0


@dataclass(frozen=True)
class S3Server:
    """The server: where it is, and what its clients need in their environment."""

    endpoint: str

    @property
    def env(self) -> dict[str, str]:
        """The settings of a lake on it."""
        return {"LAKEHOUSE_S3_ENDPOINT": self.endpoint, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_EC2_METADATA_DISABLED": "true"}

    @cached_property
    def shared(self):  # type: ignore[no-untyped-def]  # noqa: ANN201
        """A client for those who ask again and again: making one takes longer than an answer."""
        return self.client()

    def client(self, secret: str = SECRET):  # type: ignore[no-untyped-def]  # noqa: ANN201
        """A client that shares nothing with the platform's."""
        config = Config(s3={"addressing_style": "path"}, connect_timeout=2, read_timeout=10, retries={"max_attempts": 1})
        return botocore.session.get_session().create_client(
            "s3", endpoint_url=self.endpoint, region_name="us-east-1", aws_access_key_id=KEY, aws_secret_access_key=secret, config=config
        )


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """Run one while the block lasts."""
    folder.mkdir(parents=True, exist_ok=True)
    users = [{"name": "tests", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]
    (folder / "s3.json").write_text(json.dumps({"identities": users}))
    master, master_rpc, volume, volume_rpc, filer, filer_rpc, s3, s3_rpc = free_ports(8)
    weed = Path(sys.executable).with_name("weed")
    command = [str(weed), "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={folder}", "-s3", f"-s3.config={folder / 's3.json'}"]
    command += [f"-master.port={master}", f"-master.port.grpc={master_rpc}", f"-volume.port={volume}", f"-volume.port.grpc={volume_rpc}"]
    command += [f"-filer.port={filer}", f"-filer.port.grpc={filer_rpc}", f"-s3.port={s3}", f"-s3.port.grpc={s3_rpc}"]
    command += ["-master.volumeSizeLimitMB=256", "-volume.max=64", "-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
    env = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    with (folder / "weed.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=folder, env=env)
    server = S3Server(f"http://127.0.0.1:{s3}")
    try:
        _make_bucket(server, process, folder / "weed.log")
        yield server
    finally:
        process.kill()  # told to end, it waits ten seconds for clients; nobody wants its data
        process.wait()


def _make_bucket(server: S3Server, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    client = server.client()
    while True:
        try:
            client.create_bucket(Bucket=BUCKET)
            return
        except (BotoCoreError, ClientError) as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the S3 server does not start: {error}\n{log.read_text(errors='replace')[-3000:]}") from error
            time.sleep(0.2)
