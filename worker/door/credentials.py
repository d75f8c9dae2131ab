"""Whom the door lets in: who has a token of ours, or says the secret header. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from multidict import CIMultiDictProxy
from pydantic import SecretStr

from worker.door.answers import AnswerCode
from worker.door.given_tokens import AccessTokens
from worker.door.secrets_known import KnownSecrets
from worker.settings import UnusableSetting, WorkerSettings

_NONE_AT_ALL: Final = (
    "the door would let everybody in: set CONSENT_WORKER_DOOR_CLIENT_ID and "
    "CONSENT_WORKER_DOOR_CLIENT_SECRET, or CONSENT_WORKER_DOOR_HEADER_NAME and "
    "CONSENT_WORKER_DOOR_HEADER_SECRET"
)
_BEARER: Final = "bearer"


class Credentials:
    """The credentials that the door takes, by the settings. Raises `UnusableSetting` where these
    let everybody in, or one of two that belong together is missing.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        client_id, header_name = settings.door_client_id, settings.door_header_name
        client_secrets = list(
            _said(settings.door_client_secret, settings.door_client_secret_previous)
        )
        header_secrets = list(
            _said(settings.door_header_secret, settings.door_header_secret_previous)
        )
        _check_pair("CLIENT_ID", client_id, "CLIENT_SECRET", settings.door_client_secret)
        _check_pair("HEADER_NAME", header_name, "HEADER_SECRET", settings.door_header_secret)
        if not client_id and not header_name:
            raise UnusableSetting(_NONE_AT_ALL)
        self.tokens = AccessTokens(client_id, client_secrets) if client_id else None
        """What makes and judges tokens; None without a client id."""
        self._client_ids = KnownSecrets([client_id.encode()])
        self._client_secrets = KnownSecrets(client_secrets)
        self._header_name = header_name
        self._header_secrets = KnownSecrets(header_secrets)

    def is_client(self, client_ids: Sequence[str], secrets: Sequence[str]) -> bool:
        """Whether one of `client_ids` is the client's id, and one of `secrets` its secret."""
        return _has_any(self._client_ids, client_ids) & _has_any(self._client_secrets, secrets)

    def refusal(self, headers: CIMultiDictProxy[str], now: float) -> AnswerCode | None:
        """Why a request with these headers may not come in at `now` (seconds since 1970); None
        where it may.
        """
        refused = AnswerCode.CREDENTIALS_MISSING
        if self._header_name:
            shown = headers.getall(self._header_name, ())
            if len(shown) == 1 and self._header_secrets.has(_bytes_of(shown[0])):
                return None
            if shown:
                refused = AnswerCode.CREDENTIALS_WRONG
        if self.tokens is not None:
            shown = headers.getall("Authorization", ())
            if not shown:
                return refused
            scheme, _, token = shown[0].partition(" ")
            if len(shown) > 1 or scheme.lower() != _BEARER:
                return AnswerCode.CREDENTIALS_WRONG
            judgement = self.tokens.judge(token.strip(), now)
            if judgement == "right":
                return None
            refused = AnswerCode.CREDENTIALS_WRONG
            if judgement == "expired":
                refused = AnswerCode.TOKEN_EXPIRED
        return refused


def _has_any(known: KnownSecrets, said: Sequence[str]) -> bool:
    """Takes as long whichever it is."""
    has = False
    for one in said:
        has |= known.has(_bytes_of(one))
    return has


def _said(*secrets: SecretStr | None) -> Iterator[bytes]:
    for one in secrets:
        if one is not None and one.get_secret_value():
            yield one.get_secret_value().encode()


def _check_pair(name: str, value: str, secret_name: str, secret: SecretStr) -> None:
    if bool(value) != bool(secret.get_secret_value()):
        missing, given = (secret_name, name) if value else (name, secret_name)
        raise UnusableSetting(
            f"setting CONSENT_WORKER_DOOR_{missing}: is not set, and CONSENT_WORKER_DOOR_{given} "
            "needs it"
        )


def _bytes_of(text: str) -> bytes:
    return text.encode(errors="surrogateescape")
