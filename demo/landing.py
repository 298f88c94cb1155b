"""Writing the landing folders: one file at a time, streamed, the same bytes for the same content, and only where something changes.

A file appears under its name when it is complete, and an identical file keeps its modification time. Not here: what stands in the files.
"""

from __future__ import annotations

import filecmp
import gzip
import io
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

WRITING = ".writing"


class Landing:
    """The landing folder. Paths are relative to it."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self._writing = target / WRITING
        self._writing.mkdir(parents=True, exist_ok=True)

    def lines(self, path: str, lines: Iterable[bytes], *, crlf: bool = False, bom: bool = False) -> None:
        """Write a text file, gzipped if its name ends with .gz."""
        end = b"\r\n" if crlf else b"\n"
        with self._file(path) as file, _maybe_gzip(file, path) as sink:
            buffer = io.BytesIO(b"\xef\xbb\xbf" if bom else b"")
            buffer.seek(0, io.SEEK_END)
            for line in lines:
                buffer.write(line + end)
                if buffer.tell() > 1 << 20:
                    sink.write(buffer.getvalue())
                    buffer.seek(0)
                    buffer.truncate()
            sink.write(buffer.getvalue())

    def parquet(self, path: str, table: pa.Table) -> None:
        """Write a Parquet file."""
        with self._file(path) as file:
            pq.write_table(table, file, compression="zstd")

    def close(self) -> None:
        """Remove what only writing needed."""
        shutil.rmtree(self._writing)

    @contextmanager
    def _file(self, path: str) -> Iterator[IO[bytes]]:
        final, part = self.target / path, self._writing / path.replace("/", "~")
        try:
            with part.open("wb") as file:
                yield file
            if final.exists() and filecmp.cmp(part, final, shallow=False):
                return
            final.parent.mkdir(parents=True, exist_ok=True)
            part.replace(final)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def _maybe_gzip(file: IO[bytes], path: str) -> Iterator[IO[bytes] | gzip.GzipFile]:
    if path.endswith(".gz"):
        # No name and no time in the header: the same content is the same file.
        with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0, compresslevel=5) as packed:
            yield packed
    else:
        yield file
