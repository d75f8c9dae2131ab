"""Access tokens of Adobe's OAuth server-to-server flow, one refresh at a time per credential.

Adobe Developer Console, "Implementing server-to-server authentication": cache the token, never ask
for one per request; a credential may have two secrets at once while they are rotated.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Collection
from contextvars import Context

import aiohttp

from worker.adobe.http_client import ExchangeFailed, RawReply, exchange
from worker.adobe.replies import Retryable
from worker.adobe.token_life import AccessToken, life_seconds
from worker.adobe.token_replies import classify_token, token_error_code
from worker.integrations.sections import Authentication
from worker.reasons import ErrorCode

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""RFC 6750, section 2.1: what a header can carry as a bearer token."""
_MAX_BRAKE_SECONDS = 60.0
_MAX_FAILURE_PAUSE_SECONDS = 30.0


class TokenUnavailable(Exception):
    """No access token is to be had now; `reply` says why."""

    def __init__(self, reply: Retryable) -> None:
        super().__init__(reply.detail)
        self.reply = reply


class TokenSource:
    """The access tokens of one credential."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        ims_url: str,
        authentication: Authentication,
        clock: Callable[[], float] = time.monotonic,
        key: bytes = b"",
    ) -> None:
        self._session = session
        self._key = key
        self._ims_url = ims_url
        self._authentication = authentication
        self._clock = clock
        self._token: AccessToken | None = None
        self._refresh: asyncio.Task[AccessToken] | None = None
        self._failure: Retryable | None = None
        self._failed_until = 0.0
        self._failure_pause = 0.5
        self._brake_until = 0.0
        self._brake_pause = 0.5
        self._distrusted = ""
        self.refreshes = 0

    @property
    def seconds_left(self) -> float | None:
        """For how long the access token in hand lives, negative after its end; None without one."""
        return None if self._token is None else self._token.expires_at - self._clock()

    async def token(self) -> AccessToken:
        """An access token to use now. Raises `TokenUnavailable`.

        A token that nears its end is refreshed in the background, and used meanwhile.
        """
        now = self._clock()
        token = self._token
        if token is not None and now < token.expires_at:
            if now >= token.refresh_at and now >= self._failed_until:
                self._start_refresh()
            return token
        if self._failure is not None and now < self._failed_until:
            raise TokenUnavailable(self._failure)
        # shield: one caller's deadline must not take the refresh away from all others.
        return await asyncio.shield(self._start_refresh())

    def refuse(self, token: AccessToken) -> None:
        """Adobe refused `token`: get another one. Raises `TokenUnavailable` while that is braked.

        Each token value is dropped once, however many requests it was refused to. When tokens keep
        being refused although fresh, the pauses between refreshes grow, and the one in hand stays:
        what it was refused for may be mended at Adobe without a new one.
        """
        if self._token is None or self._token.value != token.value:
            return  # dropped by another request already
        now = self._clock()
        if now < self._brake_until:
            if token.value == self._distrusted:
                return
            raise TokenUnavailable(
                Retryable(
                    ErrorCode.TOKEN_UNAVAILABLE, "the token was refused, as was one shortly before"
                )
            )
        self._token = None
        self._brake_pause = min(self._brake_pause * 2, _MAX_BRAKE_SECONDS)
        self._brake_until = now + self._brake_pause

    def distrust(self, token: AccessToken) -> None:
        """Adobe refused `token` although it was fresh: the fault is not the token's."""
        self._distrusted = token.value

    def helped(self) -> None:
        """A request was authorized: release the brake on new access tokens."""
        self._brake_pause = 0.5
        self._brake_until = 0.0
        self._distrusted = ""

    def _start_refresh(self) -> asyncio.Task[AccessToken]:
        if self._refresh is None or self._refresh.done():
            # A context of its own: the deadline of who asks first is not that of all others.
            self._refresh = asyncio.create_task(self._obtain(), context=Context())
            # A background refresh that fails has nobody to await it.
            self._refresh.add_done_callback(lambda task: task.cancelled() or task.exception())
        return self._refresh

    async def _obtain(self) -> AccessToken:
        failure = Retryable(ErrorCode.TOKEN_UNAVAILABLE, "no secret is configured")
        for secret in self._authentication.client_secrets():
            self.refreshes += 1
            try:
                reply = await self._ask(secret)
            except ExchangeFailed as error:
                failure = Retryable(
                    ErrorCode.TIMEOUT
                    if error.error == ErrorCode.TIMEOUT
                    else ErrorCode.TOKEN_UNAVAILABLE,
                    f"the token endpoint: {error.detail}",
                )
                break
            token = self._read(reply)
            if token is not None:
                self._token, self._failure, self._failure_pause = token, None, 0.5
                return token
            failure = classify_token(reply.status, reply.headers, reply.body, self._key)
            if token_error_code(reply.body) != "invalid_client":
                break
        self._failure = failure
        self._failure_pause = min(self._failure_pause * 2, _MAX_FAILURE_PAUSE_SECONDS)
        self._failed_until = self._clock() + self._failure_pause
        raise TokenUnavailable(failure)

    async def _ask(self, secret: str) -> RawReply:
        return await exchange(
            self._session,
            "POST",
            self._ims_url,
            data={
                "grant_type": "client_credentials",
                "client_id": self._authentication.client_id,
                "client_secret": secret,
                "scope": self._authentication.scopes,
            },
        )

    def _read(self, reply: RawReply) -> AccessToken | None:
        if reply.status != 200:
            return None
        try:
            # Not by orjson, which takes no NaN and no number of a hundred digits for JSON.
            document = json.loads(reply.body, parse_int=float)
        except (ValueError, RecursionError):
            return None
        value = document.get("access_token") if isinstance(document, dict) else None
        if not isinstance(value, str) or not _TOKEN.fullmatch(value):
            return None  # it would be kept, and each request with it would fail
        now = self._clock()
        return AccessToken(value, now, now + life_seconds(document.get("expires_in")))


class TokenSources:
    """One source of access tokens per credential, shared by the integrations that use it: those
    that agree in all that a token depends on.

    There are as many as `keep_only` leaves, and no other bound: with one below the number of
    credentials in use, each use would ask for a token.
    """

    def __init__(self, session: aiohttp.ClientSession, ims_url: str, key: bytes = b"") -> None:
        self._session = session
        self._key = key
        self._ims_url = ims_url
        self._sources: dict[Authentication, TokenSource] = {}

    def source(self, authentication: Authentication) -> TokenSource:
        """The access tokens of this credential; a changed secret or scope gets a new source."""
        known = self._sources.get(authentication)
        if known is None:
            known = TokenSource(self._session, self._ims_url, authentication, key=self._key)
            self._sources[authentication] = known
        return known

    def keep_only(self, in_force: Collection[Authentication]) -> None:
        """Forget the credentials, and tokens, of all but these."""
        for authentication in self._sources.keys() - set(in_force):
            del self._sources[authentication]

    def seconds_left(self, authentication: Authentication) -> float | None:
        """For how long the access token in hand of this credential lives; None without one."""
        known = self._sources.get(authentication)
        return None if known is None else known.seconds_left
