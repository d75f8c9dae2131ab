"""Work in a thread that may never end."""

from __future__ import annotations

import pytest

from worker.integrations.thread_waits import in_thread


async def test_it_gives_what_the_work_gives() -> None:
    assert await in_thread(lambda: 7) == 7
    with pytest.raises(KeyError):
        await in_thread(lambda: {"b": 1}["a"])
