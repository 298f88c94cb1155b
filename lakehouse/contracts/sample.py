"""Records of sample files, up to a limit, for drafting a contract: CSV, JSON lines, Parquet; gzip too.

Not here: what they mean (`guess`), and reading sources for the lake (`lakehouse.sources`).
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from lakehouse.errors import ContractError

LIMIT = 100_000
MAX_FILES = 200
_LONGEST_LINE = 16 << 20
ENDINGS = {
    ".csv": "csv", ".tsv": "csv", ".txt": "csv", ".json": "json", ".jsonl": "json", ".ndjson": "json", ".parquet": "parquet", ".pq": "parquet", ".avro": "avro",
}  # fmt: skip


class Digits(str):
    """A JSON number with a fraction or exponent, as written: its digits tell decimals from doubles."""

    __slots__ = ()


class OutOfReach(str):
    """An Arrow value as text, since it is or holds a time before year 1 or after 9999, which Python has not."""

    __slots__ = ()


@dataclass
class Sample:
    """Records as columns of equal length. Values are text (CSV), JSON values (`Digits` for numbers with a fraction) or Arrow's Python values."""

    format: str
    files: list[Path]
    columns: dict[str, list[Any]] = field(default_factory=dict)
    file_of: list[int] = field(default_factory=list)  # per record, its file's place in `files`
    arrow_types: dict[str, Any] = field(default_factory=dict)
    delimiter: str = ","
    multi_line: bool = False
    unreadable: int = 0
    why: str = ""  # the likely reason for the first that is unreadable
    not_utf8: int = 0  # lines
    left_out: int = 0  # fields of a file without a name, or with that of another
    complete: bool = True

    @property
    def size(self) -> int:
        """How many records."""
        return len(self.file_of)


