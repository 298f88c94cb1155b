"""Folder of contracts → contracts, or every mistake in them.

`contracts/<domain>/<table>.odcs.yaml`; other YAML files there are mistakes, so that a misnamed contract is not passed over. Results are kept for the
life of the process, by the file's content. Not here: what is checked (`standard`, `table`, `columns`, …).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from lakehouse.contracts.mistakes import Mistake, Report
from lakehouse.contracts.model import Contract
from lakehouse.contracts.node import Node
from lakehouse.errors import ContractError

SUFFIX = ".odcs.yaml"


@dataclass(frozen=True)
class Checked:
    """What became of one file: a contract unless there are mistakes; notes say what is accepted but not acted on."""

    file: Path
    contract: Contract | None
    mistakes: tuple[Mistake, ...] = ()
    notes: tuple[Mistake, ...] = ()


def load_contracts(folder: Path) -> dict[str, Contract]:
    """The contracts below a folder, by name, sorted. Raises `ContractError` that lists every mistake of every file."""
    return _contracts(check_folder(folder))


def load_contract(file: Path) -> Contract:
    """The contract in a file. Raises `ContractError` that lists every mistake."""
    return next(iter(_contracts([check_file(file)]).values()))


def check_folder(folder: Path) -> list[Checked]:
    """Every contract file below a folder, checked by itself and against the others. Raises `ContractError` when there is no such folder."""
    return check_together([check_file(f) for f in contract_files(folder)])


def contract_files(folder: Path) -> list[Path]:
    """Every YAML file below a folder, hidden ones apart. Raises `ContractError` when there is no such folder."""
    if not folder.is_dir():
        raise ContractError(
            f"There is no folder {folder}, where the contracts should be.",
            next_step="Set LAKEHOUSE_CONTRACTS to the folder with your contracts, or draft one with: lakehouse contract infer <sample file>",
        )
    found = (f for ending in ("*.yaml", "*.yml") for f in folder.rglob(ending))
    return sorted(f for f in found if f.is_file() and not any(p.startswith((".", "_")) for p in f.relative_to(folder).parts))


def check_file(file: Path) -> Checked:
    """One file, checked by itself."""
    file = Path(file)
    try:
        content = file.read_bytes()
    except OSError as error:
        return Checked(file, None, (Mistake(file, None, "", f"can't be read: {error.strerror or error}"),))
    return _check(file, content)


def load_texts(texts: Mapping[Path, bytes]) -> dict[str, Contract]:
    """The contracts that these files would hold with these contents, by name, sorted. Raises `ContractError` that lists every mistake."""
    return _contracts([_check(file, content) for file, content in texts.items()])


def check_together(checked: Iterable[Checked]) -> list[Checked]:
    """The same, with the mistakes that concern several contracts added."""
    from lakehouse.contracts.references import disagreements

    checked = list(checked)
    tables = {one.contract.name: one.contract for one in checked if one.contract}
    done: list[Checked] = []
    taken: dict[tuple[str, str], Path] = {}
    for one in checked:
        mistakes = list(one.mistakes)
        for key in ("name", "id") if one.contract else ():
            value = str(one.contract.raw.get(key)) if one.contract else ""
            first = taken.setdefault((key, value), one.file)
            if first != one.file:
                mistakes.append(Mistake(one.file, _line_of(one.file, f"{key}:"), key, f"{value!r} is the {key} of {first} too: each contract has its own"))
        for target, wrong in disagreements(one.contract, tables) if one.contract and len(tables) == len(checked) else ():
            mistakes.append(Mistake(one.file, _line_of(one.file, rf".*\bto: *['\"]?{re.escape(target)}\b"), f"relationships, to {target}", wrong))
        done.append(Checked(one.file, None if mistakes else one.contract, tuple(mistakes), one.notes))
    return done


@lru_cache(maxsize=512)
def _check(file: Path, content: bytes) -> Checked:
    from lakehouse.contracts.standard import check_standard  # these bring parsers, which `import lakehouse.contracts.loader` need not pay for
    from lakehouse.contracts.table import read_contract
    from lakehouse.contracts.yaml_file import read_yaml

    report = Report(file)
    if not file.name.endswith(SUFFIX):
        report.wrong((), f"is not called <table>{SUFFIX}, so it would not be read: rename it, or move it out of the contracts")
        return Checked(file, None, tuple(report.mistakes))
    value = read_yaml(content, report)
    contract = None
    if isinstance(value, dict):
        check_standard(value, report)
        contract = read_contract(Node(value, (), report), file)
    elif not report.found:
        report.wrong((), "must be a mapping with the keys of a data contract (apiVersion, kind, name, …)")
    return Checked(file, None if report.mistakes else contract, tuple(report.mistakes), tuple(report.notes))


def _line_of(file: Path, pattern: str) -> int | None:
    """The first line that begins as the pattern says."""
    lines = file.read_text("utf-8", "replace").splitlines()
    return next((n for n, line in enumerate(lines, 1) if re.match(pattern, line)), None)


def _contracts(checked: list[Checked]) -> dict[str, Contract]:
    mistakes = [m for c in checked for m in c.mistakes]
    if mistakes:
        files = len({m.file for m in mistakes})
        raise ContractError(
            f"{len(mistakes)} mistake{'s' * (len(mistakes) != 1)} in {files} contract{'s' * (files != 1)}:\n" + "\n".join(f"  {m}" for m in mistakes),
            state="Nothing was read or written.",
            next_step="Correct them, and check with: lakehouse contract lint",
        )
    found = {c.contract.name: c.contract for c in checked if c.contract}
    return dict(sorted(found.items()))
