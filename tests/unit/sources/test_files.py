"""What a folder that others write to does to those who look at it, and files that are not what their names say."""

from __future__ import annotations

import csv
import gzip
import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from lakehouse.contracts.model import FileSource
from lakehouse.settings import settings
from lakehouse.sources.files import listing, records
from lakehouse.sources.files.listing import SourceFile, list_files

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def folder() -> Path:
    made = Path(settings().landing) / "x"
    made.mkdir(parents=True)
    return made


def test_a_file_that_goes_while_the_folder_is_listed_is_no_trouble(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.json", "b.json", "c.json"):
        (folder / name).write_text("{}")
    real = os.scandir

    class Vanishing:
        """The entries of a folder whose writer renames one after it was seen."""

        def __init__(self, path: str) -> None:
            self.entries = list(real(path))

        def __enter__(self) -> Iterator[Any]:
            for entry in self.entries:
                entry.is_file()
                if entry.name == "b.json":
                    Path(entry.path).unlink()
                yield entry

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(listing.os, "scandir", Vanishing)
    found = list_files(FileSource(path="x", format="json", date_pattern=None), date(2026, 1, 1))
    assert sorted(f.path for f in found.files) == ["a.json", "c.json"]


@pytest.mark.parametrize("damaged", ["flipped", "endless"])
def test_a_damaged_csv_is_named_and_its_neighbours_are_read(folder: Path, damaged: str) -> None:
    csv.field_size_limit(131_072)  # Python's own, which is the process's
    whole = gzip.compress(b"id,n\n" + b"a,1\n" * 500)
    content = {"flipped": ("bad.csv.gz", whole[:12] + bytes(b ^ 255 for b in whole[12:30]) + whole[30:]), "endless": ("bad.csv", b"x" * 200_000 + b",n\n1,2\n")}
    name, data = content[damaged]
    (folder / name).write_bytes(data)
    (folder / "good.csv").write_text("id,n\na,1\n")
    files = [SourceFile(n, (folder / n).stat().st_size, 0, None) for n in (name, "good.csv")]
    source = FileSource(path="x", format="csv")
    kinds, bad = records._by_kind(files, records.partial(records._header, source, str(folder)))
    assert [f.path for group in kinds.values() for f in group] == ["good.csv"]
    assert [u.path for u in bad] == [name]