def read_sample(paths: Sequence[Path], limit: int = LIMIT) -> Sample:
    """Up to `limit` records, spread over the files. Raises `ContractError` when there is nothing to read, or what is there can't be read."""
    every = _files(paths)
    step = max(1, len(every) // MAX_FILES)
    sample = Sample(_format(every), every[::step][:MAX_FILES], complete=step == 1)
    for index, file in enumerate(sample.files):
        share = -(-(limit - sample.size) // (len(sample.files) - index))
        try:
            _READERS[sample.format](sample, index, file, share)
        except (OSError, EOFError, ValueError, csv.Error) as error:  # pyarrow's errors are ValueErrors
            raise _no(f"{file} can't be read as {sample.format}: {' '.join(str(error).split())[:300]}.") from error
    if sample.unreadable > sample.size:
        some = f"{sample.unreadable:,} of {sample.unreadable + sample.size:,} records of {_some(sample.files)}"
        raise _no(f"{some} are no {sample.format} records: {sample.why}.")
    if not sample.size:
        raise _no(f"There is no record in {_some(sample.files)}.")
    return sample


def _no(what: str) -> ContractError:
    return ContractError(what, state="No contract was drafted.", next_step="Name sample files: CSV with a header, JSON with one record per line, or Parquet.")


def _some(files: Sequence[Path]) -> str:
    return ", ".join(str(f) for f in files[:3]) + (f" and {len(files) - 3} more" if len(files) > 3 else "")


def _files(paths: Sequence[Path]) -> list[Path]:
    """Data files, in order; hidden and empty ones are left out, as the platform does."""
    missing = [str(p) for p in paths if not p.exists()]
    if missing:
        raise _no(f"There is no {', '.join(missing)}.")
    found: list[Path] = []
    for path in paths:
        inside = sorted(f for f in path.rglob("*") if not any(p.startswith(("_", ".")) for p in f.relative_to(path).parts)) if path.is_dir() else [path]
        found += [f for f in inside if f.is_file() and f.stat().st_size]
    if not found:
        raise _no(f"There is no file with content in {', '.join(map(str, paths))}.")
    return list(dict.fromkeys(found))


def _format(files: Sequence[Path]) -> str:
    kinds = Counter(_kind(f) for f in files)
    if len(kinds) > 1:
        seen = ", ".join(f"{n} {kind}" for kind, n in kinds.most_common())
        raise _no(f"The files are of several formats ({seen}), and a table's source has one.")
    kind = next(iter(kinds))
    if kind == "avro":
        raise _no("Avro files are not read for a draft.")
    return kind


def _kind(file: Path) -> str:
    endings = [s.lower() for s in file.suffixes]
    known = next((ENDINGS[s] for s in reversed(endings) if s in ENDINGS), None)
    if known:
        return known
    with _open(file) as stream:
        start = stream.read(4096).lstrip(b"\xef\xbb\xbf \r\n\t")
    return "parquet" if start.startswith(b"PAR1") else "json" if start[:1] in (b"{", b"[") else "csv"


def _open(file: Path) -> IO[bytes]:
    raw = file.open("rb")
    zipped = raw.read(2) == b"\x1f\x8b"
    raw.seek(0)
    return gzip.open(raw) if zipped else raw  # type: ignore[return-value]


def _text(sample: Sample, file: Path) -> Iterator[str]:
    """Lines with their ends; a byte order mark is dropped. Raises `ValueError` for what is no text, or not UTF-8 as a whole."""
    with _open(file) as stream:
        first = True
        while line := stream.readline(_LONGEST_LINE + 1):
            if len(line) > _LONGEST_LINE:
                raise ValueError("it has a line of more than 16 MB")
            if first and line[:2] in (b"\xff\xfe", b"\xfe\xff"):
                raise ValueError("it is UTF-16, and only UTF-8 is read")
            if first and line[:4] == b"PK\x03\x04":
                raise ValueError("it is a ZIP archive, as workbooks are too: unpack it, or save the sheet as CSV")
            text = line.decode("utf-8-sig" if first else "utf-8", "replace")
            sample.not_utf8 += "\ufffd" in text and b"\xef\xbf\xbd" not in line
            yield text
            first = False


def _add(sample: Sample, index: int, record: dict[str, Any]) -> None:
    for name in [n for n in record if n not in sample.columns]:
        sample.columns[name] = [None] * sample.size
    for name, values in sample.columns.items():
        values.append(record.get(name))
    sample.file_of.append(index)


def _json(sample: Sample, index: int, file: Path, limit: int) -> None:
    taken = 0
    for number, line in enumerate(_text(sample, file), 1):
        if not line.strip():
            continue
        if taken >= limit:
            sample.complete = False
            return
        if number == 1 and line.lstrip().startswith("["):
            raise ValueError(f"it is a JSON array; one record per line is read, as `jq -c '.[]' {file.name} > {file.stem}.jsonl` makes it")
        try:
            record = json.loads(line, parse_float=Digits)
        except (ValueError, RecursionError):
            record = None
        if isinstance(record, dict):
            taken += 1
            _add(sample, index, record)
        else:
            sample.unreadable += 1
            sample.why = sample.why or "a record is a line that holds one object, {…}"
    if not taken and _is_json(file):
        raise ValueError(f"it has no record that is a line of its own, as `jq -c . {file.name} > {file.stem}.jsonl` makes them")


def _is_json(file: Path) -> bool:
    """Whether the file begins with a JSON object, over however many lines."""
    with _open(file) as stream:
        start = stream.read(_LONGEST_LINE).decode("utf-8-sig", "replace").lstrip()
    try:
        return isinstance(json.JSONDecoder().raw_decode(start)[0], dict)
    except (ValueError, RecursionError):
        return False


def _csv(sample: Sample, index: int, file: Path, limit: int) -> None:
    lines = _text(sample, file)
    header = next((line for line in lines if line.strip()), "")
    if re.fullmatch(r'"?sep=.?"?', header.strip(), re.I):
        raise ValueError(f"its first line, {header.strip()}, tells Excel the delimiter and is no header: remove it from the file")
    own = _delimiter(header)
    sample.delimiter = own if len(sample.columns) < 2 else sample.delimiter
    names = [n.strip() for n in next(csv.reader([header], delimiter=sample.delimiter))]
    if own != sample.delimiter and own in header and len(names) == 1:
        raise ValueError(f"its delimiter is {own!r} and that of files before it {sample.delimiter!r}, and a table's source has one")
    twice = sorted(n for n, c in Counter(names).items() if c > 1 and n)
    if twice:
        raise ValueError(f"its header names {', '.join(twice)} more than once")
    sample.left_out = max(sample.left_out, names.count(""))
    for taken, record in enumerate(_records(lines, sample.delimiter)):
        if taken >= limit:
            sample.complete = False
            return
        if len(record) != len(names):
            sample.unreadable += 1
            sample.why = sample.why or _misread(names, record)
            continue
        sample.multi_line = sample.multi_line or any("\n" in v or "\r" in v for v in record)
        _add(sample, index, {n: v for n, v in zip(names, record, strict=True) if n})


def _misread(names: list[str], record: list[str]) -> str:
    """The likely reason why a CSV record has another number of fields than the header."""
    if len(names) == 1 or names[0].startswith("#"):
        return "the first line seems to be no header, so remove the lines before it"
    if any("\\" in v for v in record):
        return "backslashes escape quotes or delimiters, so double the quotes instead, or for a draft only and then say `escape` in the contract's source"
    if any(v.lstrip().startswith("'") for v in record):
        return "single quotes stand around fields, so use double ones, or for a draft only and then say `quote` in the contract's source"
    return "they have another number of fields than the header"


def _records(lines: Iterable[str], delimiter: str) -> Iterator[list[str]]:
    csv.field_size_limit(_LONGEST_LINE)
    yield from (r for r in csv.reader(lines, delimiter=delimiter) if r and r != [""])


def _delimiter(header: str) -> str:
    """The likely delimiter of a header line: the one that splits it into most fields."""
    return max(",;\t|", key=lambda d: len(next(csv.reader(io.StringIO(header), delimiter=d), [])))


def _parquet(sample: Sample, index: int, file: Path, limit: int) -> None:
    import pyarrow.parquet as pq

    parquet, taken = pq.ParquetFile(file), 0
    names = parquet.schema_arrow.names
    first = {name: names.index(name) for name in names}
    sample.left_out = max(sample.left_out, len(names) - len(first))
    for name, place in first.items():
        sample.arrow_types.setdefault(name, parquet.schema_arrow.field(place).type)
    for batch in parquet.iter_batches(batch_size=min(max(limit, 1), 10_000)):
        part = batch.slice(0, limit - taken)
        columns = {name: _plain(part.column(place)) for name, place in first.items()}
        for values in zip(*columns.values(), strict=True):
            _add(sample, index, dict(zip(columns, values, strict=True)))
        taken += part.num_rows
        if taken >= limit:
            break
    sample.complete = sample.complete and taken == parquet.metadata.num_rows


def _plain(column: Any) -> list[Any]:
    """An Arrow array's values as Python's, times in UTC."""
    import pyarrow as pa

    if getattr(column.type, "tz", None):
        column = column.cast(pa.timestamp(column.type.unit, "UTC"))
    try:
        return list(column.to_pylist())
    except OverflowError:
        return [_reached(column.slice(i, 1)) for i in range(len(column))]


def _reached(one: Any) -> Any:
    try:
        return one.to_pylist()[0]
    except OverflowError:
        return OutOfReach(" ".join(str(one).split()).strip("[] "))


_READERS = {"csv": _csv, "json": _json, "parquet": _parquet}
