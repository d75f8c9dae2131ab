"""The private RabbitMQ of tests and the demo."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from devtools.native_rabbitmq import BrokerUnavailable, NativeRabbitMQ
from devtools.waiting import wait_until


def _processes_below(home: Path) -> list[str]:
    """Command lines of the processes whose home directory is `home`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes().split(b"\0")
            if b"HOME=" + os.fsencode(home) in environment:
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue  # ended meanwhile, or somebody else's
    return found


async def test_nothing_is_left_of_it() -> None:
    try:
        broker = NativeRabbitMQ()
    except BrokerUnavailable as problem:
        pytest.skip(str(problem))
    with broker:
        running = _processes_below(broker.home)
        assert any("beam" in one for one in running)
        assert any("epmd" in one for one in running)
        name = "dead_letter_worker_publisher_confirm_timeout"  # as docs/retry.md advises
        broker.ctl("eval", f"{{ok, 10000}} = application:get_env(rabbit, {name}).")
    await wait_until(lambda: not _processes_below(broker.home), "the end of its processes")
    assert not broker.home.exists()
