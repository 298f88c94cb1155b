"""The PostgreSQL of `lakehouse services`: what is said where it can't be had. That it runs is for the integration tests."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from lakehouse.errors import SetupError, SourceError
from lakehouse.services import postgres


def test_a_machine_without_postgresql_is_told_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(postgres, "_PROGRAMS", (str(tmp_path / "postgresql"),))
    with pytest.raises(SetupError) as told:
        postgres.start(tmp_path)
    assert "apt-get install postgresql" in str(told.value)
    assert "lakehouse services start postgres" in str(told.value)


def test_the_newest_of_several_versions_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(postgres, "_PROGRAMS", (str(tmp_path / "postgresql"),))
    for version in ("9.6", "15", "17"):
        programs = tmp_path / "postgresql" / version / "bin"
        programs.mkdir(parents=True)
        (programs / "initdb").touch()
    assert postgres._programs()[0] == tmp_path / "postgresql" / "17" / "bin"


def test_a_contract_that_reads_from_a_server_that_was_never_started_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="There is no PostgreSQL"):
        postgres.address(tmp_path)


def test_the_address_is_in_a_file_that_only_the_owner_reads_and_shows_no_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "_as_account", lambda: [])
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "initdb").write_text("#!/bin/sh\n")
    (programs / "initdb").chmod(0o755)
    postgres._make(tmp_path, programs, 5433)
    file = tmp_path / "services" / "postgres" / "pgpass"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    password = file.read_text().strip().split(":")[-1]
    assert len(password) > 20
    address = postgres.address(tmp_path)
    assert (address.port, address.user) == (5433, "lakehouse")
    assert password not in f"{address} {address!r}"
    assert not (tmp_path / "services" / "postgres" / "password").exists()
