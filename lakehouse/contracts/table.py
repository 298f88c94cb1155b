"""A contract as a whole, put together from its parts; names, version, owners and texts are read here.

Not here: columns (`columns`), key and order (`identity`), event date (`dates`), change feeds (`feed`), maintenance (`upkeep`), rules and promises (`promises`).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from lakehouse.contracts.columns import Declared, read_column, read_tags
from lakehouse.contracts.dates import check_dates
from lakehouse.contracts.expressions import check_expression
from lakehouse.contracts.feed import read_feed
from lakehouse.contracts.identity import read_key, read_sequence
from lakehouse.contracts.mistakes import not_one_of
from lakehouse.contracts.model import Contract
from lakehouse.contracts.node import Node
from lakehouse.contracts.profile import ContractProperties, read_properties
from lakehouse.contracts.promises import read_freshness, read_quality
from lakehouse.contracts.source import options_model, read_source
from lakehouse.contracts.upkeep import read_maintenance

STATUSES = ("proposed", "draft", "active", "deprecated", "retired")
NAME = re.compile(r"[a-z][a-z0-9_]{0,99}\Z")
# https://semver.org, without build metadata's and prerelease's finer rules
VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?\Z")


def read_contract(root: Node, file: Path) -> Contract | None:
    """The contract that a file says, or None after reporting what is wrong with it."""
    name, domain = _names(root, file)
    properties = read_properties(ContractProperties, root, source=options_model(root))
    source = read_source(root, properties.source)
    table = _schema(root, name)
    for item in table.items("relationships"):
        item.note("is documentation: what a column names, and waits for, stands in the column's own relationships")
    declared = _columns(table)
    kind = getattr(properties, "kind", None)
    key = read_key(table, declared)
    event_date, lateness = check_dates(root, table, properties, declared)
    sequence = read_sequence(root, properties, declared)
    rules, volume = read_quality(table, declared)
    freshness, freshness_column = read_freshness(root, name, declared, event_date, sequence)
    feed = read_feed(root, properties, declared, sequence)
    maintenance = read_maintenance(root, properties, declared, event_date)
    said = _said(root, table)
    start = getattr(getattr(properties, "partition", None), "start", None)
    if root.report.mistakes or source is None or kind is None or start is None:
        return None
    return Contract(
        name=name,
        domain=domain,
        kind=kind,
        columns=tuple(d.column for d in declared),
        key=key,
        source=source,
        start=start,
        file=file,
        sequence=sequence,
        event_date=event_date,
        lateness_days=lateness,
        rules=rules,
        freshness=freshness,
        freshness_column=freshness_column,
        volume=volume,
        schema_evolution=properties.schemaEvolution,
        ignored_fields=tuple(dict.fromkeys(properties.ignoredFields)),
        feed=feed,
        scd=2 if properties.scd.type == 2 else 1,
        maintenance=maintenance,
        raw=root.value,
        **said,
    )


def _said(root: Node, table: Node) -> dict[str, Any]:
    """The parts of a Contract that stand for themselves."""
    return {
        "version": _version(root),
        "status": _status(root),
        "owners": _owners(root),
        "support": tuple(dict.fromkeys(channel for item in root.items("support") if (channel := item.text("channel")))),
        "tags": tuple(dict.fromkeys((*read_tags(root), *read_tags(table)))),
        "description": " ".join((root.node("description").text("purpose") or table.text("description") or "").split()),
        "grain": " ".join((table.text("dataGranularityDescription") or "").split()),
    }


def _names(root: Node, file: Path) -> tuple[str, str]:
    stem, folder = file.name.removesuffix(".odcs.yaml"), file.parent.name
    for key, told, expected in (("name", "file", stem), ("domain", "folder", folder)):
        found = root.text(key)
        if found is None:
            if key not in root.value:
                root.wrong(f"{key!r} is missing: by the {told}'s name it is {expected!r}")
        elif not NAME.match(found):
            root.wrong(f"{found!r} must begin with a small letter and go on with small letters, digits and '_' (at most 100)", key)
        elif found != expected:
            root.wrong(f"is {found!r}, and the {told} is called {expected!r}: they must agree (contracts/<domain>/<name>.odcs.yaml)", key)
    if not root.text("id") and "id" in root.value:
        root.wrong("is empty: write a UUID, or any text that no other contract has", "id")
    return stem, folder


def _version(root: Node) -> str:
    version = root.text("version")
    if version is not None and not VERSION.match(version):
        root.wrong(f"{version!r} is no semantic version, such as 1.0.0", "version")
    return version or ""


def _status(root: Node) -> str:
    status = root.text("status")
    if status is not None and status not in STATUSES:
        root.wrong(not_one_of("status", status, STATUSES), "status")
    return status or "active"


def _schema(root: Node, name: str) -> Node:
    objects = root.items("schema")
    if not objects:
        root.wrong("'schema' is missing: one object with the table's columns")
        return Node({}, root.at("schema"), root.report)
    if len(objects) > 1:
        root.wrong("one contract is one table: it has one schema object", "schema")
    table = objects[0]
    for key in ("name", "physicalName"):
        if table.text(key) not in (None, name):
            table.wrong(f"must be the contract's name, {name!r}", key)
    return table


def _columns(table: Node) -> list[Declared]:
    declared = [d for d in map(read_column, table.items("properties")) if d is not None]
    if not declared and table.value and not table.list("properties"):
        table.wrong("'properties' is missing: the table's columns")
    seen: dict[str, str] = {}
    fields: dict[str, str] = {}
    for d in declared:
        name, field = d.column.name, d.column.source_field
        if name.lower() in seen:
            d.node.wrong(f"{name!r} stands twice (as {seen[name.lower()]!r}): Spark does not tell capital letters from small ones", "name")
        elif field and field.lower() in fields:
            d.node.wrong(f"reads the field {field!r}, which {fields[field.lower()]!r} reads already: derive it with `transformLogic`", "name")
        seen.setdefault(name.lower(), name)
        fields.setdefault(field.lower(), name)
    _check_derived(declared)
    if declared and all(d.column.derived for d in declared):
        table.wrong("every column is derived: none is read from the source", "properties")
    return declared


def _check_derived(declared: list[Declared]) -> None:
    usable = {d.column.name: d.column.type for d in declared if not d.column.derived}
    later = {d.column.name.lower() for d in declared if d.column.derived}
    for d in declared:
        if d.column.expression is None:
            continue
        for wrong in check_expression(d.column.expression, usable, truth=False):
            about_later = wrong.startswith("names ") and any(f"'{n}'" in wrong.lower() for n in later)
            hint = " A derived column may use those that are read, and derived ones before it." if about_later else ""
            d.node.wrong(wrong + hint, "transformLogic")
        usable[d.column.name] = d.column.type


def _owners(root: Node) -> tuple[str, ...]:
    team = root.node("team")
    members = team.items("members") or root.items("team")
    owners = [m.text("username") or "" for m in members if (m.text("role") or "").lower() == "owner" and not m.text("dateOut")]
    if not owners and team.text("name"):
        return (f"team:{team.text('name')}",)
    for member in members:
        name = member.text("username") or ""
        if name in owners and not re.match(r"[^@\s]+@[^@\s]+\.[^@\s]+\Z", name):
            member.wrong(f"{name!r} must be an e-mail address", "username")
    return tuple(dict.fromkeys(owners))
