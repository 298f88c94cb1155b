"""docs/contracts.md describes every key of the profile, and its example is a contract without mistake."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from lakehouse.contracts.loader import Checked
from lakehouse.contracts.model import FileSource, MaskPolicy, OnFail
from lakehouse.contracts.profile import (
    ColumnProperties,
    ContractProperties,
    FileOptions,
    Implementation,
    KafkaOptions,
    PostgresOptions,
    RelationshipProperties,
)
from lakehouse.contracts.source import FORMATS, SERVERS, TYPES

DOC = (Path(__file__).resolve().parents[3] / "docs" / "contracts.md").read_text("utf-8")
TABLES = "\n".join(line for line in DOC.splitlines() if line.startswith("|"))


def models(kind: object) -> Iterator[type[BaseModel]]:
    """The models that a type is made of."""
    for part in (kind, *get_args(kind)):
        if isinstance(part, type) and issubclass(part, BaseModel):
            yield part
            for field in part.model_fields.values():
                yield from models(field.annotation)


KEYS = sorted(
    {name for root in (ContractProperties, ColumnProperties, RelationshipProperties, Implementation) for model in models(root) for name in model.model_fields}
)


@pytest.mark.parametrize("key", KEYS)
def test_every_key_of_the_profile_is_described_in_a_table(key: str) -> None:
    assert f"`{key}`" in TABLES or f"{{{key}: " in TABLES


@pytest.mark.parametrize("value", [*get_args(OnFail), *get_args(MaskPolicy), *FORMATS, *TYPES, *SERVERS])
def test_every_allowed_value_is_described(value: str) -> None:
    assert re.search(rf"`[^`]*\b{value}\b[^`]*`", TABLES)


@pytest.mark.parametrize(
    ("heading", "model"), [("### `source` of files", FileOptions), ("### `source` of Kafka", KafkaOptions), ("### `source` of PostgreSQL", PostgresOptions)]
)
def test_documented_defaults_of_source_are_the_models(heading: str, model: type[BaseModel]) -> None:
    documented = dict(re.findall(r"^\| `(\w+)` \| `?([^|`]+?)`? \|", DOC.split(heading)[1].split("## ")[0], re.M))
    for name, field in model.model_fields.items():
        default = FileSource.date_pattern if name == "datePattern" else "required" if field.is_required() else field.default
        said = {"empty text": "", "false": "False", "none": "None", "the contract's name": "None"}.get(documented[name], documented[name])
        assert said == str(default), name


def test_the_example_is_a_contract_without_mistake(check: Callable[..., Checked]) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", DOC, re.S)
    checked = check(example, "shop/page_view.odcs.yaml")
    assert [str(m) for m in (*checked.mistakes, *checked.notes)] == []
    contract = checked.contract
    assert contract is not None
    assert (contract.kind, contract.event_date, contract.column("visitor_email").masking) == ("event", "view_date", "sha256")
