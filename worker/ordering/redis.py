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
from typing import Any, Final

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, OutOfMemoryError, ReadOnlyError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from worker.ordering.holds import Holds
from worker.ordering.redis_epoch import RedisEpochs
from worker.ordering.redis_inlets import RedisInlets
from worker.ordering.redis_state_ids import RedisStateIds
from worker.ordering.script import Script
from worker.ordering.secret import GUESSABLE, SecretRefused, admit, restore
from worker.ordering.stamp import Stamp
from worker.ordering.store import (
    ERASED,
    REMEMBERED_AT_MOST,
    REMEMBERED_CHARACTERS,
    UNCLEAR,
    Claim,
    Contended,
    Granted,
    Settlement,
    StoreUnavailable,
    Timing,
    to_ms,
    tombstone,
)
from worker.ordering.unclear import merged
from worker.ordering.users import Marks, both_digests
from worker.patience import in_time

log = structlog.get_logger(__name__)

_NAMESPACE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TELL_AGAIN_SECONDS: Final = 60.0
_LATEST_SECONDS: Final = 2 * 86_400.0
"""How far ahead a stamp may be: events of more than five minutes ahead wait, and no worker's clock
is days off."""
_TROUBLE: Final = (RedisError, OSError, EOFError, ValueError)
"""What a call can end with: Redis's answer, the line, a cut in the middle of an answer, and an
answer that isn't what our scripts write. asyncio's TimeoutError is an OSError."""


_BEGIN: Final = Script("begin.lua"), Script("begin.lua", rotating=True)
_SETTLE: Final = Script("settle.lua"), Script("settle.lua", rotating=True)
_ERASE: Final = Script("erase.lua")
_INTEGRATIONS: Final = Script("integrations.lua")
_PING: Final = Script("ping.lua")
_PING_MS: Final = 60_000
_SENT, _LASTS, _HAS_TEXTS = 1, 2, 4
"""Flags of a settlement, see settle.lua."""
_REFUSALS: Final = {
    "OOM": "is out of memory and refuses writes; raise maxmemory",
    "READONLY": "is a read-only replica; CONSENT_WORKER_STATE_URL must lead to the primary",
    "MISCONF": "can't save to its disk and refuses writes",
    "NOREPLICAS": "has too few replicas and refuses writes",
}
"""By Redis's code: what an operator has to mend."""
_CLASSES: Final[dict[type, str]] = {OutOfMemoryError: "OOM", ReadOnlyError: "READONLY"}


