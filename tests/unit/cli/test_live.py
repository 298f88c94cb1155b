"""The live example's words to its user: a file that makes a shell speak of its lake, and a sender that ends when it is asked to."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lakehouse.cli import live


def test_a_shell_that_reads_the_file_speaks_of_the_lake(tmp_path: Path) -> None:
    file = live._environment_file(tmp_path, {"LAKEHOUSE_HOME": "/a lake", "PGPORT": "5433"})
    asked = ["sh", "-c", f'. {file}; echo "$LAKEHOUSE_HOME $PGPORT $PATH"']
    said = subprocess.run(asked, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=True).stdout.strip()
    assert said == f"/a lake 5433 {Path(sys.executable).parent}:{os.environ['PATH']}"


def test_ctrl_c_lets_the_sender_deliver_what_it_has(tmp_path: Path) -> None:
    done = tmp_path / "done"
    sender = f"import os, pathlib, signal, time; os.kill(os.getppid(), signal.SIGINT); time.sleep(0.5); pathlib.Path({str(done)!r}).touch()"
    live._send({}, sys.executable, "-c", sender)
    assert done.exists()


def test_a_sender_that_fails_is_told(tmp_path: Path) -> None:
    with pytest.raises(live.LakehouseError, match="failed; what it said stands above"):
        live._send({}, sys.executable, "-c", "raise SystemExit(3)")
