"""The dbt sources file: every Silver table with its columns, as the contracts say. Generated, never edited. Not here: models (the dbt project)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from lakehouse.contracts.model import Contract
from lakehouse.contracts.spark_schema import silver_fields

FILE = Path("models/staging/_sources.yml")
_HEAD = """\
# Generated from the contracts; do not edit. Renew it with: lakehouse contract sources
# A test, and `lakehouse contract sources --check`, fail when it is stale.
"""
_NAMED = re.compile(r"^ *- name: (\w+)$", re.M)  # as text: a file that a merge has broken is renewed, too
_READ = re.compile(r"""\bsource\(\s*['"]silver['"]\s*,\s*['"](\w+)['"]\s*\)""")


def sources_yaml(contracts: Mapping[str, Contract]) -> str:
    """The text of the sources file: source `silver`, one table per contract, sorted by name."""
    tables = [_table(contracts[name]) for name in sorted(contracts)]
    source = {"name": "silver", "schema": "silver", "description": "Rows typed, ruled and deduplicated by the contracts.", "tables": tables}
    # No folding: a change of a description is then one changed line.
    return _HEAD + yaml.dump({"version": 2, "sources": [source]}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1 << 20)


class _Dumper(yaml.SafeDumper):
    """Indents lists, as the project's other YAML files do."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def is_stale(file: Path, contracts: Mapping[str, Contract]) -> bool:
    """Whether the file is missing or differs from what the contracts say."""
    return not file.is_file() or file.read_text("utf-8") != sources_yaml(contracts)


def lost(project: Path, contracts: Mapping[str, Contract]) -> dict[str, list[str]]:
    """Tables that the sources file names, models read, and no contract describes, with these models: the project is another lake's, too.

    Without them dbt could not parse it.
    """
    file = project / FILE
    named = set(_NAMED.findall(file.read_text("utf-8"))) - set(contracts) if file.is_file() else set()
    read = {model.stem: set(_READ.findall(model.read_text("utf-8"))) for model in sorted((project / "models").rglob("*.sql"))}
    found = {table: [model for model, tables in read.items() if table in tables] for table in sorted(named)}
    return {table: models for table, models in found.items() if models}


def _table(contract: Contract) -> dict[str, Any]:
    described = " ".join(p for p in (contract.description, contract.grain) if p)
    meta = {"contract": contract.version, "domain": contract.domain, "kind": contract.kind, "key": list(contract.key)}
    if contract.event_date:
        meta["event_date"] = contract.event_date
    columns = [{"name": f.name, "description": f.comment, "data_type": f.type} for f in silver_fields(contract)]
    return {"name": contract.name, "description": described, "config": {"meta": meta}, "columns": columns}
