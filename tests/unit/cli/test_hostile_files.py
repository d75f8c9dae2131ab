"""Files of auditors come from outside: a command reads regular ones only, and bounded lines."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import orjson
import pytest

from devtools.made_receipts import MadeWorker, receipt
from devtools.waiting import wait_until
from tests.unit.ledger.ledger_file import ledger_file
from worker.evidence.exported_file import MOST_LINE_BYTES
from worker.ledger.exporting import Selection, export_file


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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_verification_of_a_long_file(
    tmp_path: Path, number: signal.Signals
) -> None:
    path = tmp_path / "long"
    worker = MadeWorker("one:1", b"secret")
    with ledger_file(tmp_path) as ledger:
        ledger.take(worker.begin(), worker.receipts([receipt("ev-1")]))
        with ledger.transaction() as connection:
            lines = list(export_file(connection, Selection(None, None, None), 5, b""))
    first, message = (orjson.dumps(one) + b"\n" for one in lines[:2])
    with path.open("wb") as file:
        file.write(first)
        file.writelines(message for _ in range(300_000))
    command = [sys.executable, "-m", "worker", "receipts", "verify", str(path)]
    verifying = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    opened = Path(f"/proc/{verifying.pid}/fd")
    asyncio.run(wait_until(lambda: _leads_to(opened, path), "the file is read"))
    verifying.send_signal(number)
    out, err = verifying.communicate(timeout=30)
    assert (verifying.returncode, out) == (128 + number, b""), err
    assert b"Traceback" not in err


def _leads_to(descriptors: Path, path: Path) -> bool:
    with suppress(OSError):  # one was closed meanwhile
        return any(one.readlink() == path for one in descriptors.iterdir())
    return False
