"""The schema that an Avro file was written with, from its header; files of one schema are read together. Not here: reading records (Spark does).

The format: https://avro.apache.org/docs/1.12.0/specification/#object-container-files
"""

from __future__ import annotations

from typing import IO

_MAGIC = b"Obj\x01"
_MOST = 16 << 20  # bytes of one entry; a schema is some kilobytes


def schema_of(file: IO[bytes]) -> str:
    """The schema as JSON. Raises `ValueError` for what is no Avro file, or ends within its header."""
    if file.read(len(_MAGIC)) != _MAGIC:
        raise ValueError("it is no Avro file")
    found: dict[bytes, bytes] = {}
    while count := _long(file):
        if count < 0:
            _long(file)  # the block's bytes, for those who skip it
        for _ in range(abs(count)):
            name = _bytes(file)
            found[name] = _bytes(file)
    if b"avro.schema" not in found:
        raise ValueError("its header names no schema")
    return found[b"avro.schema"].decode()


def _bytes(file: IO[bytes]) -> bytes:
    size = _long(file)
    read = file.read(size) if 0 <= size <= _MOST else b""
    if len(read) != size:
        raise ValueError("it ends within its header")
    return read


def _long(file: IO[bytes]) -> int:
    """A whole number in Avro's zigzag code of 1 to 10 bytes."""
    value = 0
    for shift in range(0, 70, 7):
        octet = file.read(1)
        if not octet:
            break
        value |= (octet[0] & 0x7F) << shift
        if octet[0] < 0x80:
            return (value >> 1) ^ -(value & 1)
    raise ValueError("it ends within its header")
