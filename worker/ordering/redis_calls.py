"""Calls of Redis: in time, only with an admitted secret, and with failures in words of ours."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Any, Final

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    BusyLoadingError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from worker.forgiving_timers import in_time
from worker.ordering.redis_secret import GUESSABLE, SecretRefused, admit, restore
from worker.ordering.store_protocol import StoreUnavailable
from worker.ordering.user_digests import Marks


class Script:
    """Called by its digest; `text` is sent only to a Redis that doesn't know it yet. `rotating` is
    for users with two digests, who have four keys each.
    """

    def __init__(self, name: str, *, rotating: bool = False) -> None:
        self.text = files("worker.ordering").joinpath(name).read_text("utf-8")
        if rotating:
            self.text = self.text.replace("local STRIDE = 2", "local STRIDE = 4")
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


log = structlog.get_logger(__name__)

_TROUBLE: Final = (RedisError, OSError, EOFError, ValueError)
"""What a call can end with: Redis's answer, the line, a cut in the middle of an answer, and an
answer that isn't what our scripts write. asyncio's TimeoutError is an OSError."""
_REFUSALS: Final = {
    "OOM": "is out of memory and refuses writes; raise maxmemory",
    "READONLY": "is a read-only replica; CONSENT_WORKER_STATE_URL must lead to the primary",
    "MISCONF": "can't save to its disk and refuses writes",
    "NOREPLICAS": "has too few replicas and refuses writes",
    "WRONGPASS": "refuses the user or the password of CONSENT_WORKER_STATE_URL",
    "NOAUTH": "asks for a password; write it into CONSENT_WORKER_STATE_URL",
    "NOPERM": "refuses a command to this user; see docs/ordering.md for the rights",
    "LOADING": "is still loading its data",
}
"""By Redis's code: what an operator has to mend."""
_CLASSES: Final[dict[type, str]] = {
    OutOfMemoryError: "OOM",
    ReadOnlyError: "READONLY",
    AuthenticationError: "WRONGPASS",
    AuthenticationWrongNumberOfArgsError: "WRONGPASS",
    NoPermissionError: "NOPERM",
    BusyLoadingError: "LOADING",
}


class RedisCalls:
    """The connections of one `RedisStore`, which describes the arguments. Every method raises
    `StoreUnavailable`.

    Raises ValueError, without the URL in its text, for a URL that can't be used.
    """

    def __init__(
        self,
        url: str,
        namespace: str,
        timeout_seconds: float,
        max_connections: int,
        marks: Marks | None,
    ) -> None:
        self.client = _client(url, timeout_seconds, max_connections)
        self._namespace = namespace
        self._timeout_seconds = timeout_seconds
        self._marks = marks
        self._is_admitted = marks is None
        self._free = asyncio.Semaphore(max_connections)
        self._failures = 0
        self.digests_are_guessable = False
        """Whether the namespace is used without a secret."""

    async def admit(self) -> None:
        """See `RedisStore.admit`. Raises `SecretRefused` as well."""
        if self._is_admitted or self._marks is None:
            return
        marks = self._marks
        await self._call(lambda: admit(self.client, self._namespace, marks))
        if self._is_admitted:
            return  # by another call meanwhile
        self._is_admitted = True
        self.digests_are_guessable = not marks.is_keyed
        if self.digests_are_guessable:
            log.error("ordering.guessable_digests", detail=GUESSABLE)

    async def admit_or_wait(self) -> None:
        """Before each call, since Redis may be away at the start."""
        try:
            await self.admit()
        except SecretRefused as refused:
            raise StoreUnavailable(f"CONSENT_WORKER_ORDERING_SECRET {refused}") from None

    async def keep_mark(self) -> None:
        """Write the mark of the secret again where it is gone, as when Redis has lost its data."""
        if self._marks is not None:
            marks = self._marks
            await self._call(lambda: restore(self.client, self._namespace, marks))

    async def close(self) -> None:
        """Close all connections; trouble while closing is no trouble any more."""
        try:
            await self._call(self.client.aclose)
        except StoreUnavailable:
            return

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[str | int]) -> Any:
        """What the script answers."""
        await self.admit_or_wait()

        async def run() -> Any:
            rest = (*keys, *arguments)
            try:
                return await self.client.evalsha(script.sha, len(keys), *rest)
            except NoScriptError:
                return await self.client.eval(script.text, len(keys), *rest)

        return await self._call(run)

    async def _call(self, work: Callable[[], Any]) -> Any:
        """Its time begins when there is a connection for it: that many calls wait for others of
        ours is no fault of Redis. When one has had no answer, those that waited behind it have
        none, too.
        """
        no_answer = f"Redis did not answer within {self._timeout_seconds:g} s"
        failures = self._failures
        async with self._free:
            if self._failures != failures:
                raise StoreUnavailable(no_answer)
            return await self._call_now(work, no_answer)

    async def _call_now(self, work: Callable[[], Any], no_answer: str) -> Any:
        try:
            async with in_time(self._timeout_seconds):
                return await work()
        except (TimeoutError, RedisTimeoutError):
            self._failures += 1
            raise StoreUnavailable(no_answer) from None
        except SecretRefused:
            raise
        except _TROUBLE as error:
            raise StoreUnavailable(f"Redis {_problem(error)}") from None


def _client(url: str, timeout_seconds: float, max_connections: int) -> Redis:
    try:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=max_connections,
            timeout=None,  # there is one: calls wait for each other before
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
    if code is not None:
        return _REFUSALS[code]
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "shows a certificate that is not trusted, or is another host's"
    if isinstance(error, RedisConnectionError | OSError):
        return "can't be reached, or has ended the connection"
    return f"can't be used ({type(error).__name__})"
