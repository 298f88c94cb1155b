"""A lake on a Spark cluster and an object store: the commands and settings of docker/compose.yaml with its profile `cluster`, as processes on loopback.

S3 server and broker are the images' programs, from packages; a proxy before the S3 server can make it fail. What tables hold is read past all of it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psutil
from deltalake import DeltaTable

from lakehouse.engine.process import accepts, free_ports
from lakehouse.services import kafka
from tests.compose_file import DOCKER, command, environment, healthcheck, volume_of
from tests.fault_proxy import FaultProxy, fault_proxy
from tests.integration.conftest import ROOT, Lake
from tests.s3_server import BUCKET, KEY, SECRET, S3Server, s3_server

PATIENCE = 300.0  # seconds until a service must be well; a busy machine takes long
WORKERS = ("spark-worker-1", "spark-worker-2")
_LOOPBACK = "127.0.0.1"
_PROGRAMS = {"lakehouse": [sys.executable, "-m", "lakehouse"], "python": [sys.executable]}
DAGSTER = ("code", "webserver", "daemon")


@dataclass
class Services:
    """The services of the compose file that are ours, each with a home and a log of its own."""

    folder: Path
    env_file: dict[str, str]  # what stands in docker/.env
    places: dict[str, str]  # names and ports of the compose file's network, here
    image: dict[str, str] = field(default_factory=lambda: {"LAKEHOUSE_ENGINE_START_TIMEOUT": f"{PATIENCE:.0f}"})  # what an image of one's own says
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def env(self, service: str) -> dict[str, str]:
        """A service's environment."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("LAKEHOUSE_", "DAGSTER_", "AWS_"))}
        homes = {"LAKEHOUSE_HOME": str(self.home(service)), "DAGSTER_HOME": str(self.home(service) / "dagster")}
        return {**inherited, **environment(service, self.env_file, self.places), **self.image, **homes}

    def home(self, service: str) -> Path:
        """A service's volume; one that has none gets a folder all the same."""
        found = self.folder / (volume_of(service) or service)
        found.mkdir(parents=True, exist_ok=True)
        return found

    def start(self, service: str) -> subprocess.Popen[bytes]:
        """Start a service with its command."""
        # In a command, `engine` is the group of commands and not the host.
        words = command(service, {name: place for name, place in self.places.items() if name != "engine"})
        with self.log(service).open("ab") as log:
            done = subprocess.Popen(_program(words), env=self.env(service), cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.running[service] = done
        return done

    def log(self, service: str) -> Path:
        """What it says."""
        return self.home(service) / f"{service}.log"

    def healthy(self, service: str) -> bool:
        """Whether its health check says so."""
        words = healthcheck(service, {name: place for name, place in self.places.items() if name != "engine"})
        return subprocess.run(_program(words), env=self.env(service), cwd=ROOT, capture_output=True, check=False, timeout=60).returncode == 0

    def start_dagster(self) -> None:
        """Start Dagster's services with their files, each when what it depends on is well."""
        folder = self.home("code") / "dagster"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(DOCKER / "dagster.yaml", folder)
        workspace = (DOCKER / "workspace.yaml").read_text()
        (folder / "workspace.yaml").write_text(workspace.replace("host: code", f"host: {_LOOPBACK}").replace("port: 4000", f"port: {self.places['4000']}"))
        self.places["/data/dagster/workspace.yaml"] = str(folder / "workspace.yaml")
        for service in DAGSTER:
            self.start(service)
            self.until(service, partial(self.healthy, service))

    def until(self, service: str, condition: Callable[[], bool]) -> None:
        """Wait until it is so; an error with the service's last words when it never is."""
        end = time.monotonic() + PATIENCE
        while not condition():
            if self.running[service].poll() is not None or time.monotonic() > end:
                raise AssertionError(f"{service} never came:\n{self.log(service).read_text(errors='replace')[-4000:]}")
            time.sleep(0.2)

    def until_the_engine_is_well(self) -> None:
        """Wait until both of its doors are open."""
        self.until("engine", lambda: all(accepts(int(self.places[port])) for port in ("15002", "10000")))

    def kill(self, service: str) -> None:
        """kill -9 it and all it started, as a machine that is switched off."""
        process = self.running.pop(service)
        with suppress(psutil.NoSuchProcess):
            for one in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
                with suppress(psutil.NoSuchProcess):
                    one.kill()
        process.wait()

    def stop(self, service: str) -> None:
        """End it as Compose does, by a signal; the engine gives its lease back."""
        process = self.running[service]
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(60)
        self.kill(service)

    def end(self) -> None:
        """End all: the engine by its signal, the rest at once."""
        if "engine" in self.running:
            self.stop("engine")
        for service in list(self.running):
            self.kill(service)


@dataclass(frozen=True)
class ClusterLake(Lake):
    """The lake as its clients see it, and the services behind it."""

    services: Services
    s3: S3Server
    proxy: FaultProxy

    @property
    def landing(self) -> Path:
        """Where the example makes its files before they go to the object store."""
        return self.home / "demo"

    def table(self, layer: str, name: str) -> DeltaTable:
        """A table as it is now."""
        where = {"aws_endpoint": self.s3.endpoint, "aws_allow_http": "true", "aws_region": "us-east-1", "aws_virtual_hosted_style_request": "false"}
        keys = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET}
        return DeltaTable(f"s3://{BUCKET}/warehouse/{layer}/{name}", storage_options={**where, **keys})

    def keys(self, prefix: str) -> set[str]:
        """The objects whose keys begin so."""
        pages = self.s3.shared.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return {entry["Key"] for page in pages for entry in page.get("Contents", ())}

    @contextmanager
    def writing(self, tables: str, *words: str) -> Iterator[None]:
        """A command in the middle of a write to these tables: a file of it is there, which is before its commit. Afterwards it has ended."""
        known, end = self.keys(f"warehouse/{tables}"), time.monotonic() + PATIENCE
        run = self.start(*words)
        try:
            while not any(key.endswith(".parquet") for key in self.keys(f"warehouse/{tables}") - known):
                assert run.poll() is None and time.monotonic() < end, "the run never wrote"
                time.sleep(0.1)  # less would take the time of those who are waited for
            yield
            run.wait(timeout=PATIENCE)
        finally:
            run.kill()
            run.wait()

    def executors(self) -> int:
        """How many of them work for the engine now, as their workers' processes tell."""
        count = 0
        for worker in filter(None, map(self.services.running.get, WORKERS)):
            for child in psutil.Process(worker.pid).children(recursive=True):
                with suppress(psutil.Error):  # it has just ended
                    count += any("CoarseGrainedExecutorBackend" in word for word in child.cmdline())
        return count


