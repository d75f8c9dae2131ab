"""Calls of Redis: by scripts, and only with an admitted secret."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import Any, Final

import structlog
from redis.exceptions import NoScriptError

from worker.ordering.redis_secret import admit, restore
from worker.ordering.redis_server import Execute
from worker.ordering.redis_servers import Servers
from worker.ordering.secret_marks import GUESSABLE, SecretRefused
from worker.ordering.store_protocol import StoreUnavailable
from worker.ordering.user_digests import Marks

log = structlog.get_logger(__name__)


class Script:
    """A script of Redis, called by its digest; `text` is sent only to a Redis that doesn't know it
    yet. `rotating` is for users with two digests, who have four keys each.
    """

    def __init__(self, name: str, *, rotating: bool = False) -> None:
        self.text = files("worker.ordering").joinpath(name).read_text("utf-8")
        if rotating:
            self.text = self.text.replace("local STRIDE = 2", "local STRIDE = 4")
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


_PING: Final = Script("ping.lua")
_PING_MS: Final = 60_000
_PING_TRIES: Final = 3


class RedisCalls:
    """The calls of one `RedisStore`, which describes the arguments. Every method that waits raises
    `StoreUnavailable`.
    """

    def __init__(self, servers: Servers, namespace: str, marks: Marks | None) -> None:
        self.servers = servers
        self._namespace = namespace
        self._marks = marks
        self._is_checked = False
        self._is_admitted = marks is None
        self.digests_are_guessable = False
        """Whether the namespace is used without a secret."""

    async def admit(self) -> None:
        """See `RedisStore.admit`. Raises `SecretRefused` as well."""
        if not self._is_checked:
            await self.servers.check(self._namespace)
            self._is_checked = True
        if self._is_admitted or self._marks is None:
            return
        marks = self._marks
        await admit(self.servers, self._namespace, marks)
        if self._is_admitted:
            return  # by another call meanwhile
        self._is_admitted = True
        self.digests_are_guessable = not marks.is_keyed
        if self.digests_are_guessable:
            log.error("ordering.guessable_digests", detail=GUESSABLE)

    async def admit_or_wait(self) -> None:
        """Look at the secret before each call of Redis, which may have been away at the start."""
        try:
            await self.admit()
        except SecretRefused as refused:
            raise StoreUnavailable(f"CONSENT_WORKER_ORDERING_SECRET {refused}") from None

    async def keep_mark(self) -> None:
        """Write the mark of the secret again where it is gone, as when Redis has lost its data."""
        if self._marks is not None:
            await restore(self.servers, self._namespace, self._marks)

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[str | int]) -> Any:
        """What Redis answers to the script. All `keys` are in one slot."""
        if not (self._is_admitted and self._is_checked):
            await self.admit_or_wait()

        async def run(execute: Execute) -> Any:
            rest = (len(keys), *keys, *arguments)
            try:
                return await execute("EVALSHA", script.sha, *rest)
            except NoScriptError:
                return await execute("EVAL", script.text, *rest)

        return await self.servers.run(keys[0], run)

    async def ping(self, part: str, value: str) -> None:
        """Return if `part` of Redis takes writes. Nothing to do where it is no part any more.

        A slot that is under way to a master that is away shows by the failure itself, and is not of
        this part any more: then the part is asked by another slot.
        """
        await self.admit_or_wait()
        for tries_left in reversed(range(_PING_TRIES)):
            asked = self._asked_of(part)
            key, is_shared = asked
            if key is None:
                return
            try:
                if is_shared:
                    await self.keep_mark()
                await self.run(_PING, [key], (value, _PING_MS))
            except StoreUnavailable:
                if not tries_left or self._asked_of(part) == asked:
                    raise
            else:
                return

    def _asked_of(self, part: str) -> tuple[str | None, bool]:
        """The key by which a part is asked, and whether it has what all integrations share."""
        servers = self.servers
        return servers.key_in(part, self._namespace, "ping"), part == servers.shared_part
