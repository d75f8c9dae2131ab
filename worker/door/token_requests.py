"""A request for a token by OAuth2 client credentials (RFC 6749, sections 2.3.1 and 4.4). Pure."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_plus

import orjson
from multidict import CIMultiDictProxy

from worker.door.answers import Answer, AnswerCode
from worker.door.credentials import Credentials
from worker.door.given_tokens import TOLD_SECONDS

MOST_BODY_BYTES: Final = 8 * 1024
BODY_SECONDS: Final = 1.0
"""In which a body has to come, since it is read before credentials are known: a form comes with its
headers, or right behind them."""
_MOST_FIELDS: Final = 32
_NOT_KEPT: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_BASIC: Final = "basic"


class _Unusable(Exception):
    """It asks for no token; the text says what is wrong, in RFC 6749's words and in ours."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error


def answer_token_request(
    credentials: Credentials, headers: CIMultiDictProxy[str], body: bytes, now: float
) -> Answer:
    """The answer to a token request at `now` (seconds since 1970): a token, or what is wrong."""
    tokens = credentials.tokens
    if tokens is None:
        return NO_TOKENS
    try:
        fields = _fields_of(headers.get("Content-Type", ""), body)
        client_ids, secrets = _client_in(headers, fields)
        if fields.get("grant_type") != "client_credentials":
            raise _Unusable("unsupported_grant_type", "grant_type must be client_credentials")
    except _Unusable as problem:
        return _error(AnswerCode.INVALID_TOKEN_REQUEST, problem.error, str(problem))
    if not credentials.is_client(client_ids, secrets):
        sentence = AnswerCode.CREDENTIALS_WRONG.sentence
        challenge = {"WWW-Authenticate": 'Basic realm="consent-worker"'}
        return _error(AnswerCode.CREDENTIALS_WRONG, "invalid_client", sentence, challenge)
    said = {"access_token": tokens.issue(now), "token_type": "Bearer", "expires_in": TOLD_SECONDS}
    return Answer(AnswerCode.TOKEN_GIVEN, orjson.dumps(said), _NOT_KEPT)


def _error(
    code: AnswerCode, error: str, description: str, headers: Mapping[str, str] | None = None
) -> Answer:
    body = orjson.dumps({"error": error, "error_description": description})
    return Answer(code, body, {**_NOT_KEPT, **(headers or {})})


NO_TOKENS: Final = _error(AnswerCode.NO_TOKENS, "invalid_request", AnswerCode.NO_TOKENS.sentence)
"""For each request to a door without a client id; no body is read for that."""


def _fields_of(content_type: str, body: bytes) -> dict[str, str]:
    """The fields of a form, or of a JSON object, which some senders write by default."""
    if "json" in content_type.lower():
        try:
            said: Any = orjson.loads(body)
        except orjson.JSONDecodeError:
            said = None
        if not isinstance(said, dict):
            raise _Unusable("invalid_request", "the body is not a JSON object")
        return {name: value for name, value in said.items() if isinstance(value, str)}
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict"
        )
    except ValueError:
        raise _Unusable("invalid_request", "the body is not a form in UTF-8") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise _Unusable("invalid_request", "the form has a field twice")
    return fields


def _client_in(
    headers: CIMultiDictProxy[str], fields: Mapping[str, str]
) -> tuple[list[str], list[str]]:
    """What the client id may be, and what its secret: within a header of the scheme Basic some
    senders encode both as a form's values, as they should, and some don't.
    """
    shown = headers.getall("Authorization", ())
    if not shown:
        if "client_id" not in fields or "client_secret" not in fields:
            raise _Unusable("invalid_request", AnswerCode.INVALID_TOKEN_REQUEST.sentence)
        return [fields["client_id"]], [fields["client_secret"]]
    if len(shown) > 1 or "client_secret" in fields:
        raise _Unusable("invalid_request", "the client's secret is there twice")
    scheme, _, encoded = shown[0].partition(" ")
    if scheme.lower() != _BASIC:
        raise _Unusable("invalid_request", "Authorization must have the scheme Basic here")
    try:
        client_id, colon, secret = b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise _Unusable("invalid_request", "Authorization is not Base64 of UTF-8") from None
    if not colon:
        raise _Unusable("invalid_request", "Authorization has no colon behind the client id")
    return [client_id, unquote_plus(client_id)], [secret, unquote_plus(secret)]
