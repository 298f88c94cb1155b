"""The schema of an Avro file is read from its header, and what is no Avro file says so. The files are fastavro's."""

from __future__ import annotations

import io
import json

import fastavro
import pytest

from lakehouse.sources.files.avro import schema_of

SCHEMA = {"type": "record", "name": "order", "fields": [{"name": "id", "type": "string"}, {"name": "amount", "type": ["null", "long"], "doc": "x" * 300}]}


def written(codec: str = "null") -> bytes:
    file = io.BytesIO()
    fastavro.writer(file, fastavro.parse_schema(SCHEMA), [{"id": "a", "amount": 1}], codec=codec, metadata={"from": "test"})
    return file.getvalue()


@pytest.mark.parametrize("codec", ["null", "deflate"])
def test_the_schema_is_the_one_the_file_was_written_with(codec: str) -> None:
    found = json.loads(schema_of(io.BytesIO(written(codec))))
    assert (found["name"], [f["name"] for f in found["fields"]]) == ("order", ["id", "amount"])


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "no Avro file"),
        (b'{"id": 1}\n', "no Avro file"),
        (written()[:40], "ends within its header"),
        (b"Obj\x01\x02\x02a" + b"\xff" * 11, "ends within its header"),
        (b"Obj\x01\x02\x02a\xfe\xff\xff\xff\xff\x01", "ends within its header"),
        (b"Obj\x01\x00", "names no schema"),
    ],
)
def test_what_is_no_avro_file_says_so(data: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        schema_of(io.BytesIO(data))
