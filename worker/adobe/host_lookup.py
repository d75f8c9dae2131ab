"""Looks host names up, each in a thread of its own: a name that does not resolve holds nobody else.

The loop's own threads are few and shared by all customers. A name server that does not answer holds
one for ten seconds and more (glibc: five seconds, twice, for each search domain), also after the
attempt that asked was given up, and keeps a process from ending.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from aiohttp.abc import AbstractResolver, ResolveResult

MOST_LOOKUPS: Final = 256
"""Threads at once, for as many names that do not resolve; a name beyond that is tried again later,
as after any connection that fails."""

LookUp = Callable[..., list[tuple[Any, Any, Any, Any, Any]]]


class HostLookup(AbstractResolver):
    """Looks a host name up once for all that ask meanwhile. `look_up` is `socket.getaddrinfo`, or
    like it.
    """

    def __init__(self, look_up: LookUp = socket.getaddrinfo) -> None:
        self._look_up = look_up
        self._under_way: dict[tuple[str, int], asyncio.Future[list[Any]]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of `host`. Raises OSError when there is none, too many are looked up,
        or the machine has no thread for it."""
        key = host, int(family)
        asked = self._under_way.get(key)
        if asked is None:
            asked = self._ask(key)
        # Shielded: who gives up must not take the answer from the others.
        found = await asyncio.shield(asked)
        return [
            ResolveResult(
                hostname=host,
                host=address[0],
                port=port,
                family=of_family,
                proto=proto,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for of_family, _, proto, _, address in found
        ]

    async def close(self) -> None:
        """A look-up of a host name under way ends by itself, or with the process."""

    def _ask(self, key: tuple[str, int]) -> asyncio.Future[list[Any]]:
        if len(self._under_way) >= MOST_LOOKUPS:
            raise OSError("too many host names are being looked up without an answer")
        loop = asyncio.get_running_loop()
        asked: asyncio.Future[list[Any]] = loop.create_future()
        thread = threading.Thread(
            target=self._run, args=(key, loop, asked), name="host-lookup", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # or whoever asks next would wait for what nobody looks up
            raise OSError("the machine starts no thread to look host names up") from None
        self._under_way[key] = asked
        asked.add_done_callback(lambda done: self._answered(key, done))
        return asked

    def _answered(self, key: tuple[str, int], done: asyncio.Future[list[Any]]) -> None:
        del self._under_way[key]
        done.cancelled() or done.exception()  # asked for, or asyncio would complain

    def _run(
        self,
        key: tuple[str, int],
        loop: asyncio.AbstractEventLoop,
        asked: asyncio.Future[list[Any]],
    ) -> None:
        host, family = key
        try:
            found = self._look_up(
                host, None, type=socket.SOCK_STREAM, family=family, flags=socket.AI_ADDRCONFIG
            )
        except (OSError, UnicodeError) as error:
            tell = partial(_fail, asked, error)
        else:
            tell = partial(_answer, asked, found)
        try:
            loop.call_soon_threadsafe(tell)
        except RuntimeError:
            return  # the loop is closed: nobody waits for it


def _answer(asked: asyncio.Future[list[Any]], found: list[Any]) -> None:
    if not asked.done():
        asked.set_result(found)


def _fail(asked: asyncio.Future[list[Any]], error: Exception) -> None:
    if not asked.done():
        asked.set_exception(OSError(f"the host name can't be looked up: {type(error).__name__}"))
