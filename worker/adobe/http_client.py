"""The one place where HTTP is spoken with Adobe: bounded bodies, no redirects, no cookies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache, partial
from weakref import WeakKeyDictionary

import aiohttp
from aiohttp.abc import AbstractResolver, AbstractStreamWriter
from aiohttp.connector import Connection
from yarl import URL

from worker.adobe.attempt_deadline import Writing, being_watched, is_too_late
from worker.adobe.clock_offset import ClockOffset
from worker.adobe.endpoints import EndpointPolicy
from worker.adobe.failed_replies import sentence_of
from worker.adobe.guarded_resolver import resolver_for
from worker.adobe.reply_counts import ReplyCounts
from worker.adobe.response_bounds import Bounds, begin_asking, bounds_of, guard, line_of_rest
from worker.reasons import ErrorCode

MAX_BODY_BYTES = 65_536
BODY_BYTES_A_MESSAGE = 2048
"""Beyond that, for each message of a batch: Adobe may say something of each."""
CONNECT_TIMEOUT_SECONDS = 5.0


class ExchangeFailed(Exception):
    """No reply to a request came; `error` says how it failed. `is_unclear`: the request may have
    been carried out all the same, or may be later, and it changes something.
    """

    def __init__(self, error: ErrorCode, detail: str, *, is_unclear: bool) -> None:
        super().__init__(detail)
        self.error: ErrorCode = error
        self.detail = detail
        self.is_unclear = is_unclear


@dataclass(frozen=True, slots=True)
class RawReply:
    """A reply of HTTP; `body` holds no more bytes of what came than were asked for."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _Line:
    """The connection of one request: what its reply may bring, and what is known of it."""

    __slots__ = ("bounds", "was_reused", "writing")

    def __init__(self, bounds: Bounds, writing: Writing) -> None:
        self.bounds = bounds
        self.was_reused = False
        self.writing = writing


_line: ContextVar[_Line | None] = ContextVar("line", default=None)


def _line_here() -> _Line:
    """That of the request which is being made."""
    return _line.get() or _Line(bounds_of(MAX_BODY_BYTES), Writing())


class _Request(aiohttp.ClientRequest):
    """Is not written after the deadline of its attempt, and on no line that has brought something
    that nobody asked for.

    The head is written together with the body, by a task of its own, so each has its look.
    """

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        if is_too_late():
            raise TimeoutError
        line = _line_here()
        line.was_reused = guard(conn, line.bounds)
        if conn.protocol is None or conn.protocol.should_close:
            raise aiohttp.ServerDisconnectedError  # has brought what would be taken for the reply
        if not self.body and not begin_asking(conn):  # without a body it is written right here
            raise aiohttp.ServerDisconnectedError
        return await super().send(conn)

    async def write_bytes(
        self, writer: AbstractStreamWriter, conn: Connection, content_length: int | None = None
    ) -> None:
        error: Exception
        if is_too_late():
            error = TimeoutError()
        elif not begin_asking(conn):
            error = aiohttp.ServerDisconnectedError()
        else:
            _line_here().writing.awaits_answer = True  # the head goes with the body's first bytes
            await super().write_bytes(writer, conn, content_length)
            return
        if conn.protocol is not None:
            conn.protocol.set_exception(error)  # for who awaits the reply


@dataclass(frozen=True, slots=True)
class _Pool:
    """What belongs to a session: the time of one request in seconds, what is told of replies, and
    how to open a session with no connection yet, that is otherwise like this one.
    """

    total_timeout_seconds: float
    clock: ClockOffset
    replies: ReplyCounts
    open_fresh: Callable[[], aiohttp.ClientSession]


_pools: WeakKeyDictionary[aiohttp.ClientSession, _Pool] = WeakKeyDictionary()


def open_session(
    policy: EndpointPolicy,
    total_timeout_seconds: float,
    clock: ClockOffset | None = None,
    replies: ReplyCounts | None = None,
) -> aiohttp.ClientSession:
    """The connection pool of all requests to Adobe. One takes `total_timeout_seconds` at most;
    `clock` is told the `Date` of each reply, and `replies` its status.

    No bound is shared by customers: most have Adobe's one host, and each lane bounds its own.
    """
    open_fresh = partial(_open, resolver_for(policy))
    session = open_fresh()
    _pools[session] = _Pool(
        total_timeout_seconds, clock or ClockOffset(), replies or ReplyCounts(), open_fresh
    )
    return session


