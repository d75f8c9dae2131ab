"""Answers the requests of Didomi: who asks, what it is, and whether RabbitMQ has it.

Each check comes before what costs more: nobody's webhook is read who shows no credentials, and none
while RabbitMQ takes nothing. A token is asked for in a body, which so is read before anything is
known of who asks: it is small, has a second, and holds no place that somebody else needs.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import nullcontext
from typing import Final

import structlog
from aiohttp import web

from worker.door.answers import (
    PLAIN,
    TOKEN_PATH,
    WEBHOOK_PATH,
    Answer,
    AnswerCode,
    answer,
)
from worker.door.attempt_limits import AttemptLimits
from worker.door.bodies import Bodies
from worker.door.client_address import ClientAddresses
from worker.door.credentials import Credentials
from worker.door.door_metrics import DoorMetrics
from worker.door.event_publishing import EventPublishing
from worker.door.refusal_log import RefusalLog
from worker.door.token_requests import (
    BODY_SECONDS,
    MOST_BODY_BYTES,
    NO_TOKENS,
    answer_token_request,
)
from worker.door.webhook_judgement import judge_body
from worker.serving.http_connections import Line, Lines

log = structlog.get_logger(__name__)

MARGIN_SECONDS: Final = 0.2
"""So long before its time is over a request gets its answer: the look at the clock is every tenth
of a second, and the answer has to travel."""
_ALWAYS: Final = {"Content-Type": "application/json", "Server": "consent-worker"}


class WebhookRequests:
    """Answers the requests to a door's HTTP server; `lines` are its connections. Every answer is
    given `answer_seconds` after the first byte of its request, at the latest.
    """

    def __init__(
        self,
        credentials: Credentials,
        addresses: ClientAddresses,
        publishing: EventPublishing,
        metrics: DoorMetrics,
        max_event_bytes: int,
        answer_seconds: float,
    ) -> None:
        self._credentials = credentials
        self._addresses = addresses
        self._publishing = publishing
        self._metrics = metrics
        self._max_event_bytes = max_event_bytes
        self._answer_seconds = answer_seconds - MARGIN_SECONDS
        self._attempts = AttemptLimits()
        self._bodies = Bodies()
        self._refusals = RefusalLog()
        self._loop = asyncio.get_running_loop()
        self.lines: Lines | None = None
        self.is_stopping = False

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """The response to a request to the door, whatever it is."""
        line = self._line_of(request)
        began = line.begin(request.content) if line is not None else self._loop.time()
        try:
            said = await self._answer(request, began + self._answer_seconds)
        except Exception as error:
            log.exception("door.unexpected_error", error=type(error).__name__)
            said = PLAIN[AnswerCode.UNEXPECTED_ERROR]
        finally:
            if line is not None:
                line.end(is_whole=request.content.is_eof())
        return self._response(said, began, closes=line is not None and line.is_half_closed)

    def unreadable(self, _: int) -> web.StreamResponse:
        """The door's response to what is no request of HTTP."""
        return self._response(answer(AnswerCode.NOT_HTTP, closes=True), self._loop.time())

    def _response(self, said: Answer, began: float, *, closes: bool = False) -> web.StreamResponse:
        now = self._loop.time()
        self._metrics.count_answer(said.code, now - began)
        self._refusals.tell(said.code, now)
        response = web.Response(
            body=said.body, status=said.code.status, headers={**_ALWAYS, **said.headers}
        )
        if said.closes or closes or self.is_stopping:
            response.force_close()
        return response

    async def _answer(self, request: web.BaseRequest, ends_at: float) -> Answer:
        path = request.path
        if path not in (WEBHOOK_PATH, TOKEN_PATH):
            return PLAIN[AnswerCode.NOT_FOUND]
        if request.method != "POST":
            return PLAIN[AnswerCode.WRONG_METHOD]
        if path == TOKEN_PATH:
            return await self._give_token(request, ends_at)
        return await self._take_webhook(request, ends_at)

    async def _take_webhook(self, request: web.BaseRequest, ends_at: float) -> Answer:
        refused = self._credentials.refusal(request.headers, time.time())
        if refused is not None:
            if refused is AnswerCode.CREDENTIALS_WRONG:
                return self._too_many(request) or PLAIN[refused]
            return PLAIN[refused]
        unable = self._publishing.refusal
        if unable is not None:
            return PLAIN[unable]
        body = await self._bodies.read(request, self._max_event_bytes, ends_at)
        if isinstance(body, AnswerCode):
            return PLAIN[body]
        sent = self._send(body, ends_at)
        return sent if isinstance(sent, Answer) else PLAIN[await sent]

    def _send(self, body: bytes, ends_at: float) -> asyncio.Future[AnswerCode] | Answer:
        """What will be answered, or is. While that is waited for nothing is kept of what was read
        of the body, which may be many times as large.
        """
        event = judge_body(body)
        if isinstance(event, Answer):
            return event
        return self._publishing.publish(event, body, ends_at)

    async def _give_token(self, request: web.BaseRequest, ends_at: float) -> Answer:
        if self._credentials.tokens is None:
            return NO_TOKENS
        line = self._line_of(request)
        with line.reading_unproven() if line is not None else nullcontext():
            soon = min(ends_at, self._loop.time() + BODY_SECONDS)
            body = await self._bodies.read(request, MOST_BODY_BYTES, soon)
        if isinstance(body, AnswerCode):
            return PLAIN[body]
        said = answer_token_request(self._credentials, request.headers, body, time.time())
        if said.code is AnswerCode.CREDENTIALS_WRONG:
            return self._too_many(request) or said
        return said

    def _line_of(self, request: web.BaseRequest) -> Line | None:
        return self.lines.of(request.protocol) if self.lines is not None else None

    def _too_many(self, request: web.BaseRequest) -> Answer | None:
        """Count a wrong attempt; what is answered where there were too many."""
        forwarded = request.headers.getall("X-Forwarded-For", ())
        address = self._addresses.of(request.remote or "", forwarded)
        now = self._loop.time()
        if self._attempts.may_fail(address, now):
            return None
        seconds = self._attempts.seconds_until_next(address, now)
        return answer(AnswerCode.TOO_MANY_ATTEMPTS, retry_after=seconds, closes=True)
