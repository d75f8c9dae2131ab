"""The state of newest-wins in Redis, shared by a fleet of workers.

For one user at one integration there are two keys, in Redis's own form so that an operator can read
them: `NAMESPACE:{INTEGRATION}:USER`, a hash of path → encoded stamp that expires after the
retention, with the text beside a stamp at `=` and its path; and the same with `:busy`, a string
that is there while the user is not free. What is in braces is the hash tag: all keys of one call
are on one node of a cluster.

Each method is one script, and Redis runs a script whole or not at all. The clock is that of Redis,
through the expiry of keys, so the workers' clocks need not agree.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Final

from worker.ordering.local_holds import Holds
from worker.ordering.redis_call_sizes import claiming_weight, portions, settling_weight
from worker.ordering.redis_calls import RedisCalls, Script
from worker.ordering.redis_cluster import ClusterServers
from worker.ordering.redis_month_keys import RedisMonthKeys
from worker.ordering.redis_namespace import RedisEpochs, RedisInlets, RedisStateIds
from worker.ordering.redis_server import RedisServer
from worker.ordering.redis_servers import OneServer
from worker.ordering.redis_values import RedisValues, as_text, latest_ms
from worker.ordering.redis_witnesses import ClusterEpochs
from worker.ordering.store_protocol import (
    ERASED,
    REMEMBERED_AT_MOST,
    REMEMBERED_CHARACTERS,
    Claim,
    Contended,
    Granted,
    Settlement,
    StoreUnavailable,
    Timing,
    to_ms,
    tombstone,
)
from worker.ordering.user_digests import Marks, both_digests
from worker.settings.redis_urls import redis_urls

_NAMESPACE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_BEGIN: Final = Script("begin.lua"), Script("begin.lua", rotating=True)
_SETTLE: Final = Script("settle.lua"), Script("settle.lua", rotating=True)
_ERASE: Final = Script("erase.lua")
_INTEGRATIONS: Final = Script("integrations.lua")
_SENT, _LASTS, _HAS_TEXTS, _IS_PART = 1, 2, 4, 8
"""Flags of a settlement, see settle.lua."""


class RedisStore:
    """The store on Redis of one owner of leases; every worker of the fleet has its own.

    `url` is redis:// or rediss:// (TLS) with its credentials; redis-py's options may follow as a
    query, such as `?ssl_ca_certs=/path`. A cluster is redis+cluster:// or rediss+cluster://, with
    some of its nodes. `timeout_seconds` bounds each call as a whole, connecting
    included. `clock` is monotonic and only times what this process itself holds. `marks` are those
    of the secrets by which users are called, to be looked at before all else; None looks at none.

    Raises ValueError, without the URL in its text, for a URL or a namespace that can't be used.
    """

    is_shared = True
    """By all workers of the fleet."""

    def __init__(
        self,
        url: str,
        timing: Timing,
        *,
        namespace: str = "consent",
        timeout_seconds: float = 2.0,
        max_connections: int = 8,
        clock: Callable[[], float] = time.monotonic,
        marks: Marks | None = None,
    ) -> None:
        if not _NAMESPACE.fullmatch(namespace):
            raise ValueError("the namespace must be letters, digits, dots, dashes and underscores")
        self.timing = timing
        self._namespace = namespace
        self._owner = secrets.token_hex(8)
        self._held = Holds(timing.lease_seconds, clock)
        self._values = RedisValues(clock, marks)
        self._servers = servers = _servers(url, timeout_seconds, max_connections)
        self._calls = RedisCalls(servers, namespace, marks)
        run, shared_key = self._calls.run, partial(servers.shared_key, namespace)
        self.epochs: RedisEpochs = (
            ClusterEpochs(run, servers, namespace)
            if isinstance(servers, ClusterServers)
            else RedisEpochs(run, shared_key("epoch"))
        )
        self.inlets = RedisInlets(run, shared_key("inlets"))
        self.state_ids = RedisStateIds(run, shared_key("states"))
        self.month_keys = RedisMonthKeys(run, shared_key("month-keys"))
        self._integrations_key = shared_key("integrations")
        self.part_of = servers.part_of

    @property
    def parts(self) -> Sequence[str]:
        """See `NewestStore`."""
        return self._servers.parts

    @property
    def shared_part(self) -> str:
        """See `NewestStore`."""
        return self._servers.shared_part

    @property
    def unreadable_values(self) -> int:
        """How many values stored in Redis could not be read since the start."""
        return self._values.unreadable

    @property
    def digests_are_guessable(self) -> bool:
        """Whether the namespace on Redis is used without a secret."""
        return self._calls.digests_are_guessable

    async def begin(self, state_id: str, claims: Sequence[Claim]) -> list[Granted | Contended]:
        """See `NewestStore`."""
        lease = self._held.new_lease()
        known = [self._held.take(state_id, one.user, lease) for one in claims]
        asked = [claim for claim, held in zip(claims, known, strict=True) if held is None]
        users = {one.user for one in asked}
        try:
            answers = await self._ask(state_id, lease, asked)
        except BaseException:
            self._held.let_go(state_id, users, lease)
            raise
        pairs = zip(asked, answers, strict=True)
        granted = {claim.user for claim, answer in pairs if isinstance(answer, Granted)}
        self._held.let_go(state_id, users - granted, lease)
        rest = iter(answers)
        return [next(rest) if one is None else one for one in known]

    async def settle(
        self, state_id: str, settlements: Sequence[Settlement], gap_seconds: float
    ) -> None:
        """See `NewestStore`."""
        for some in portions(settlements, settling_weight):
            arguments: list[str | int] = [self._owner, to_ms(gap_seconds)]
            arguments += (to_ms(self.timing.retention_seconds), latest_ms())
            for _, lease, written, sent, texts, lasts, is_part in some:
                flags = sent * _SENT + lasts * _LASTS + (texts is not None) * _HAS_TEXTS
                flags += is_part * _IS_PART
                arguments += (lease, flags, len(written))
                for path, stamp in written.items():
                    arguments += (path, stamp.encode())
                    if texts is not None:
                        arguments.append(texts.get(path, ""))
            keys, is_rotating = self._keys(state_id, [one.user for one in some])
            await self._calls.run(_SETTLE[is_rotating], keys, arguments)
            for one in some:
                self._held.let_go(state_id, [one.user], one.lease)

    async def erase(self, state_id: str, user: str, before_ms: int, kept_seconds: float) -> None:
        """See `NewestStore`."""
        keys, _ = self._keys(state_id, [user])
        arguments = (ERASED, tombstone(before_ms).encode(), to_ms(kept_seconds))
        await self._calls.run(_ERASE, keys[::2], arguments)

    async def remember_integrations(
        self, integrations: Collection[str], for_seconds: float
    ) -> None:
        """See `NewestStore`."""
        names = [one for one in integrations if len(one) <= REMEMBERED_CHARACTERS]
        if names:
            arguments: list[str | int] = [to_ms(for_seconds), REMEMBERED_AT_MOST, *names]
            await self._calls.run(_INTEGRATIONS, [self._integrations_key], arguments)

    async def remembered_integrations(self) -> set[str]:
        """See `NewestStore`."""
        found = await self._calls.run(_INTEGRATIONS, [self._integrations_key], (0, 0))
        return {as_text(one) for one in found}

    async def ping(self, part: str = "") -> None:
        """See `NewestStore`. By a script, as all else here, so the rights are looked at as well."""
        await self._calls.ping(part, self._owner)

    async def admit(self) -> None:
        """Find out whether the ordering secret may be used with this namespace; until then nothing
        is granted. Raises `SecretRefused` if not.
        """
        await self._calls.admit()

    async def close(self) -> None:
        """See `NewestStore`."""
        await self._servers.close()

    async def _ask(
        self, state_id: str, lease: int, claims: Sequence[Claim]
    ) -> list[Granted | Contended]:
        answers: list[Granted | Contended] = []
        for some in portions(claims, claiming_weight):
            arguments: list[str | int] = [self._owner, lease, to_ms(self.timing.lease_seconds)]
            for _, attributes, texts in some:
                arguments += (len(attributes) + len(texts), *attributes)
                if texts:
                    arguments += [f"={path}" for path in texts]
            keys, is_rotating = self._keys(state_id, [one.user for one in some])
            found = await self._calls.run(_BEGIN[is_rotating], keys, arguments)
            try:
                answers += [
                    self._values.granted(lease, claim, values)
                    if is_granted
                    else _contended(*values)
                    for claim, (is_granted, *values) in zip(some, found, strict=True)
                ]
            except ValueError:
                raise StoreUnavailable("Redis holds a value that this version can't read") from None
        return answers

    def _keys(self, state_id: str, users: Sequence[str]) -> tuple[list[str], bool]:
        """The keys of `users`, and whether these have two digests, and so twice as many."""
        keys: list[str] = []
        is_rotating = all(both_digests(user)[1] for user in users)
        for user in users:
            for digest in both_digests(user)[: 1 + is_rotating]:
                key = f"{self._namespace}:{{{state_id}}}:{digest}"
                keys += (key, f"{key}:busy")
        return keys, is_rotating


def _servers(url: str, timeout_seconds: float, most: int) -> OneServer | ClusterServers:
    """Those of `url`, with `most` connections to each."""
    try:
        urls = redis_urls(url)
    except ValueError as mistake:
        raise ValueError(f"the URL of Redis {mistake}") from None
    if urls.is_cluster:
        return ClusterServers(urls, timeout_seconds, most)
    return OneServer(RedisServer(url, timeout_seconds, most))


def _contended(wait_ms: int, is_held: int) -> Contended:
    return Contended(max(wait_ms, 0) / 1000, bool(is_held))
