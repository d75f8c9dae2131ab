"""A host name that does not resolve holds up nobody but who needs it."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import pytest

from worker.adobe.host_lookup import MOST_LOOKUPS, HostLookup

ADDRESS = "192.0.2.7"
FOUND = [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (ADDRESS, 0))]


class Names:
    """A name server that answers nothing of `hang.test` until it is told to."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.asked: list[str] = []

    def look_up(self, host: str, *_: Any, **__: Any) -> list[Any]:
        self.asked.append(host)
        if host.endswith("hang.test"):
            self.answers.wait(60)
        if host == "none.test":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return FOUND


async def test_a_name_is_found_while_hundreds_of_others_hang() -> None:
    names = Names()
    lookup = HostLookup(names.look_up)
    hanging = [
        asyncio.create_task(lookup.resolve(f"e{number}.hang.test", 443))
        for number in range(MOST_LOOKUPS - 1)
    ]
    async with asyncio.timeout(30):
        [found] = await lookup.resolve("good.test", 443)
    assert (found["host"], found["port"], found["hostname"]) == (ADDRESS, 443, "good.test")
    assert not any(one.done() for one in hanging)
    names.answers.set()
    found_all = await asyncio.gather(*hanging)
    assert {one[0]["host"] for one in found_all} == {ADDRESS}


async def test_a_name_is_asked_for_once_and_who_gives_up_takes_it_from_nobody() -> None:
    names = Names()
    lookup = HostLookup(names.look_up)
    first, second = (asyncio.create_task(lookup.resolve("hang.test", 443)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    names.answers.set()
    assert (await second)[0]["host"] == ADDRESS
    assert names.asked == ["hang.test"]
    assert (await lookup.resolve("hang.test", 443))[0]["host"] == ADDRESS
    assert len(names.asked) == 2, "what was found is not kept here"


async def test_a_name_that_nobody_has_is_an_error_that_does_not_repeat_it() -> None:
    with pytest.raises(OSError, match="can't be looked up: gaierror") as failed:
        await HostLookup(Names().look_up).resolve("none.test", 443)
    assert "none.test" not in str(failed.value)


async def test_more_names_that_hang_than_there_are_threads_fail_at_once() -> None:
    names = Names()
    lookup = HostLookup(names.look_up)
    hanging = [
        asyncio.create_task(lookup.resolve(f"e{number}.hang.test", 443))
        for number in range(MOST_LOOKUPS)
    ]
    await asyncio.sleep(0)
    with pytest.raises(OSError, match="too many"):
        await lookup.resolve("one-more.hang.test", 443)
    names.answers.set()
    await asyncio.gather(*hanging)
    assert (await lookup.resolve("good.test", 443))[0]["host"] == ADDRESS
