"""The connections to one server of Redis: calls in time, and failures in words of ours."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, Final, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    BusyLoadingError,
    ClusterDownError,
    InvalidResponse,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from worker.forgiving_timers import in_time
from worker.ordering.store_protocol import StoreUnavailable

REDIRECTIONS: Final = (MovedError, AskError, TryAgainError)
"""What a node of a cluster answers about a slot that it has not, or not alone."""
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
    "CLUSTERDOWN": "says CLUSTERDOWN: a master is away, or a slot has none. With "
    "cluster-require-full-coverage no the other masters go on; most of them must see each other",
}
"""By Redis's code: what an operator has to mend."""
_CLASSES: Final[dict[type, str]] = {
    OutOfMemoryError: "OOM",
    ReadOnlyError: "READONLY",
    AuthenticationError: "WRONGPASS",
    AuthenticationWrongNumberOfArgsError: "WRONGPASS",
    NoPermissionError: "NOPERM",
    BusyLoadingError: "LOADING",
    ClusterDownError: "CLUSTERDOWN",
}

Execute = Callable[..., Awaitable[Any]]
"""Has a server execute a command, given as its words."""
Work = Callable[[Execute], Awaitable[Any]]
"""What is to be done with a server in one call, by one command or a few."""
_Answer = TypeVar("_Answer")


class RedisServer:
    """One server of Redis, at `url`, which failures call `name`. `timeout_seconds` bounds each call
    as a whole, connecting included.

    Raises ValueError, without the URL in its text, for a URL that can't be used.
    """

    def __init__(
        self, url: str, timeout_seconds: float, max_connections: int, name: str = "Redis"
    ) -> None:
        self._client = _client(url, timeout_seconds, max_connections)
        self._name = name
        self._timeout_seconds = timeout_seconds
        self._no_answer = f"{name} did not answer within {timeout_seconds:g} s"
        self._free = asyncio.Semaphore(max_connections)
        self._failures = 0

    def call(self, work: Work) -> Coroutine[Any, Any, Any]:
        """What comes of `work` at this server of Redis. Its time begins when there is a connection
        for it: that many calls wait for others of ours is no fault of Redis. When one has had no
        answer, those that waited behind it have none, too.

        Raises `StoreUnavailable`, and the `REDIRECTIONS`.
        """
        return self._bounded(partial(work, self._client.execute_command))

    def call_asking(self, work: Work) -> Coroutine[Any, Any, Any]:
        """As `call`, where another node of Redis has said so of a slot that is under way to this
        one.
        """

        async def execute(*words: Any) -> Any:
            async with self._client.pipeline(transaction=False) as both:
                both.execute_command("ASKING")
                both.execute_command(*words)
                return (await both.execute())[1]

        return self._bounded(partial(work, execute))

    async def close(self) -> None:
        """Close all connections to Redis; trouble while closing is no trouble any more."""
        try:
            await self._bounded(self._client.aclose)
        except StoreUnavailable:
            return

    async def _bounded(self, work: Callable[[], Awaitable[_Answer]]) -> _Answer:
        no_answer = self._no_answer
        failures = self._failures
        async with self._free:
            if self._failures != failures:
                raise StoreUnavailable(no_answer)
            try:
                async with in_time(self._timeout_seconds):
                    return await work()
            except (TimeoutError, RedisTimeoutError):
                self._failures += 1
                raise StoreUnavailable(no_answer) from None
            except REDIRECTIONS:
                raise
            except _TROUBLE as error:
                raise StoreUnavailable(f"{self._name} {_problem(error)}") from None


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
    if isinstance(error, InvalidResponse):
        return "answers as no Redis does; CONSENT_WORKER_STATE_URL may name another service's port"
    if isinstance(error, ResponseError) and "DB index is out of range" in str(error):
        return "has no database of this number; CONSENT_WORKER_STATE_URL ends with it"
    if isinstance(error, RedisConnectionError | OSError):
        return "can't be reached, or has ended the connection"
    return f"can't be used ({type(error).__name__})"
