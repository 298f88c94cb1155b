"""How clients reach the brokers: addresses, TLS and SASL, from the settings' file of options; never from contracts.

The options carry librdkafka's names, one per line (`sasl.password=…`); Spark's Kafka client wants the same things under Java's names.
Not here: what is asked of the brokers (`broker`), reading records (`records`).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from lakehouse.contracts.kafka import SERVICES
from lakehouse.contracts.model import KafkaSource
from lakehouse.errors import SettingsError
from lakehouse.services import kafka
from lakehouse.settings import settings

KNOWN = (
    *("security.protocol", "sasl.mechanism", "sasl.username", "sasl.password"),
    *("ssl.ca.location", "ssl.certificate.location", "ssl.key.location", "ssl.key.password", "ssl.endpoint.identification.algorithm"),
)
_MODULES = {"PLAIN": "plain.PlainLoginModule", "SCRAM-SHA-256": "scram.ScramLoginModule", "SCRAM-SHA-512": "scram.ScramLoginModule"}


def brokers_of(source: KafkaSource) -> str:
    """The brokers' addresses: the contract's, or for `services` those of the settings, else of the broker that `lakehouse services` runs."""
    return source.brokers if source.brokers != SERVICES else settings().kafka_brokers or kafka.address(settings().home)


def client_options() -> dict[str, str]:
    """The options as librdkafka takes them. Raises `SettingsError` when the file can't be read or says something unknown."""
    file = settings().kafka_options_file
    return dict(_read(file)) if file else {}


@lru_cache(maxsize=1)
def _read(file: Path) -> tuple[tuple[str, str], ...]:
    try:
        lines = [line.strip() for line in file.read_text("utf-8").splitlines()]
    except OSError as error:
        raise SettingsError(f"LAKEHOUSE_KAFKA_OPTIONS_FILE {file} can't be read: {error.strerror}.", next_step="Correct or unset it.") from error
    pairs = [(key.strip(), value.strip()) for key, _, value in (line.partition("=") for line in lines if line and not line.startswith("#"))]
    unknown = [key for key, _ in pairs if key not in KNOWN]
    if unknown:
        raise SettingsError(f"{file}: {', '.join(unknown)}: not known. Known are: {', '.join(KNOWN)}.", next_step="Correct the file.")
    return tuple(pairs)


def spark_options() -> dict[str, str]:
    """The same as Spark's Kafka source takes them. Files are read here and handed over whole: the engine may stand elsewhere."""
    given = client_options()
    options = {key: given[key] for key in ("security.protocol", "sasl.mechanism", "ssl.endpoint.identification.algorithm", "ssl.key.password") if key in given}
    if "sasl.username" in given:
        module = _MODULES.get(given.get("sasl.mechanism", "PLAIN"))
        if module is None:
            raise SettingsError(f"sasl.mechanism {given['sasl.mechanism']} is not supported. Supported are: {', '.join(_MODULES)}.")
        login = f'username="{_escaped(given["sasl.username"])}" password="{_escaped(given.get("sasl.password", ""))}"'
        options["sasl.jaas.config"] = f"org.apache.kafka.common.security.{module} required {login};"
    if "ssl.ca.location" in given:
        options |= {"ssl.truststore.type": "PEM", "ssl.truststore.certificates": Path(given["ssl.ca.location"]).read_text("utf-8")}
    if "ssl.certificate.location" in given and "ssl.key.location" in given:
        chain, key = (Path(given[name]).read_text("utf-8") for name in ("ssl.certificate.location", "ssl.key.location"))
        options |= {"ssl.keystore.type": "PEM", "ssl.keystore.certificate.chain": chain, "ssl.keystore.key": key}
    return {f"kafka.{key}": value for key, value in options.items()}


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
