"""What is asked of a schema registry, and what its answers mean; the registry is a small HTTP server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lakehouse.contracts.model import KafkaSource
from lakehouse.errors import SourceError
from lakehouse.settings import settings
from lakehouse.sources.kafka import registry
from tests.schema_registry import Registry


@pytest.fixture
def server() -> Iterator[Registry]:
    with Registry() as found:
        yield found


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    def set_(registries: str) -> None:
        monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path))
        monkeypatch.setenv("LAKEHOUSE_SCHEMA_REGISTRIES", registries)
        settings.cache_clear()

    set_("{}")
    yield set_
    monkeypatch.undo()
    settings.cache_clear()


def source(server: Registry) -> KafkaSource:
    return KafkaSource("b:1", "avro", topic="t", registry=f"{server.url}/")


def test_a_schema_is_asked_for_once_and_one_that_is_not_there_again(server: Registry, environment: Callable[[str], None]) -> None:
    id_ = server.register('"string"')
    assert [registry.schema(source(server), id_) for _ in range(2)] == ['"string"'] * 2
    assert [registry.schema(source(server), id_ + 1) for _ in range(2)] == [None] * 2
    server.register('"long"')
    assert registry.schema(source(server), id_ + 1) == '"long"'
    assert server.asked == [f"/schemas/ids/{id_}", *[f"/schemas/ids/{id_ + 1}"] * 3]


@pytest.mark.parametrize("more", [{"schemaType": "PROTOBUF"}, {"references": [{"name": "a", "subject": "a", "version": 1}]}])
def test_a_schema_that_is_not_avro_or_refers_to_others_is_none(server: Registry, environment: Callable[[str], None], more: dict[str, object]) -> None:
    assert registry.schema(source(server), server.register('"string"', **more)) is None


def test_who_asks_is_told_only_to_the_registry_that_it_is_for(server: Registry, environment: Callable[[str], None]) -> None:
    server.password = "me:se:cret"
    id_ = server.register('"string"')
    for registries in ("{}", '{"https://other.example": "me:se:cret"}', f'{{"{server.url}": "me:wrong"}}'):
        environment(registries)
        with pytest.raises(SourceError, match="status 401") as caught:
            registry.schema(source(server), id_)
        assert "LAKEHOUSE_SCHEMA_REGISTRIES" in str(caught.value) and "cret" not in str(caught.value)
    environment(f'{{"{server.url}": "me:se:cret"}}')
    assert registry.schema(source(server), id_) == '"string"'


def test_a_registry_that_is_away_or_sends_elsewhere_is_an_error_not_an_unknown_schema(server: Registry, environment: Callable[[str], None]) -> None:
    server.status = 302
    with pytest.raises(SourceError, match="status 302"):
        registry.schema(source(server), 1)
    server.status = 500
    with pytest.raises(SourceError, match="status 500"):
        registry.schema(source(server), 1)
    server.stop()
    with pytest.raises(SourceError, match="does not answer"):
        registry.schema(source(server), 1)
