"""Whom the door lets in: tokens that it gave, and the secret header; compared, aged and changed."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from multidict import CIMultiDict, CIMultiDictProxy
from pydantic import SecretStr, ValidationError

from worker.door.answers import AnswerCode
from worker.door.credentials import Credentials
from worker.door.given_tokens import TOKEN_SECONDS, TOLD_SECONDS, AccessTokens
from worker.door.token_requests import answer_token_request
from worker.settings import UnusableSetting, WorkerSettings

NOW = 1_000_000.0
OLD, NEW = "old-secret-of-thirty-two-characters", "new-secret-of-thirty-two-characters"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def _settings(**changes: Any) -> WorkerSettings:
    usual: dict[str, Any] = {"door_client_id": "didomi", "door_client_secret": SecretStr(NEW)}
    return WorkerSettings(**usual | changes)


def _headers(*pairs: tuple[str, str]) -> CIMultiDictProxy[str]:
    return CIMultiDictProxy(CIMultiDict(pairs))


def _bearer(token: str) -> CIMultiDictProxy[str]:
    return _headers(("Authorization", f"Bearer {token}"))


def test_a_token_lives_for_as_long_as_it_says_and_a_little_longer_than_it_tells() -> None:
    tokens = AccessTokens("didomi", [NEW.encode()])
    token = tokens.issue(NOW)
    assert tokens.judge(token, NOW) == "right"
    assert tokens.judge(token, NOW + TOKEN_SECONDS - 1) == "right"
    assert tokens.judge(token, NOW + TOKEN_SECONDS) == "expired"
    assert TOLD_SECONDS < TOKEN_SECONDS


def test_a_token_of_the_secret_before_counts_and_none_is_made_with_it() -> None:
    before, during = AccessTokens("didomi", [OLD.encode()]), [NEW.encode(), OLD.encode()]
    assert AccessTokens("didomi", during).judge(before.issue(NOW), NOW) == "right"
    after = AccessTokens("didomi", [NEW.encode()])
    assert after.judge(before.issue(NOW), NOW) == "wrong"
    assert after.judge(AccessTokens("didomi", during).issue(NOW), NOW) == "right"


def test_a_token_that_was_changed_or_is_of_another_client_is_wrong() -> None:
    tokens = AccessTokens("didomi", [NEW.encode()])
    version, until, signature = tokens.issue(NOW).split(".")
    later = int(until) + 1
    other = AccessTokens("somebody", [NEW.encode()]).issue(NOW)
    for one in (
        f"{version}.{later}.{signature}",
        f"{version}.{until}.{signature[:-1]}{'0' if signature[-1] != '0' else '1'}",
        f"{version}.{until}.{signature.upper()}" if signature.upper() != signature else "x",
        f"{version}.{until}",
        f"{version}.0{until}.{signature}x",
        f"{version}.{until}.{signature}\n",
        f"{version}.٣.{signature}",
        f"{version}.{'9' * 40}.{signature}",
        other,
        "",
    ):
        assert tokens.judge(one, NOW) == "wrong", one


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        pytest.param(_headers(), AnswerCode.CREDENTIALS_MISSING, id="none"),
        pytest.param(_bearer("x"), AnswerCode.CREDENTIALS_WRONG, id="no token"),
        pytest.param(_headers(("Authorization", "Bearer")), AnswerCode.CREDENTIALS_WRONG, id="b"),
        pytest.param(_headers(("X-Door", "x")), AnswerCode.CREDENTIALS_WRONG, id="header"),
        pytest.param(_headers(("X-Door", OLD), ("X-Door", OLD)), AnswerCode.CREDENTIALS_WRONG,
                     id="header twice"),
        pytest.param(_headers(("X-Door", "\udcff")), AnswerCode.CREDENTIALS_WRONG, id="no UTF-8"),
        pytest.param(_headers(("x-door", OLD)), None, id="right"),
    ],
)  # fmt: skip
def test_what_a_request_shows(headers: CIMultiDictProxy[str], refused: AnswerCode | None) -> None:
    settings = _settings(door_header_name="X-Door", door_header_secret=SecretStr(OLD))
    assert Credentials(settings).refusal(headers, NOW) == refused


def test_an_old_token_is_called_so_and_two_are_not_taken() -> None:
    credentials = Credentials(_settings())
    assert credentials.tokens is not None
    token = credentials.tokens.issue(NOW)
    later = NOW + TOKEN_SECONDS
    assert credentials.refusal(_bearer(token), NOW) is None
    assert credentials.refusal(_bearer(token), later) is AnswerCode.TOKEN_EXPIRED
    twice = _headers(("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}"))
    assert credentials.refusal(twice, NOW) is AnswerCode.CREDENTIALS_WRONG


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        pytest.param({"door_client_id": ""}, "DOOR_CLIENT_ID", id="secret alone"),
        pytest.param({"door_client_secret": SecretStr("")}, "DOOR_CLIENT_SECRET", id="id alone"),
        pytest.param({"door_header_name": "X-Door"}, "DOOR_HEADER_SECRET", id="header alone"),
        pytest.param({"door_client_id": "", "door_client_secret": SecretStr("")}, "everybody",
                     id="nothing"),
    ],
)  # fmt: skip
def test_settings_that_let_everybody_in_are_refused(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(UnusableSetting, match=named) as refused:
        Credentials(_settings(**changes))
    assert NEW not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("door_client_secret", "short", id="secret"),
        pytest.param("door_header_secret_previous", "short", id="secret before"),
        pytest.param("door_header_name", "X Door", id="name"),
        pytest.param("door_trusted_proxies", "10.0.0.1,proxy", id="proxy"),
        pytest.param("door_answer_seconds", 0.1, id="seconds"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        _settings(**{name: value})
    assert "short" not in str(refused.value)


@pytest.mark.parametrize("setting", ["door_client_secret", "door_client_secret_previous",
                                     "door_header_secret", "door_header_secret_previous",
                                     "door_client_id"])  # fmt: skip
@pytest.mark.parametrize("form", ["{}\n", "{}\r\n", " {}", "\ufeff{}", "{}\x00"])
def test_what_would_never_match_for_a_character_that_is_not_seen_is_refused(
    setting: str, form: str
) -> None:
    with pytest.raises(ValidationError, match="must not begin or end") as refused:
        _settings(**{setting: form.format(NEW)})
    (error,) = refused.value.errors(include_input=False)
    assert error["loc"] == (setting,)
    assert NEW not in error["msg"]


def _asked(
    headers: CIMultiDictProxy[str] | dict[str, str], body: bytes, **changes: Any
) -> tuple[str, Any]:
    pairs = headers if isinstance(headers, CIMultiDictProxy) else _headers(*headers.items())
    said = answer_token_request(Credentials(_settings(**changes)), pairs, body, NOW)
    assert said.headers["Cache-Control"] == "no-store"
    return said.code.value, json.loads(said.body)


def _basic(text: str) -> dict[str, str]:
    return FORM | {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


GRANT = b"grant_type=client_credentials"
IN_FORM = GRANT + b"&client_id=didomi&client_secret=" + NEW.encode()


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        pytest.param(FORM, IN_FORM + b"&scope=", id="form"),
        pytest.param({}, IN_FORM, id="form, unsaid"),
        pytest.param({"Content-Type": "application/json; charset=utf-8"},
                     json.dumps({"grant_type": "client_credentials", "client_id": "didomi",
                                 "client_secret": NEW, "scope": None}).encode(), id="JSON"),
        pytest.param(_basic(f"didomi:{NEW}"), GRANT, id="Basic"),
        pytest.param(_basic(f"didomi:{NEW.replace('-', '%2D')}"), GRANT, id="Basic, encoded"),
    ],
)  # fmt: skip
def test_a_token_is_given(headers: dict[str, str], body: bytes) -> None:
    code, document = _asked(headers, body)
    assert code == "token-given", document
    assert Credentials(_settings()).refusal(_bearer(document["access_token"]), NOW) is None
    assert document["expires_in"] == TOLD_SECONDS


@pytest.mark.parametrize("client_id", ["didomi+eu", "50%", "50%25", "a b", "d\u00e9j\u00e0"])
@pytest.mark.parametrize("secret", [NEW, f"{NEW}+%2B/", f"{NEW} %\u00e9"])
@pytest.mark.parametrize("encoded", [str, quote_plus, quote])
def test_a_sender_may_encode_what_the_scheme_basic_says_or_not(
    client_id: str, secret: str, encoded: Callable[[str], str]
) -> None:
    changes = {"door_client_id": client_id, "door_client_secret": SecretStr(secret)}
    right = _basic(f"{encoded(client_id)}:{encoded(secret)}")
    assert _asked(right, GRANT, **changes)[0] == "token-given"
    for wrong in (f"{encoded(client_id)}x:{encoded(secret)}", f"{encoded(client_id)}:{NEW}x"):
        assert _asked(_basic(wrong), GRANT, **changes)[0] == "credentials-wrong"


@pytest.mark.parametrize(
    ("headers", "body", "error"),
    [
        pytest.param(FORM, b"", "invalid_request", id="empty"),
        pytest.param(FORM, GRANT + b"&client_id=didomi", "invalid_request", id="no secret"),
        pytest.param(FORM, IN_FORM + b"&client_id=x", "invalid_request", id="field twice"),
        pytest.param(FORM, b"a=" * 20 + b"&b" * 100, "invalid_request", id="many fields"),
        pytest.param(FORM, b"client_id=%ff\xff", "invalid_request", id="no UTF-8"),
        pytest.param({"Content-Type": "application/json"}, b"[]", "invalid_request", id="list"),
        pytest.param({"Content-Type": "application/json"}, b"{", "invalid_request", id="no JSON"),
        pytest.param(_basic(f"didomi:{NEW}"), IN_FORM, "invalid_request", id="secret twice"),
        pytest.param(_basic("didomi"), GRANT, "invalid_request", id="no colon"),
        pytest.param(FORM | {"Authorization": "Basic é"}, GRANT, "invalid_request", id="no Base64"),
        pytest.param(FORM | {"Authorization": "Bearer x"}, GRANT, "invalid_request", id="Bearer"),
        pytest.param(
            FORM, IN_FORM.replace(b"client_c", b"c"), "unsupported_grant_type", id="grant"
        ),
        pytest.param(_basic(f"didomi:{OLD}"), GRANT, "invalid_client", id="secret"),
        pytest.param(_basic(f"Didomi:{NEW}"), GRANT, "invalid_client", id="id"),
        pytest.param(FORM, IN_FORM + b"x", "invalid_client", id="longer"),
    ],
)
def test_no_token_is_given(headers: dict[str, str], body: bytes, error: str) -> None:
    code, document = _asked(headers, body)
    assert document["error"] == error
    assert code == ("credentials-wrong" if error == "invalid_client" else "invalid-token-request")
    assert NEW not in document["error_description"]


def test_a_door_without_a_client_id_gives_no_tokens() -> None:
    settings = WorkerSettings(door_header_name="X-Door", door_header_secret=SecretStr(OLD))
    said = answer_token_request(Credentials(settings), _headers(), IN_FORM, NOW)
    assert said.code is AnswerCode.NO_TOKENS
