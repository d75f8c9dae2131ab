"""A port that can't be listened at is said with what to change, by whoever listens."""

from __future__ import annotations

import errno
import socket

import pytest

from tests.unit.cli.conftest import CommandLine
from worker.listening_ports import CONSOLE, DOOR, HTTP, Named, PortUnusable, listening
from worker.settings import WorkerSettings


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.EADDRINUSE, "x"), "at ::1:80: another process listens there"),
        (PermissionError(errno.EACCES, "x"), "this user may not"),
        (OSError(errno.EADDRNOTAVAIL, "x"), "no such address"),
        (OSError(errno.EMFILE, "x"), "Too many open files"),
        (socket.gaierror(-2, "x"), "no such host is known"),
    ],
)
def test_the_setting_is_named(error: OSError, said: str) -> None:
    with pytest.raises(PortUnusable) as raised, listening("::1", 80, HTTP):
        raise error
    assert said in str(raised.value)
    assert str(raised.value).endswith("set CONSENT_WORKER_HTTP_PORT or CONSENT_WORKER_HTTP_HOST")


@pytest.mark.parametrize("named", [HTTP, CONSOLE, DOOR])
def test_what_is_named_are_settings(named: Named) -> None:
    settings = {f"CONSENT_WORKER_{name.upper()}" for name in WorkerSettings.model_fields}
    assert set(named) <= settings


def test_the_emulator_names_its_option(cli: CommandLine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ran = cli.run("sandbox", "--port", str(taken.getsockname()[1]))
    assert (ran.code, ran.out) == (1, "")
    assert "another process listens there; set --port or --host" in ran.err
