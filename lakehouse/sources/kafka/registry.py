"""Asking a schema registry, without Spark: the Avro schema that has an id. Not here: reading records with it (`silver.avro`).

Its REST API: https://docs.confluent.io/platform/current/schema-registry/develop/api.html#get--schemas-ids-int-%20id
"""

from __future__ import annotations

from functools import lru_cache

import requests

from lakehouse.contracts.model import KafkaSource
from lakehouse.errors import SourceError
from lakehouse.settings import settings

SECONDS = 10  # for one answer


def schema(source: KafkaSource, id_: int) -> str | None:
    """The schema as JSON; None when the registry has none of this id, or one that is not Avro or refers to others. Raises `SourceError`."""
    assert source.registry is not None
    try:
        return _schema(source.registry.rstrip("/"), id_)
    except LookupError:
        return None


@lru_cache(maxsize=1000)
def _schema(url: str, id_: int) -> str:
    """Kept, since an id's schema never changes. Raises `LookupError` when there is none, which may change."""
    said = settings().schema_registries
    secret = said.get(url) or said.get(f"{url}/")
    user, _, password = secret.get_secret_value().partition(":") if secret else ("", "", "")
    try:
        # A server that sends elsewhere would be handed the password there.
        answer = requests.get(f"{url}/schemas/ids/{id_}", auth=(user, password) if secret else None, timeout=SECONDS, allow_redirects=False)
        found = answer.json() if answer.status_code == requests.codes.ok else None
    except (requests.RequestException, ValueError) as error:
        raise _no_answer(url, type(error).__name__) from error
    if answer.status_code == requests.codes.not_found:
        raise LookupError(id_)
    if not isinstance(found, dict) or not isinstance(found.get("schema"), str):
        raise _no_answer(url, f"it answers with status {answer.status_code}")
    if found.get("schemaType", "AVRO") != "AVRO" or found.get("references"):
        raise LookupError(id_)
    return str(found["schema"])


def _no_answer(url: str, why: str) -> SourceError:
    return SourceError(
        f"The schema registry {url} does not answer as it should: {why}.",
        state="Bronze has the records as they came; nothing above it was written.",
        next_step="See that it runs and that LAKEHOUSE_SCHEMA_REGISTRIES names who may ask; then run the same command again.",
    )
