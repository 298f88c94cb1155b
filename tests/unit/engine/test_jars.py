"""The locked jars: what the lock says, and what happens when a file is not what it says."""

import hashlib
from pathlib import Path

import pytest

from lakehouse.engine import jars
from lakehouse.engine.jars import Jar, ensure_jars, read_lock, verify
from lakehouse.errors import SetupError

ZEROS = "0" * 64
CONTENT = b"a jar"
GOOD = Jar("org.example", "thing", "1.0", hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture
def one_jar(monkeypatch: pytest.MonkeyPatch) -> Jar:
    monkeypatch.setattr(jars, "read_lock", lambda _: [GOOD])
    return GOOD


def served(monkeypatch: pytest.MonkeyPatch, *contents: bytes | Exception) -> list[Jar]:
    """Let the repository answer with these, one after the other; returns what was asked for."""
    answers, asked = list(contents), []

    def download(jar: Jar, cache: Path) -> Path:
        asked.append(jar)
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        cache.mkdir(parents=True)
        file = cache / jar.filename
        file.write_bytes(answer)
        return file

    monkeypatch.setattr(jars, "_download", download)
    return asked


def test_the_checked_in_lock_names_delta_for_the_installed_spark():
    from importlib.metadata import version

    spark = ".".join(version("pyspark").split(".")[:2])
    assert f"delta-spark_{spark}_2.13" in {jar.artifact for jar in read_lock()}
    assert len({jar.filename for jar in read_lock()}) == len(read_lock())


def test_comments_and_empty_lines_are_not_jars(tmp_path: Path):
    file = tmp_path / "jars.lock"
    file.write_text(f"# why\n\norg.example:thing:1.0 {GOOD.sha256}  # because\n", encoding="utf-8")
    assert read_lock(file) == [GOOD]


@pytest.mark.parametrize(
    "line", ["org.example:thing:1.0", f"thing:1.0 {'0' * 64}", f"org.example:thing:1.0 {'0' * 63}", f"org.example:../../thing:1.0 {'0' * 64}"]
)
def test_a_damaged_line_is_an_error_with_file_and_line(tmp_path: Path, line: str):
    file = tmp_path / "jars.lock"
    file.write_text(f"# first\n{line}\n", encoding="utf-8")
    with pytest.raises(SetupError, match=r"jars\.lock:2"):
        read_lock(file)


def test_a_wrong_checksum_names_the_file_both_sums_and_the_way_out(tmp_path: Path):
    file = tmp_path / GOOD.filename
    file.write_bytes(b"something else")
    with pytest.raises(SetupError) as caught:
        verify(GOOD, file)
    said = str(caught.value)
    assert str(file) in said and GOOD.sha256 in said and hashlib.sha256(b"something else").hexdigest() in said
    assert "make setup" in said


def test_a_jar_that_is_there_is_verified_and_not_fetched(tmp_path: Path, one_jar: Jar, monkeypatch: pytest.MonkeyPatch):
    asked = served(monkeypatch)
    (tmp_path / one_jar.filename).write_bytes(CONTENT)
    assert ensure_jars(folder=tmp_path) == [tmp_path / one_jar.filename]
    assert asked == []


def test_a_jar_that_was_changed_on_disk_is_refused_and_kept_for_inspection(tmp_path: Path, one_jar: Jar, monkeypatch: pytest.MonkeyPatch):
    served(monkeypatch)
    (tmp_path / one_jar.filename).write_bytes(b"changed")
    with pytest.raises(SetupError, match="expected sha256"):
        ensure_jars(folder=tmp_path)
    assert (tmp_path / one_jar.filename).read_bytes() == b"changed"


def test_a_damaged_download_is_fetched_once_more(tmp_path: Path, one_jar: Jar, monkeypatch: pytest.MonkeyPatch):
    asked = served(monkeypatch, CONTENT[:3], CONTENT)
    ensure_jars(folder=tmp_path)
    assert len(asked) == 2
    assert [file.name for file in tmp_path.iterdir()] == [one_jar.filename]


def test_a_download_that_stays_wrong_leaves_nothing_behind(tmp_path: Path, one_jar: Jar, monkeypatch: pytest.MonkeyPatch):
    served(monkeypatch, b"wrong", b"wrong")
    with pytest.raises(SetupError, match="expected sha256"):
        ensure_jars(folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_no_network_is_one_message_that_says_what_to_check(tmp_path: Path, one_jar: Jar, monkeypatch: pytest.MonkeyPatch):
    import jgo.maven
    import requests

    def unreachable(*_: object, **__: object) -> None:
        raise requests.ConnectionError("Name or service not known")

    monkeypatch.setattr(jgo.maven, "MavenContext", unreachable)
    with pytest.raises(SetupError) as caught:
        ensure_jars(folder=tmp_path)
    assert one_jar.coordinate in str(caught.value) and "Check the network" in str(caught.value)
