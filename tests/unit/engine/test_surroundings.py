"""Errors of the engine that its surroundings are to blame for are told with the mend; all others stay what they are. The texts are Spark's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.engine.surroundings import at_fault

_STORE = "org.apache.hadoop.fs.s3a.AWSStatus503Exception: PUT 0-byte object on _delta_log: software.amazon.awssdk.services.s3.model.S3Exception: "


@pytest.mark.parametrize(
    ("text", "says", "mend"),
    [
        ("[TASK_WRITE_FAILED] Task failed.\n\nJVM stacktrace:\njava.io.IOException: No space left on device", "no room left", "Make room below"),
        ("java.lang.ClassNotFoundException: Class org.apache.hadoop.fs.s3a.S3AFileSystem not found", "lacks the jars", "the same settings"),
        (_STORE + "Please reduce your request rate. (Service: S3, Status Code: 503)", "too busy", "again"),
        (_STORE + "Premature end of Content-Length delimited message body", "broke off", "again"),
        ("org.apache.hadoop.fs.s3a: software.amazon.awssdk…: The AWS Access Key Id you provided… InvalidAccessKeyId", "access key", "AWS_ACCESS_KEY_ID"),
    ],
)
def test_what_is_to_blame_is_told_with_its_mend(home: Path, text: str, says: str, mend: str) -> None:
    told = at_fault(text)
    assert told is not None
    assert says in told.what
    assert mend in (told.next_step or "")
    assert "committed" in (told.state or "")


@pytest.mark.parametrize("text", ["[DIVIDE_BY_ZERO] Division by zero.", "org.apache.kafka.common.errors.TimeoutException: timed out", "Forbidden"])
def test_an_error_of_another_kind_stays_what_it_is(home: Path, text: str) -> None:
    assert at_fault(text) is None