def _open(resolver: AbstractResolver) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=0, limit_per_host=0, resolver=resolver, ttl_dns_cache=60)
    return aiohttp.ClientSession(
        connector=connector,
        request_class=_Request,
        cookie_jar=aiohttp.DummyCookieJar(),
        # The time of a request is bounded by `exchange`: a second timer would cost each request.
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_SECONDS),
        trust_env=False,
        headers={"User-Agent": "consent-worker"},
    )


@lru_cache(maxsize=4096)
def _parsed(url: str) -> URL:
    """Of a thousand customers each has an endpoint of their own; yarl remembers the last 128."""
    try:
        return URL(url)
    except ValueError as error:
        raise aiohttp.InvalidUrlClientError(url) from error


async def exchange(
    session: aiohttp.ClientSession,
    method: str,
    url: str | URL,
    *,
    headers: Mapping[str, str] | None = None,
    params: Mapping[str, str] | None = None,
    data: bytes | Mapping[str, str] | None = None,
    max_body_bytes: int = MAX_BODY_BYTES,
    changes: bool = False,
) -> RawReply:
    """One request of HTTP and its reply, of which at most `max_body_bytes` are read. Raises
    `ExchangeFailed` when none comes, and when it is too late to ask. Of one that `changes`
    something it is noted whether it was written. Of both see `attempt_deadline`.

    A connection that was kept alive may be closed by the other side just when it is used again, or
    have brought what nobody asked for. If it ends before the first byte of a reply, the request is
    made once more at once, within the same time and on a new connection: others that were kept
    alive are often closed as well.
    """

    pool = _pools[session]
    bounds = bounds_of(max_body_bytes)

    async def ask(session: aiohttp.ClientSession, line: _Line) -> RawReply:
        parsed = _parsed(url) if isinstance(url, str) else url
        has_head = False
        _line.set(line)
        try:
            async with session.request(
                method, parsed, headers=headers, params=params, data=data, allow_redirects=False
            ) as response:
                has_head = True
                pool.replies.came(response.status)
                pool.clock.note(parsed.host or "", response.headers.get("Date"))
                body = await _read(response, max_body_bytes)
                return RawReply(response.status, response.headers, body)
        finally:
            if not has_head:
                pool.replies.stayed_away()

    writing = being_watched() if changes else Writing()
    line = _Line(bounds, writing)
    try:
        async with asyncio.timeout(pool.total_timeout_seconds):
            try:
                reply = await ask(session, line)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                if not line.was_reused or _began(error):
                    raise
                writing.was_repeated |= writing.awaits_answer
                async with pool.open_fresh() as fresh:
                    reply = await ask(fresh, _Line(bounds, writing))
    except TimeoutError:
        is_unclear = changes and writing.awaits_answer
        raise ExchangeFailed(
            ErrorCode.TIMEOUT, "no answer in time", is_unclear=is_unclear
        ) from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        is_unclear = changes and writing.awaits_answer
        raise ExchangeFailed(
            ErrorCode.CONNECTION_FAILED, sentence_of(error), is_unclear=is_unclear
        ) from None
    writing.awaits_answer = False
    return reply


def _began(error: Exception) -> bool:
    """Whether the connection ended within a reply: aiohttp then hands out what came of its head."""
    return not isinstance(getattr(error, "message", ""), str)


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes:
    """At most `most` bytes of the body. A line that ends in its midst is no reply."""
    parts: list[bytes] = []
    size = 0
    rest = line_of_rest(response)
    try:
        while size < most and (part := await response.content.read(most - size)):
            parts.append(part)
            size += len(part)
            if rest is not None:
                rest.end_if_malformed()  # to read on is to parse on
    except aiohttp.ClientOSError as error:
        raise aiohttp.ClientPayloadError(str(type(error))) from None
    if not response.content.at_eof():
        response.close()  # the rest is not wanted, and would be read for reuse
    return b"".join(parts)
