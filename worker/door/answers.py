"""What the door answers, by a stable code: the status, and a sentence in Didomi's own terms."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple, Self

import orjson

from worker.reasons import DeadReason

WEBHOOK_PATH: Final = "/webhooks/didomi"
TOKEN_PATH: Final = "/oauth2/token"  # noqa: S105 - where tokens are asked for
RETRY_SECONDS: Final = 10
"""Didomi tries five times within five minutes; a broker that restarts is back within one."""


class AnswerCode(StrEnum):
    """An answer's code, with its HTTP `status` and a `sentence` for readers of Didomi's Console."""

    status: int
    sentence: str

    def __new__(cls, code: str, status: int, sentence: str) -> Self:
        one = str.__new__(cls, code)
        one._value_ = code
        one.status = status
        one.sentence = sentence
        return one

    ACCEPTED = "accepted", 202, "RabbitMQ has the event."
    TOKEN_GIVEN = "token-given", 200, "A token was given."
    CUT_SHORT = "cut-short", 400, "The request ended before its body did."
    INVALID_JSON = (
        DeadReason.INVALID_JSON.value,
        400,
        "The body is no JSON, or not UTF-8. One webhook of Didomi's is one JSON object.",
    )
    NOT_HTTP = "not-http", 400, "The request is no HTTP/1.1, or its headers are too long."
    INVALID_TOKEN_REQUEST = (
        "invalid-token-request",
        400,
        "A token is asked for with grant_type=client_credentials, client_id and client_secret.",
    )
    CREDENTIALS_MISSING = (
        "credentials-missing",
        401,
        "The request shows no credentials: set OAuth2 client credentials, or the secret header, "
        "for this webhook in Didomi's Console.",
    )
    CREDENTIALS_WRONG = (
        "credentials-wrong",
        401,
        "The credentials are not those that the door knows.",
    )
    TOKEN_EXPIRED = "token-expired", 401, "The token is out of date: ask for another one."
    NOT_FOUND = (
        "not-found",
        404,
        f"Nothing is here. Webhooks go to {WEBHOOK_PATH}, and token requests to {TOKEN_PATH}.",
    )
    NO_TOKENS = "no-tokens", 404, "This door gives no tokens: it has no client id."
    WRONG_METHOD = "wrong-method", 405, "Only POST is taken here."
    TOO_SLOW = "too-slow", 408, "The request did not come in time."
    TOO_LARGE = DeadReason.TOO_LARGE.value, 413, "The body has more bytes than the door takes."
    ENCODED = (
        "encoded",
        415,
        "The body is compressed. Didomi sends plain JSON; leave Content-Encoding out of the "
        "request headers of this webhook.",
    )
    FLATTENED = (
        "flattened",
        422,
        'The body is flattened. Switch "Flatten" off for this webhook in Didomi\'s Console: '
        "events are taken as Didomi nests them.",
    )
    UNKNOWN_TYPE = (
        DeadReason.UNKNOWN_TYPE.value,
        422,
        "The type is no event.* and no user.* of those that this version knows. Choose only these "
        "event types for this webhook in Didomi's Console.",
    )
    INVALID_EVENT = (
        DeadReason.INVALID_EVENT.value,
        422,
        "It is JSON, but no webhook of Didomi's with an event or a user of an organization.",
    )
    TOO_MANY_ATTEMPTS = (
        "too-many-attempts",
        429,
        "The credentials are wrong, as they were many times before from the same address.",
    )
    UNEXPECTED_ERROR = DeadReason.UNEXPECTED_ERROR.value, 500, "A fault of the door's own."
    BROKER_AWAY = "broker-away", 503, "RabbitMQ can't be reached now."
    BROKER_BLOCKED = "broker-blocked", 503, "RabbitMQ takes nothing now: it has an alarm."
    BROKER_LATE = "broker-late", 503, "RabbitMQ did not confirm the event in time."
    QUEUE_FULL = "queue-full", 503, "RabbitMQ refuses the event: its queue is full."
    NO_QUEUE = "no-queue", 503, "RabbitMQ has no queue for the event."
    BUSY = "busy", 503, "The door has its hands full."


_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


class Answer(NamedTuple):
    """What the door writes back to a request. After one that `closes` the connection ends."""

    code: AnswerCode
    body: bytes
    headers: Mapping[str, str] = _NO_HEADERS
    closes: bool = False


_REALM: Final = 'Bearer realm="consent-worker"'
_CHALLENGES: Final = {
    AnswerCode.CREDENTIALS_MISSING: _REALM,
    AnswerCode.CREDENTIALS_WRONG: f'{_REALM}, error="invalid_token"',
    AnswerCode.TOKEN_EXPIRED: f'{_REALM}, error="invalid_token"',
}
"""As RFC 6750 (Bearer Token Usage), section 3, has it."""


def answer(
    code: AnswerCode, detail: str = "", retry_after: int = 0, closes: bool = False
) -> Answer:
    """The door's answer with that code; `detail` adds to its sentence, of the request alone."""
    said = f"{code.sentence} {detail}".rstrip()
    headers: dict[str, str] = {}
    if code.status == 503 or retry_after:
        headers["Retry-After"] = str(retry_after or RETRY_SECONDS)
    if code in _CHALLENGES:
        headers["WWW-Authenticate"] = _CHALLENGES[code]
    if code.status == 405:
        headers["Allow"] = "POST"
    return Answer(code, orjson.dumps({"error": code.value, "detail": said}), headers, closes)


ACCEPTED: Final = Answer(AnswerCode.ACCEPTED, b'{"status":"accepted"}')
PLAIN: Final[Mapping[AnswerCode, Answer]] = {one: answer(one) for one in AnswerCode} | {
    AnswerCode.ACCEPTED: ACCEPTED
}
"""Those without a detail, made once."""
_SLOW_BODY: Final = PLAIN[AnswerCode.TOO_SLOW].body
TOO_SLOW: Final = (
    b"HTTP/1.1 408 Request Timeout\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(_SLOW_BODY), _SLOW_BODY)
)
"""The whole response to headers that did not come in time."""