class RedisStore:
    """One of these is one owner of leases; every worker of the fleet has its own.

    `url` is redis:// or rediss:// (TLS) with its credentials; redis-py's options may follow as a
    query, such as `?ssl_ca_certs=/path`. `timeout_seconds` bounds each call as a whole, connecting
    included. `clock` is monotonic and only times what this process itself holds. `marks` are those
    of the secrets by which users are called, to be looked at before all else; None looks at none.

    Raises ValueError, without the URL in its text, for a URL or a namespace that can't be used.
    """

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
        self._timing = timing
        self._namespace = namespace
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._owner = secrets.token_hex(8)
        self._held = Holds(timing.lease_seconds, clock)
        self.unreadable_values = 0
        """How many stored values could not be read since the start."""
        self._told_unreadable_at = -_TELL_AGAIN_SECONDS
        self._client = _client(url, timeout_seconds, max_connections)
        self._marks = marks
        self._is_admitted = marks is None
        self.digests_are_guessable = False
        """Whether the namespace is used without a secret."""
        self.epochs = RedisEpochs(self._run, namespace)
        self.inlets = RedisInlets(self._run, namespace)
        self.state_ids = RedisStateIds(self._run, namespace)

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
        if not settlements:
            return
        arguments: list[str | int] = [
            self._owner,
            to_ms(gap_seconds),
            to_ms(self._timing.retention_seconds),
        ]
        arguments.append(self._latest_ms())
        for _, lease, written, sent, texts, lasts in settlements:
            flags = sent * _SENT + lasts * _LASTS + (texts is not None) * _HAS_TEXTS
            arguments += (lease, flags, len(written))
            for path, stamp in written.items():
                arguments += (path, stamp.encode())
                if texts is not None:
                    arguments.append(texts.get(path, ""))
        keys, is_rotating = self._keys(state_id, [one.user for one in settlements])
        await self._run(_SETTLE[is_rotating], keys, arguments)
        for one in settlements:
            self._held.let_go(state_id, [one.user], one.lease)

    async def erase(self, state_id: str, user: str, before_ms: int, kept_seconds: float) -> None:
        """See `NewestStore`."""
        keys, _ = self._keys(state_id, [user])
        arguments = (ERASED, tombstone(before_ms).encode(), to_ms(kept_seconds))
        await self._run(_ERASE, keys[::2], arguments)

    async def remember_integrations(
        self, integrations: Collection[str], for_seconds: float
    ) -> None:
        """See `NewestStore`."""
        names = [one for one in integrations if len(one) <= REMEMBERED_CHARACTERS]
        if names:
            arguments: list[str | int] = [to_ms(for_seconds), REMEMBERED_AT_MOST, *names]
            await self._run(_INTEGRATIONS, [self._integrations_key], arguments)

    async def remembered_integrations(self) -> set[str]:
        """See `NewestStore`."""
        found = await self._run(_INTEGRATIONS, [self._integrations_key], (0, 0))
        return {_text(one) for one in found}

    @property
    def _integrations_key(self) -> str:
        return f"{self._namespace}:integrations"

    async def ping(self) -> None:
        """See `NewestStore`. By a script, as all else here, so the rights are looked at as well."""
        await self._admit_or_wait()
        if self._marks is not None:  # a Redis that has lost its data has lost the mark as well
            marks = self._marks
            await self._call(lambda: restore(self._client, self._namespace, marks))
        await self._run(_PING, [f"{self._namespace}:ping"], (self._owner, _PING_MS))

    async def admit(self) -> None:
        """Find out whether the secret may be used with this namespace; until then nothing is
        granted. Raises `SecretRefused` if not.
        """
        if self._is_admitted or self._marks is None:
            return
        marks = self._marks
        await self._call(lambda: admit(self._client, self._namespace, marks))
        if self._is_admitted:
            return  # by another call meanwhile
        self._is_admitted = True
        self.digests_are_guessable = not marks.is_keyed
        if self.digests_are_guessable:
            log.error("ordering.guessable_digests", detail=GUESSABLE)

    async def _admit_or_wait(self) -> None:
        """Also later, since Redis may be away at the start."""
        try:
            await self.admit()
        except SecretRefused as refused:
            raise StoreUnavailable(f"CONSENT_WORKER_ORDERING_SECRET {refused}") from None

    async def close(self) -> None:
        """See `NewestStore`; trouble while closing is no trouble any more."""
        try:
            await self._call(self._client.aclose)
        except StoreUnavailable:
            return

    async def _ask(
        self, state_id: str, lease: int, claims: Sequence[Claim]
    ) -> list[Granted | Contended]:
        if not claims:
            return []
        arguments: list[str | int] = [self._owner, lease, to_ms(self._timing.lease_seconds)]
        for _, attributes, texts in claims:
            arguments += (len(attributes) + len(texts), *attributes)
            if texts:
                arguments += [f"={path}" for path in texts]
        keys, is_rotating = self._keys(state_id, [one.user for one in claims])
        answers = await self._run(_BEGIN[is_rotating], keys, arguments)
        try:
            return [
                self._granted(lease, claim, values) if is_granted else _contended(*values)
                for claim, (is_granted, *values) in zip(claims, answers, strict=True)
            ]
        except ValueError:
            raise StoreUnavailable("Redis holds a value that this version can't read") from None

    def _granted(self, lease: int, claim: Claim, values: Sequence[bytes | None]) -> Granted:
        """A value that can't be read counts as unknown: it concerns that attribute alone. During a
        rotation of the secret each attribute has two, of which the newer counts.
        """
        if claim.texts:
            return self._granted_with_texts(lease, claim, values)
        stored: dict[str, Stamp] = {}
        is_damaged = False
        latest_ms = self._latest_ms()
        paths = list(claim.attributes)
        if len(values) == 2 * len(paths):
            paths *= 2
        for path, value in zip(paths, values, strict=True):
            if value is None:
                continue
            try:
                stamp = Stamp.decode(_text(value))
                if stamp.time_ms > latest_ms:
                    raise ValueError("of the future")
            except ValueError:
                is_damaged = True
                self._tell_unreadable(claim.user)
            else:
                known = stored.get(path, stamp)
                stored[path] = merged(stamp, known) if path == UNCLEAR else max(stamp, known)
        return Granted(lease, stored, is_damaged=is_damaged)

    def _granted_with_texts(
        self, lease: int, claim: Claim, values: Sequence[bytes | None]
    ) -> Granted:
        """During a rotation the text of the stamp that counts."""
        of_stamps, size = len(claim.attributes), len(claim.attributes) + len(claim.texts)
        stamps_alone = claim._replace(texts=())
        stored: dict[str, Stamp] = {}
        texts: dict[str, str] = {}
        is_damaged = False
        for first in range(0, len(values), size):
            part = self._granted(lease, stamps_alone, values[first : first + of_stamps])
            found, is_damaged = part.stored, is_damaged or part.is_damaged
            said = values[first + of_stamps : first + size]
            for path, text in zip(claim.texts, said, strict=True):
                if path not in stored or found.get(path, stored[path]) > stored[path]:
                    texts.pop(path, None)
                    if text:
                        texts[path] = _text(text)
            for path, stamp in found.items():
                known = stored.get(path, stamp)
                stored[path] = merged(stamp, known) if path == UNCLEAR else max(stamp, known)
        return Granted(lease, stored, texts, is_damaged)

    def _tell_unreadable(self, user: str) -> None:
        self.unreadable_values += 1
        now = self._clock()
        if now >= self._told_unreadable_at + _TELL_AGAIN_SECONDS:
            self._told_unreadable_at = now
            log.error(
                "ordering.unreadable_value",
                user=user,
                detail="a value in Redis can't be read and counts as unknown: an older choice of "
                "this user may be sent once more; a whole record is sent after a look-up, or waits",
            )

    @staticmethod
    def _latest_ms() -> int:
        """No choice of ours is of a later time than this: events of the future wait."""
        return to_ms(time.time() + _LATEST_SECONDS)

    def _keys(self, state_id: str, users: Sequence[str]) -> tuple[list[str], bool]:
        """The keys of `users`, and whether these have two digests, and so twice as many."""
        keys: list[str] = []
        is_rotating = all(both_digests(user)[1] for user in users)
        for user in users:
            for digest in both_digests(user)[: 1 + is_rotating]:
                key = f"{self._namespace}:{{{state_id}}}:{digest}"
                keys += (key, f"{key}:busy")
        return keys, is_rotating

    async def _run(
        self, script: Script, keys: Sequence[str], arguments: Sequence[str | int]
    ) -> Any:
        await self._admit_or_wait()

        async def run() -> Any:
            rest = (*keys, *arguments)
            try:
                return await self._client.evalsha(script.sha, len(keys), *rest)
            except NoScriptError:
                return await self._client.eval(script.text, len(keys), *rest)

        return await self._call(run)

    async def _call(self, work: Callable[[], Any]) -> Any:
        try:
            async with in_time(self._timeout_seconds):
                return await work()
        except (TimeoutError, RedisTimeoutError):
            text = f"Redis did not answer within {self._timeout_seconds:g} s"
            raise StoreUnavailable(text) from None
        except SecretRefused:
            raise
        except _TROUBLE as error:
            raise StoreUnavailable(f"Redis {_problem(error)}") from None


