"""The settings: one frozen object, and the only place that reads the environment.

Every setting is an environment variable `LAKEHOUSE_<NAME>`; the defaults run on a laptop. A variable with our prefix that is no
setting is an error, since a misspelt one would otherwise be a silent default. Not here: anything that a contract says.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from lakehouse.errors import SettingsError

PREFIX = "LAKEHOUSE_"
PROJECT = Path(__file__).resolve().parents[1]


class Settings(BaseSettings):
    """Where the lake is and how its engine runs."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    home: Path = Field(default=PROJECT / ".lakehouse", description="The one folder with all state: engine, catalogue, Dagster instance, logs.")
    contracts: Path = Field(default=PROJECT / "contracts", description="The folder of data contracts.")
    landing: str = Field(default="", description="Where relative source paths of contracts start. Default: `<home>/landing`.")
    warehouse: str = Field(default="", description="Folder or URL of the Delta tables. Default: `<home>/warehouse`.")
    dbt_project: Path = Field(default=PROJECT / "dbt_project", description="The dbt project that builds Gold.")

    s3_endpoint: str = Field(default="", description="URL of an S3 server, such as `https://s3.example.com`. Default: AWS.")
    s3_region: str = Field(default="", description="Region of the buckets; needed on AWS. Default with an endpoint: `us-east-1`.")
    s3_path_style: bool | None = Field(default=None, description="Whether the bucket stands in the path, not in the host. Default: with an endpoint.")

    engine: Literal["embedded", "remote"] = Field(default="embedded", description="`embedded`: Spark is started here on demand; `remote`: it runs elsewhere.")
    connect_url: str = Field(default="", description="Spark Connect URL of a remote engine, such as `sc://host:15002`.")
    thrift_host: str = Field(default="", description="Thrift/JDBC host of a remote engine.")
    thrift_port: int = Field(default=10000, ge=1, le=65535, description="Thrift/JDBC port of a remote engine.")
    engine_heap: str = Field(default="", pattern=r"^(\d+[mg])?$", description="Heap of the embedded engine, such as `4g`. Default: from the machine's memory.")
    engine_java_options: str = Field(
        default="", description="Further flags of the engine's Java and of its executors', such as `-Djavax.net.ssl.trustStore=/etc/ssl/ours.jks`. No secrets."
    )
    engine_host: Literal["127.0.0.1", "0.0.0.0"] = Field(
        default="127.0.0.1", description="Where the engine's doors open. They ask nobody who he is: elsewhere than here only inside a closed network."
    )
    engine_start_timeout: int = Field(default=120, ge=5, description="Seconds to wait until both doors of the embedded engine are open.")

    spark_master: str = Field(
        default="local[*]",
        pattern=r"^(local(\[.+\])?|yarn|(spark|k8s)://.+)$",
        description="Where the engine computes: here, or `spark://…`, `k8s://…`, `yarn`.",
    )
    driver_host: str = Field(default="127.0.0.1", description="On a cluster: the name or address under which executors reach the engine.")
    executors: str = Field(
        default="", pattern=r"^(\d+(-\d+)?)?$", description="On a cluster: how many, or `1-10`, as many as the work needs. Default: all there are."
    )
    executor_cores: int = Field(default=2, ge=1, description="Processors of an executor.")
    executor_memory: str = Field(default="2g", pattern=r"^\d+[mg]$", description="Memory of an executor.")
    event_log: str = Field(default="", description="Folder or URL for Spark's event logs, which its history server shows. Default: none.")
    spark_options_file: Path | None = Field(default=None, description="File of further Spark settings (`key value` lines), such as `spark.kubernetes.…`.")

    kafka_brokers: str = Field(
        default="", description="Brokers (`host:port,…`) for contracts whose host is `services`. Default: those of `lakehouse services`."
    )
    kafka_options_file: Path | None = Field(default=None, description="File of Kafka client options, such as `sasl.password=…`: TLS and SASL.")

    schema_registries: dict[str, SecretStr] = Field(
        default={}, description="Who asks the schema registries that contracts name, as JSON: a registry's URL to `user:password`."
    )

    maintenance_hour: int = Field(default=3, ge=0, le=23, description="The quiet hour (UTC) in which the schedule keeps tables in order.")

    alert_webhooks: dict[str, SecretStr] = Field(
        default={}, description="Where alerts are posted, as JSON: a channel of the contracts' `support`, or `*` for all others, to a webhook's URL."
    )
    alert_smtp: SecretStr | None = Field(default=None, description="Mail server for alerts: `smtp://` or `smtps://`, then `user:password@host:port`.")
    alert_from: str = Field(default="lakehouse@localhost", description="Sender of these mails.")
    alert_to: str = Field(default="", description="Address for what has no owner; owners in contracts get their own.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        fill = object.__setattr__  # the object is frozen for everybody else
        fill(self, "home", self.home.expanduser().absolute())
        fill(self, "contracts", self.contracts.expanduser().absolute())
        fill(self, "dbt_project", self.dbt_project.expanduser().absolute())
        if self.spark_options_file:
            fill(self, "spark_options_file", self.spark_options_file.expanduser().absolute())
        for name in ("landing", "warehouse"):
            value = getattr(self, name) or str(self.home / name)
            fill(self, name, s3a(value) if "://" in value else str(Path(value).expanduser().absolute()))
        self._complete_s3()
        if self.engine == "remote" and not (self.connect_url and self.thrift_host):
            raise ValueError("LAKEHOUSE_ENGINE=remote needs LAKEHOUSE_CONNECT_URL and LAKEHOUSE_THRIFT_HOST (and LAKEHOUSE_THRIFT_PORT where it is not 10000)")
        for name, urls, schemes in (
            ("WEBHOOKS", self.alert_webhooks.values(), ("http", "https")),
            ("SMTP", filter(None, [self.alert_smtp]), ("smtp", "smtps")),
        ):
            told = [u.get_secret_value() for u in urls]
            if any(urlsplit(url).scheme not in schemes or not urlsplit(url).hostname for url in told):
                raise ValueError(f"LAKEHOUSE_ALERT_{name} needs URLs that begin with {schemes[0]}:// or {schemes[1]}://")
            if not all(map(_has_port, told)):
                raise ValueError(f"LAKEHOUSE_ALERT_{name} has no number as its port. In a password, / # ? : and @ are written %2F %23 %3F %3A %40.")
        return self

    def _complete_s3(self) -> None:
        fill = object.__setattr__
        found = urlsplit(self.s3_endpoint)
        if self.s3_endpoint and (found.scheme not in ("http", "https") or not found.hostname or found.username or found.path.strip("/")):
            raise ValueError("LAKEHOUSE_S3_ENDPOINT needs the form https://host:port; keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
        if self.uses_s3 and not (self.s3_endpoint or self.s3_region):
            raise ValueError("s3a:// needs LAKEHOUSE_S3_REGION (AWS), or LAKEHOUSE_S3_ENDPOINT (another S3 server)")
        if self.s3_path_style is None:
            fill(self, "s3_path_style", bool(self.s3_endpoint))
        if self.s3_endpoint and not self.s3_region:
            fill(self, "s3_region", "us-east-1")

    @property
    def uses_s3(self) -> bool:
        """Whether the engine must be able to reach an object store."""
        return bool(self.s3_endpoint or self.s3_region) or any(url.startswith("s3a://") for url in (self.warehouse, self.landing))


def _has_port(url: str) -> bool:
    """Whether what stands after the host's colon, if anything does, is a port; asking for it fails otherwise, in words that repeat it."""
    try:
        _ = urlsplit(url).port
    except ValueError:
        return False
    return True


def s3a(url: str) -> str:
    """The URL under the one name that Spark knows object stores by."""
    return f"s3a{url[2:]}" if url.startswith("s3://") else url


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process, read once. Raises `SettingsError` with every mistake found."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    unknown = sorted(name for name in os.environ if name.startswith(PREFIX) and name.upper() not in known)
    if unknown:
        raise SettingsError(
            f"{', '.join(unknown)}: no such setting.",
            next_step=f"Known are: {', '.join(sorted(known))}.",
        )
    try:
        return Settings()
    except ValidationError as error:
        said = ((PREFIX + "_".join(map(str, e["loc"])).upper(), e["msg"].removeprefix("Value error, ")) for e in error.errors())
        reasons = "; ".join(f"{name}: {text}" if name != PREFIX else text for name, text in said)  # what concerns several names them itself
        raise SettingsError(f"The environment's settings can't be used: {reasons}.", next_step="Correct or unset these variables.") from error
