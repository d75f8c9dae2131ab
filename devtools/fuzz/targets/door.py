"""What strangers say to the door: nobody comes in without the secret, and nobody is quoted."""

from __future__ import annotations

import base64
from random import Random
from typing import Final

import orjson
from multidict import CIMultiDict, CIMultiDictProxy
from pydantic import SecretStr

from devtools.fuzz.target import Target
from devtools.fuzz.values import assert_hidden, below, json_bytes, pick, spoiled, text
from worker.door.answers import Answer, AnswerCode
from worker.door.attempt_limits import AttemptLimits
from worker.door.client_address import ClientAddresses
from worker.door.credentials import Credentials
from worker.door.given_tokens import AccessTokens
from worker.door.token_requests import answer_token_request
from worker.door.webhook_judgement import judge_body
from worker.settings import WorkerSettings

_NOW: Final = 1_800_000_000.0
_CREDENTIALS: Final = Credentials(
    WorkerSettings(
        door_client_id="didomi",
        door_client_secret=SecretStr("known-to-nobody-but-the-door-0123456789"),
        door_header_name="X-Door",
        door_header_secret=SecretStr("neither-is-this-known-to-anybody-0123456789"),
    )
)
_FOREIGN: Final = AccessTokens("didomi", [b"of-somebody-else"]).issue(_NOW)
_ADDRESSES: Final = ClientAddresses(["10.0.0.0/8", "2001:db8::/32"])
_ATTEMPTS: Final = AttemptLimits(most_addresses=50)
_HEADERS: Final = ("Authorization", "Authorization", "Content-Type", "X-Door", "X-Forwarded-For")
_SCHEMES: Final = ("Bearer ", "bearer ", "Basic ", "Basic", "Bearer", "", "Digest ")
_TYPES: Final = ("application/json", "application/x-www-form-urlencoded", "text/json; charset=x")
_FIELDS: Final = ("grant_type", "client_id", "client_secret", "scope", "")
_PLACES: Final = (
    *("10.0.0.7", "198.51.100.1", "2001:db8::1", "::ffff:10.0.0.7", "fe80::1%eth0", "10.0.0.7:80"),
    *("[2001:db8::1]", "unknown", "", "0x0a000007", "1", "::", "010.0.0.7"),
)

Case = tuple[str, list[tuple[str, str]], bytes]


def make(r: Random) -> Case:
    """The address that asks, its headers, and the body."""
    headers = [(pick(r, _HEADERS), _value(r)) for _ in range(below(r, 5))]
    return pick(r, _PLACES), headers, _body(r)


def _value(r: Random) -> str:
    kind = below(r, 6)
    if kind == 0:
        return pick(r, _SCHEMES) + pick(r, (_FOREIGN, _FOREIGN[:-1], f"cw1.{text(r, 50)}.x"))
    if kind == 1:
        said = f"didomi{pick(r, (':', '', '%3A'))}{text(r, 50)}".encode(errors="surrogatepass")
        return pick(r, _SCHEMES) + base64.b64encode(said).decode()
    if kind == 2:
        return pick(r, _TYPES)
    if kind == 3:
        return ", ".join(pick(r, _PLACES) for _ in range(below(r, 5)))
    return text(r, 500)


def _body(r: Random) -> bytes:
    if r.random() < 0.5:
        pairs = (f"{pick(r, _FIELDS)}={text(r, 100)}" for _ in range(below(r, 6)))
        data = "&".join(pairs).encode(errors="surrogatepass")
    else:
        fields = {pick(r, _FIELDS): text(r, 100) for _ in range(4)}
        kind = pick(r, ("event.created", "user.updated", "x"))
        said = {"type": kind, "parameters": {"entity": fields}} | fields
        data = json_bytes(r, said)
    return spoiled(r, data) if r.random() < 0.3 else data


def check(case: Case) -> None:
    """See the module."""
    peer, pairs, body = case
    headers = CIMultiDictProxy(CIMultiDict(pairs))
    assert _CREDENTIALS.refusal(headers, _NOW) is not None, "a stranger came in"
    said = answer_token_request(_CREDENTIALS, headers, body, _NOW)
    assert said.code is not AnswerCode.TOKEN_GIVEN, "a stranger got a token"
    _judge(said)
    judged = judge_body(body)
    if isinstance(judged, Answer):
        _judge(judged)
    address = _ADDRESSES.of(peer, headers.getall("X-Forwarded-For", ()))
    _ATTEMPTS.may_fail(address, _NOW)
    assert len(_ATTEMPTS) <= 50
    assert _ATTEMPTS.seconds_until_next(address, _NOW) >= 0


def _judge(said: Answer) -> None:
    assert orjson.loads(said.body)["error"]
    assert_hidden(said.body.decode())


TARGETS: Final = (Target("door", make, check, share=3),)