def _client(url: str, timeout_seconds: float, max_connections: int) -> Redis:
    try:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=max_connections,
            timeout=None,  # to wait for a free connection is part of the call, which is bounded
            # The bound of a call ends before: it forgives what the loop's own delays take.
            socket_timeout=3 * timeout_seconds,
            socket_connect_timeout=3 * timeout_seconds,
            # Whoever asked decides what a failure means; here nothing is sent twice unasked.
            retry=Retry(NoBackoff(), 0),
            encoding_errors="surrogatepass",
            # Our commands need nothing of RESP3, whose handshake older servers refuse.
            protocol=2,
            driver_info=None,
        )
        # Options in the URL are otherwise looked at only when the first connection is opened.
        pool.connection_class(**pool.connection_kwargs)
    except (RedisError, ValueError, TypeError) as error:
        raise ValueError(
            "the URL of Redis must be redis:// or rediss:// with host, port and number of the "
            f"database, and no unknown options ({type(error).__name__})"
        ) from None
    return Redis.from_pool(pool)


def _problem(error: Exception) -> str:
    """What is wrong, in words of ours: the text of somebody else may quote what it was given."""
    said = {word.strip("-@:") for word in str(error).split()}
    # redis-py takes the code off where it has a class for it; an older Redis says it later.
    kind = _CLASSES.get(type(error))
    code = kind or next((one for one in _REFUSALS if one in said), None)
    return _REFUSALS[code] if code else f"can't be used: {type(error).__name__}"


def _text(value: bytes) -> str:
    """Bytes that are no text can only be in an id. That of an event orders nothing but ties: the
    time before it still counts, here as in settle.lua.
    """
    try:
        return value.decode(errors="surrogatepass")
    except UnicodeDecodeError:
        return value.decode(errors="replace")


def _contended(wait_ms: int, is_held: int) -> Contended:
    return Contended(max(wait_ms, 0) / 1000, bool(is_held))