def _program(words: list[str]) -> list[str]:
    program, *rest = words
    return [*_PROGRAMS.get(program, [str(Path(sys.executable).with_name(program))]), *rest]


@contextmanager
def cluster_lake(folder: Path, *, with_kafka: bool = True) -> Iterator[ClusterLake]:
    """The whole of it while the block lasts: S3, broker, master, two workers, engine."""
    with ExitStack() as stack:
        s3 = stack.enter_context(s3_server(folder / "s3"))
        proxy = stack.enter_context(fault_proxy(s3.endpoint))
        home = folder / "client"
        if with_kafka:
            kafka.start(home)
            stack.callback(kafka.stop, home)
        services = Services(folder, _env_file(), {})
        services.places.update(_places(proxy.endpoint, kafka.address(home) if with_kafka else ""))
        services.env_file["LAKEHOUSE_SPARK_MASTER"] = services.places["spark://spark-master:7077"]
        stack.callback(services.end)
        _start(services)
        env = {**services.env("code"), "LAKEHOUSE_HOME": str(home), "DAGSTER_HOME": str(home / "dagster")}
        yield ClusterLake(home, env, services, s3, proxy)


def _env_file() -> dict[str, str]:
    return {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "POSTGRES_PASSWORD": "none here", "LAKEHOUSE_ENGINE_HEAP": "1500m"}


def _places(endpoint: str, brokers: str) -> dict[str, str]:
    connect, thrift, master, code, web = map(str, free_ports(5))
    names = dict.fromkeys(("engine", "spark-master", *WORKERS, "postgres", "0.0.0.0"), _LOOPBACK)
    ports = {"15002": connect, "10000": thrift, "7077": master, "4000": code, "3000": web}
    urls = {"http://s3:8333": endpoint, "kafka:9092": brokers, "sc://engine:15002": f"sc://{_LOOPBACK}:{connect}"}
    return {**names, **ports, **urls, "spark://spark-master:7077": f"spark://{_LOOPBACK}:{master}"}


def _start(services: Services) -> None:
    """In the order in which Compose starts them, each when what it depends on is well."""
    assert services.start("bucket").wait(PATIENCE) == 0, services.log("bucket").read_text()
    services.start("spark-master")
    services.until("spark-master", lambda: accepts(int(services.places["7077"])))
    for worker in WORKERS:
        services.start(worker)
    services.start("engine")
    services.until_the_engine_is_well()
