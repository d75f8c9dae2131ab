"""Reads of Adobe's platform for one check: bounded in time and size, tried again where it helps,
and what came of each.

Errors: Adobe's pages "Flow Service errors" and "Platform troubleshooting guide".
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from worker.adobe.access_tokens import TokenUnavailable
from worker.adobe.attempt import AdobeClient
from worker.adobe.check.report_lines import CheckName, Line, unclear
from worker.adobe.failed_replies import parse_retry_after, parsed
from worker.adobe.http_client import ExchangeFailed, RawReply
from worker.adobe.replies import Reply, Retryable
from worker.integrations.model import Integration
from worker.reasons import ErrorCode
from worker.transform.decision_types import Identity


@dataclass(frozen=True, slots=True)
class Found:
    """The document that Adobe was asked for."""

    document: Any


@dataclass(frozen=True, slots=True)
class Refused:
    """The credential lacks a right (401, 403). `detail` is ours to show, as below."""

    detail: str


@dataclass(frozen=True, slots=True)
class NotFound:
    """Adobe itself says that there is no such thing."""

    detail: str


@dataclass(frozen=True, slots=True)
class Unanswered:
    """No answer that can be used: none in time, an error of Adobe's, something unreadable."""

    detail: str
    http_status: int | None = None


@dataclass(frozen=True, slots=True)
class NotAsked:
    """What a question to Adobe needs could not be read: `detail` names that."""

    detail: str


Answer = Found | Refused | NotFound | Unanswered | NotAsked


def not_judged(check: CheckName, answer: Answer, right: str, of: str = "") -> Line:
    """The check's line where `answer` has no document; `right` is what to grant the credential."""
    match answer:
        case Refused(detail):
            text = f"grant the credential's role {right!r}, and this sandbox; {detail}"
        case Unanswered(detail, _):
            text = f"no usable answer of Adobe's, ask again; {detail}"
        case NotFound(detail):
            text = f"Adobe shows no such thing to the credential; {detail}"
        case NotAsked(detail):
            text = f"needs {detail}, which could not be read"
        case _:
            text = "the answer lacks what is needed"
    return unclear(check, text, of)


CHECK_SECONDS: Final = 60.0
"""For all reads of one integration, about a dozen; a person waits for the answer."""
PAUSES_SECONDS: Final = (0.5, 2.0)
"""Before an answer of 429 or 5xx is asked for again."""
_MOST_RETRY_AFTER_SECONDS: Final = 5.0
MOST_BYTES: Final = 4 * 2**20
"""Of one answer: a schema with all of its fields resolved is the largest, a megabyte or two."""
_ADOBES_SIGN: Final = re.compile(rb"ns\.adobe\.com/|FLOW-\d|XDM-\d|\"\d{4}-404\"")


class PlatformReader:
    """Reads Adobe's platform for one integration, by its credential; never raises for what Adobe
    does.
    """

    def __init__(
        self,
        client: AdobeClient,
        integration: Integration,
        *,
        seconds: float = CHECK_SECONDS,
        pauses_seconds: Sequence[float] = PAUSES_SECONDS,
    ) -> None:
        self._client = client
        self._integration = integration
        self._pauses = pauses_seconds
        self._ends_at = asyncio.get_running_loop().time() + seconds

    async def get(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        accept: str = "application/json",
    ) -> Answer:
        """The document below the platform's URL at `path`, whose parts are encoded already."""
        try:
            async with asyncio.timeout_at(self._ends_at):
                return await self._patiently(path, params, accept)
        except TimeoutError:
            return Unanswered("not in time")

    async def look_up(self, identity: Identity) -> Reply | None:
        """Whether Adobe knows the person, as deliveries ask it; None if it does."""
        try:
            async with asyncio.timeout_at(self._ends_at):
                return await self._client.look_up_anew(self._integration, identity)
        except TimeoutError:
            return Retryable(ErrorCode.TIMEOUT, "not in time")

    async def _patiently(self, path: str, params: Mapping[str, str] | None, accept: str) -> Answer:
        for pause in (*self._pauses, None):
            reply: RawReply | None = None
            try:
                reply = await self._client.read(
                    self._integration, path, params, accept=accept, max_body_bytes=MOST_BYTES
                )
                answer = self._judge(reply)
            except TokenUnavailable as error:
                return Unanswered(f"no token: {error.reply.detail}")
            except ExchangeFailed as error:
                answer = Unanswered(error.detail)
            passes = reply is None or reply.status == 429 or reply.status >= 500
            if not passes or pause is None:
                return answer
            await asyncio.sleep(_pause(pause, reply))
        raise AssertionError("the last round returns")

    def _judge(self, reply: RawReply) -> Answer:
        document = parsed(reply.body)
        if reply.status == 200:
            if len(reply.body) >= MOST_BYTES:
                return Unanswered(f"an answer of more than {MOST_BYTES} bytes")
            if not isinstance(document, dict | list):
                return Unanswered("the answer is not one of Adobe's")
            return Found(document)
        detail = self._client.shown(reply.status, document)
        if reply.status in (401, 403):
            return Refused(detail)
        if reply.status == 404 and _ADOBES_SIGN.search(reply.body):
            return NotFound(detail)
        return Unanswered(detail, reply.status)


def _pause(pause_seconds: float, reply: RawReply | None) -> float:
    asked = parse_retry_after(reply.headers.get("Retry-After")) if reply is not None else None
    if asked is None:
        return pause_seconds
    return min(max(asked, pause_seconds), _MOST_RETRY_AFTER_SECONDS)
