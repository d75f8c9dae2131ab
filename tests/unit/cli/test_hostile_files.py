"""Files of auditors come from outside: a command reads regular ones only, and bounded lines."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from worker.evidence.exported_file import MOST_LINE_BYTES


def _verified(path: Path) -> tuple[int, str]:
    command = [sys.executable, "-m", "worker", "receipts", "verify", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


def test_a_device_and_a_fifo_are_no_files_to_verify(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path in (Path("/dev/zero"), fifo, tmp_path):
        code, err = _verified(path)
        assert code != 0
        assert f"{path} is no regular file" in err
        assert "Traceback" not in err


def test_a_line_without_an_end_is_not_read_to_it(tmp_path: Path) -> None:
    endless = tmp_path / "endless"
    endless.touch()
    os.truncate(endless, 1 << 40)  # no bytes on the disk
    code, err = _verified(endless)
    assert code != 0
    assert f"{endless} has a line of more than {MOST_LINE_BYTES} bytes, line 1" in err


@pytest.mark.parametrize("rate", ["nan", "inf", "1e999"])
def test_a_rate_is_a_number(rate: str) -> None:
    command = [sys.executable, "-m", "worker", "dead-letters", "replay", "--rate", rate]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2, done.stderr
    assert "--rate" in done.stderr
