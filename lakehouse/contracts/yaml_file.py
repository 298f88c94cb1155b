"""Reading a YAML file safely: plain values, and the line of each. Not here: what the values mean.

The rules are those of YAML 1.2's core schema, which JSON schema expects: dates stay text, `no` and `on` are text, a key may stand once,
`12:30` is no number. Tags are refused, and so is a file that aliases blow up.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from lakehouse.contracts.mistakes import Place, Report

MAX_VALUES = 50_000
MAX_DEPTH = 40
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CORE = {
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?[0-9]+", "-+0123456789"),
    "float": (r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+0123456789."),
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
}


class _Loader(_Base):  # type: ignore[misc]
    """Composes nodes only: no object is ever constructed by PyYAML."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}


for _name, (_pattern, _first) in _CORE.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(f"^(?:{_pattern})$"), list(_first))


def read_yaml(content: bytes, report: Report) -> object:
    """The values of a YAML file's content; fills `report` with the line of each, and with what can't be read. None when nothing can be used."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        report.wrong((), f"is not UTF-8 (byte {error.start}): save it as UTF-8")
        return None
    try:
        documents = list(_documents(text))
    except yaml.MarkedYAMLError as error:
        _syntax(error, report)
        return None
    except (yaml.YAMLError, RecursionError) as error:
        report.wrong((), f"is not YAML: {' '.join(str(error).split())}")
        return None
    if len(documents) != 1 or documents[0] is None:
        report.wrong((), "is empty" if not documents else "holds more than one YAML document: one file is one contract")
        return None
    return _Values(report).of(documents[0], ())


def _documents(text: str) -> Iterator[Any]:
    loader = _Loader(text)
    try:
        while loader.check_node():
            yield loader.get_node()
    finally:
        loader.dispose()


def _syntax(error: yaml.MarkedYAMLError, report: Report) -> None:
    mark = error.problem_mark or error.context_mark
    if mark:
        report.lines[()] = mark.line + 1
    told = " ".join(t for t in (error.context, error.problem) if t)
    report.wrong((), f"is not YAML: {told}{f' (column {mark.column + 1})' if mark else ''}")


class _Values:
    """Turns nodes into values, and notes lines."""

    def __init__(self, report: Report) -> None:
        self.report, self.count = report, 0

    def of(self, node: Any, place: Place) -> object:
        """The value of a node. Past the limits everything is None, with one mistake."""
        self.count += 1
        self.report.lines.setdefault(place, node.start_mark.line + 1)
        if self.count > MAX_VALUES or len(place) > MAX_DEPTH:
            self.report.wrong((), f"has more than {MAX_VALUES:,} values or is nested deeper than {MAX_DEPTH}: an alias inside itself, perhaps")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            self._plain(node, place, "seq")
            items = [self.of(item, (*place, i)) for i, item in enumerate(node.value)]
            self._name_items(items, place)
            return items
        return self._scalar(node, place)

    def _mapping(self, node: Any, place: Place) -> dict[str, object]:
        self._plain(node, place, "map")
        values: dict[str, object] = {}
        for key_node, value_node in node.value:
            key, line = key_node.value if isinstance(key_node, yaml.ScalarNode) else "?", key_node.start_mark.line + 1
            if key in values:
                first = self.report.lines[(*place, key)]
                self.report.lines[(*place, key)] = line
                self.report.wrong((*place, key), f"stands twice: first on line {first}")
                continue
            self.report.lines[(*place, key)] = line
            values[key] = self.of(value_node, (*place, key))
        return values

    def _plain(self, node: Any, place: Place, kind: str) -> None:
        if node.tag != f"tag:yaml.org,2002:{kind}":
            self.report.wrong(place, f"the YAML tag {node.tag!r} is not allowed: write plain values")

    def _scalar(self, node: Any, place: Place) -> object:
        kind = node.tag.removeprefix("tag:yaml.org,2002:")
        if kind == "int":
            return int(node.value) if len(node.value) < 40 else node.value
        if kind == "float":
            return float(node.value.lower().replace(".inf", "inf").replace(".nan", "nan"))
        if kind == "bool":
            return node.value.lower() == "true"
        if kind not in ("str", "null"):
            self._plain(node, place, "str")
        return None if kind == "null" else str(node.value)

    def _name_items(self, items: list[object], place: Place) -> None:
        for i, item in enumerate(items):
            named = isinstance(item, dict) and next((item[k] for k in ("name", "property", "id", "server", "username") if item.get(k)), None)
            if isinstance(named, str) and len(named) <= 60:
                self.report.names[(*place, i)] = named
