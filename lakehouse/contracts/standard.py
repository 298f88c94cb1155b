"""A contract against the standard: the ODCS 3.2 JSON schema, as the package `open_data_contract_standard` brings it.

Two passes: jsonschema for types, required keys and allowed values; a walk of our own for unknown keys, since `unevaluatedProperties`
also blames keys that are known but have a wrong value, and can't say what was allowed. Not here: our profile (`profile`).
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from lakehouse.contracts.mistakes import Place, Report, not_one_of
from lakehouse.errors import SetupError

API_VERSION = "v3.2.0"
Schema = dict[str, Any]
_OPEN = ("additionalProperties", "unevaluatedProperties")
_WORDS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}


@lru_cache(maxsize=1)
def _schema() -> Schema:
    spec = importlib.util.find_spec("open_data_contract_standard")
    places = list(spec.submodule_search_locations or ()) if spec else []
    if not places:
        raise SetupError("The package open-data-contract-standard is not installed.", next_step="Run: make setup")
    loaded: Schema = json.loads((Path(places[0]) / "schema.json").read_text("utf-8"))
    return loaded


@lru_cache(maxsize=1)
def _validator() -> Any:
    from jsonschema import Draft201909Validator  # here, since it takes 0.15 s and `import lakehouse.contracts` must stay free

    relaxed = _relaxed(_schema())
    values = relaxed["$defs"]["SchemaBaseProperty"]["properties"]["enum"]
    values["items"] = {"anyOf": [{"type": ["string", "number", "boolean"]}, values["items"]]}  # our shorthand: `columns` notes it
    return Draft201909Validator(relaxed)


def _relaxed(schema: Any) -> Any:
    """The schema without its refusals of unknown keys, which `_unknown_keys` finds: several times faster, too."""
    if isinstance(schema, list):
        return [_relaxed(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    return {k: _relaxed(v) for k, v in schema.items() if not (k in _OPEN and v is False)}


def check_standard(contract: dict[str, object], report: Report) -> None:
    """Adds every break of the standard to the report."""
    if contract.get("apiVersion") != API_VERSION:
        report.wrong(("apiVersion",), f"must be {API_VERSION!r}, the version of the standard that is read here")
    for error in _validator().iter_errors(contract):
        for leaf in _leaves(error):
            _tell(leaf, report)
    _unknown_keys(contract, [_schema()], (), report)


def _leaves(error: Any) -> Iterator[Any]:
    """The errors that say something: of alternatives, the one that comes nearest."""
    if error.validator not in ("oneOf", "anyOf") or not error.context:
        yield error
        return
    kinds: dict[int, list[Any]] = {}
    for sub in error.context:
        kinds.setdefault(sub.schema_path[0], []).append(sub)
    nearest_kind = min(kinds.values(), key=lambda subs: (any(s.validator == "type" and s.path == error.path for s in subs), -max(len(s.path) for s in subs)))
    if all(e.validator in ("type", "required") and not e.relative_path for subs in kinds.values() for e in subs):
        yield error
        return
    for sub in nearest_kind:
        yield from _leaves(sub)


def _tell(error: Any, report: Report) -> None:
    place: Place = tuple(error.absolute_path)
    kind, value, limit = error.validator, error.instance, error.validator_value
    if kind == "required" and limit == ["map"] and "logicalType" not in value:
        return  # the standard's conditions all hold for a property without a logicalType; `columns` says that it is missing
    if kind == "required":
        for key in (k for k in limit if k not in value):
            report.wrong(place, f"{key!r} is missing")
    elif kind == "enum":
        report.wrong(place, not_one_of("value", value, [str(v) for v in limit]))
    elif kind == "type":
        kinds = [limit] if isinstance(limit, str) else limit
        report.wrong(place, f"must be {' or '.join(_WORDS.get(k, k) for k in kinds)}, not {value!r:.80}")
    elif kind in ("oneOf", "anyOf"):
        report.wrong(place, _alternatives(limit, value))
    elif kind == "pattern":
        report.wrong(place, f"{value!r} does not match {limit}")
    else:
        report.wrong(place, f"{error.message:.300}")


def _alternatives(schemas: list[Schema], value: object) -> str:
    needed = [" and ".join(s["required"]) for s in schemas if s.get("required")]
    if needed and isinstance(value, dict):
        given = [n for n in needed if n in value]
        return f"has {' and '.join(given)}: exactly one of them is allowed" if given else f"needs exactly one of: {', '.join(needed)}"
    kinds = [_WORDS.get(str(s["type"]), str(s["type"])) for s in schemas if isinstance(s.get("type"), str)]
    return f"must be {' or '.join(kinds)}, not {value!r:.80}" if kinds else f"{value!r:.80} is none of the forms the standard allows here"


def _unknown_keys(value: object, schemas: list[Schema], place: Place, report: Report) -> None:
    """Walks the contract beside the schema: `schemas` are all those that speak about this value."""
    active = [s for schema in schemas for s in _active(schema, value)]
    if isinstance(value, list):
        for i, item in enumerate(value):
            _unknown_keys(item, [s["items"] for s in active if isinstance(s.get("items"), dict)], (*place, i), report)
    if not isinstance(value, dict):
        return
    known = list(dict.fromkeys(k for s in active for k in s.get("properties", {})))
    for key, sub in value.items():
        if known and key not in known:
            report.wrong((*place, key), not_one_of("key", key, known))
        else:
            _unknown_keys(sub, [s["properties"][key] for s in active if key in s.get("properties", {})], (*place, key), report)


def _active(schema: Schema, value: object) -> Iterator[Schema]:
    """The schema and all that it includes for this value: references, allOf, alternatives, and the branches whose condition holds."""
    if not isinstance(schema, dict):
        return
    yield schema
    if "$ref" in schema:
        target: Any = _schema()
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        yield from _active(target, value)
    for key in ("allOf", "oneOf", "anyOf"):
        for sub in schema.get(key, ()):
            yield from _active(sub, value)
    if "if" in schema and _holds(schema["if"], value):
        yield from _active(schema.get("then", {}), value)


def _holds(condition: Schema, value: object) -> bool:
    """Whether an `if` holds: the standard's are about constants of keys (a missing key holds), types, and keys that must be there."""
    if "anyOf" in condition:
        return any(_holds(c, value) for c in condition["anyOf"])
    if not isinstance(value, dict) or any(k not in value for k in condition.get("required", ())):
        return False
    return all(k not in value or "const" not in s or value[k] == s["const"] for k, s in condition.get("properties", {}).items())
