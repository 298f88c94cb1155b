"""The contracts of a folder as they are at a git ref: what a pull request is compared with. Asks git; changes nothing. Not here: comparing (`compare`)."""

from __future__ import annotations

import subprocess
from pathlib import Path

from lakehouse.contracts.loader import SUFFIX, load_texts
from lakehouse.contracts.model import Contract
from lakehouse.errors import ContractError


def contracts_at(folder: Path, ref: str) -> dict[str, Contract]:
    """The contracts below a folder at a commit, branch or tag, by name. Raises `ContractError` when git can't say, or they are not without mistakes."""
    commit = _git(folder, ref, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}").decode().strip()
    names = [n.decode() for n in _git(folder, ref, "ls-tree", "-r", "-z", "--name-only", commit).split(b"\0") if n.endswith(SUFFIX.encode())]
    texts = {folder / name: _git(folder, ref, "show", f"{commit}:./{name}") for name in names if not any(p.startswith((".", "_")) for p in Path(name).parts)}
    try:
        return load_texts(texts)
    except ContractError as error:
        raise ContractError(
            f"The contracts at {ref} can't be compared with: {error.what}", state="Nothing was compared.", next_step="Name a later ref with --base."
        ) from error


def _git(folder: Path, ref: str, *arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=False)
    except OSError as error:
        raise ContractError(f"git can't be run: {error.strerror}.", next_step="Install git, or leave out --base to compare with what is deployed.") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().removeprefix("fatal: ") or f"there is no commit {ref!r}"
        raise ContractError(
            f"The contracts of {folder} at {ref!r} can't be read: {said}.",
            next_step="Name a commit, branch or tag that is in this clone, such as --base origin/main (a shallow clone may lack it: git fetch).",
        )
    return done.stdout
