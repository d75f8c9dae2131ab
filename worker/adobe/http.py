"""The one place where HTTP is spoken with Adobe: bounded bodies, no redirects, no cookies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp

from worker.adobe.endpoints import EndpointPolicy, resolver_for
from worker.adobe.replies import ErrorCode

MAX_BODY_BYTES = 65_536
CONNECT_TIMEOUT_SECONDS = 5.0


class ExchangeFailed(Exception):  # noqa: N818 - what happened
    """No reply came; `error` says how it failed."""

    def __init__(self, error: ErrorCode, detail: str) -> None:
        super().__init__(detail)
        self.error: ErrorCode = error
        self.detail = detail


@dataclass(frozen=True, slots=True)
class RawReply:
    """A reply; `body` holds at most `MAX_BODY_BYTES` bytes of what came."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def open_session(policy: EndpointPolicy, total_timeout_seconds: float) -> aiohttp.ClientSession:
    """The shared connection pool. One request takes `total_timeout_seconds` at most."""
    connector = aiohttp.TCPConnector(
        limit=0, limit_per_host=256, resolver=resolver_for(policy), ttl_dns_cache=60
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(
            total=total_timeout_seconds, sock_connect=CONNECT_TIMEOUT_SECONDS
        ),
        trust_env=False,
        headers={"User-Agent": "consent-worker"},
    )


async def exchange(
    session: aiohttp.ClientSession,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    params: Mapping[str, str] | None = None,
    data: bytes | Mapping[str, str] | None = None,
) -> RawReply:
    """One request and its reply. Raises `ExchangeFailed` when none comes."""
    try:
        async with session.request(
            method, url, headers=headers, params=params, data=data, allow_redirects=False
        ) as response:
            body = b""
            while len(body) < MAX_BODY_BYTES and (
                chunk := await response.content.read(MAX_BODY_BYTES - len(body))
            ):
                body += chunk
            if not response.content.at_eof():
                response.close()  # the rest is not wanted, and would be read for reuse
            return RawReply(response.status, response.headers, body)
    except TimeoutError:
        raise ExchangeFailed("timeout", "no answer in time") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        # The type alone: the text of an error may hold the URL, and that the contact's identity.
        raise ExchangeFailed("connection-failed", type(error).__name__) from None
