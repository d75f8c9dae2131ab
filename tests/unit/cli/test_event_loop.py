"""A program ends when it is done, whatever is left in its event loop."""

from __future__ import annotations

import asyncio
import signal

import pytest

from worker.cli import event_loop
from worker.cli.event_loop import run_to_the_end


async def stubborn() -> None:
    """Ends at no cancellation."""
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            continue


@pytest.mark.timeout(20)
def test_a_task_that_does_not_end_is_let_go_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_loop, "_LAST_SECONDS", 0.05)
    kept = []

    async def main() -> None:
        kept.append(asyncio.create_task(stubborn()))
        await asyncio.sleep(0)

    run_to_the_end(main())
    assert not kept[0].done()


def test_a_task_that_ends_is_waited_for() -> None:
    last_words = []

    async def other() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.01)
            last_words.append("done")

    kept = []

    async def main() -> None:
        kept.append(asyncio.create_task(other()))
        await asyncio.sleep(0)

    run_to_the_end(main())
    assert last_words == ["done"]


def test_what_it_raises_is_raised() -> None:
    async def main() -> None:
        raise LookupError("here")

    with pytest.raises(LookupError, match="here"):
        run_to_the_end(main())


def test_ctrl_c_is_a_keyboard_interrupt() -> None:
    async def main() -> None:
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(3600)

    with pytest.raises(KeyboardInterrupt):
        run_to_the_end(main())
