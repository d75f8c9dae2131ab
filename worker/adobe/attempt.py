"""One attempt at Adobe: token, look-up if the integration wants it, streaming ingestion."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import aiohttp
from yarl import URL

from worker.adobe.access_tokens import TokenSources, TokenUnavailable
from worker.adobe.authorized_request import authorized
from worker.adobe.collection_replies import classify_collection, classify_many
from worker.adobe.endpoints import EndpointPolicy
from worker.adobe.harmless_text import shown_words
from worker.adobe.http_client import (
    BODY_BYTES_A_MESSAGE,
    MAX_BODY_BYTES,
    ExchangeFailed,
    RawReply,
    exchange,
)
from worker.adobe.profile_lookup import (
    LOOK_UP_PATH,
    KnownContacts,
    classify_lookup,
    lookup_params,
    platform_headers,
)
from worker.adobe.profile_record import MOST_BYTES, record_params, values_in
from worker.adobe.replies import Accepted, NoProfile, Permanent, Reply, Retryable
from worker.adobe.streaming import (
    MAX_REQUEST_BYTES,
    OutgoingMessage,
    OutgoingRequest,
    build_request,
)
from worker.adobe.token_life import AccessToken
from worker.integrations.model import Integration
from worker.reasons import ErrorCode
from worker.transform.decision_types import Identity
from worker.transform.xdm_message import encode_message

_WITHOUT_LOOK_UP: Final = (
    "set dataset_starts_empty to true, if nobody else writes to the dataset and nobody did before"
)


class AdobeClient:
    """Sends to Adobe, and asks it. Never raises for what Adobe or the network does: everything is a
    `Reply`.

    The time limit of a whole attempt is the caller's. `fingerprint_key` is that of the fingerprints
    of what Adobe says, see `harmless_text`.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        policy: EndpointPolicy,
        *,
        ims_url: str,
        platform_url: str,
        fingerprint_key: bytes = b"",
    ) -> None:
        self._session = session
        self._policy = policy
        self._key = fingerprint_key
        self._tokens = TokenSources(session, ims_url, fingerprint_key)
        self._platform_url = platform_url.rstrip("/")
        self._contacts = KnownContacts()

    def keep_credentials_of(self, integrations: Iterable[Integration]) -> None:
        """Forget the credentials of integrations that are not among these."""
        self._tokens.keep_only([one.authentication for one in integrations])

    async def send(
        self, integration: Integration, messages: Sequence[OutgoingMessage]
    ) -> list[Accepted | Retryable | Permanent] | Retryable | Permanent:
        """Send `messages` to Adobe in one request: a reply for each, or one that concerns all."""
        # Checked at every call and not just when loading: the allow-list may be the newer one.
        if problem := self._policy.problem(integration.properties.dataflow_endpoint):
            return Retryable(ErrorCode.ENDPOINT_NOT_ALLOWED, f"dataflow_endpoint {problem}")
        request = build_request(integration, [one.body for one in messages])
        if len(request.body) > MAX_REQUEST_BYTES:
            return Permanent(
                ErrorCode.ADOBE_REJECTED, f"larger than Adobe's {MAX_REQUEST_BYTES} bytes"
            )
        try:
            reply = await self._send(integration, request, messages=len(messages))
        except TokenUnavailable as error:
            return error.reply
        except ExchangeFailed as error:
            return Retryable(error.error, error.detail, is_unclear=error.is_unclear)
        if len(messages) > 1:
            return classify_many(reply.status, reply.headers, reply.body, len(messages), self._key)
        return [classify_collection(reply.status, reply.headers, reply.body, self._key)]

    async def look_up(self, integration: Integration, identity: Identity) -> Reply | None:
        """Look a contact up at Adobe: None when it exists, else what to do instead of sending."""
        try:
            return await self._look_up(integration, identity)
        except TokenUnavailable as error:
            return error.reply
        except ExchangeFailed as error:
            return Retryable(error.error, error.detail)

    async def look_up_record(
        self, integration: Integration, identity: Identity, paths: Sequence[str]
    ) -> Mapping[str, Any] | Reply:
        """What Adobe has of a person at `paths`, nothing for somebody unknown; else what to do
        instead of sending.
        """
        params = record_params(integration, identity, paths)
        try:
            reply = await self._ask_for_contact(integration, params, MOST_BYTES)
        except TokenUnavailable as error:
            return error.reply
        except ExchangeFailed as error:
            return Retryable(error.error, error.detail)
        result = classify_lookup(
            reply.status, reply.headers, reply.body, self._key, instead=_WITHOUT_LOOK_UP
        )
        if isinstance(result, NoProfile):
            return {}
        return values_in(reply.body, identity, paths) if result is None else result

    async def look_up_anew(self, integration: Integration, identity: Identity) -> Reply | None:
        """As `look_up`, without what is remembered, and with the token as in `read`."""
        query = lookup_params(integration, identity)
        try:
            reply = await self.read(integration, LOOK_UP_PATH, query, max_body_bytes=MAX_BODY_BYTES)
        except TokenUnavailable as error:
            return error.reply
        except ExchangeFailed as error:
            return Retryable(error.error, error.detail)
        return classify_lookup(reply.status, reply.headers, reply.body, self._key)

    async def token(self, integration: Integration) -> AccessToken:
        """An access token of the integration's credential. Raises `TokenUnavailable`."""
        return await self._tokens.source(integration.authentication).token()

    def token_seconds_left(self, integration: Integration) -> float | None:
        """For how long the access token in hand of the integration lives; None without one."""
        return self._tokens.seconds_left(integration.authentication)

    async def read(
        self,
        integration: Integration,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        accept: str = "application/json",
        max_body_bytes: int,
    ) -> RawReply:
        """A GET of Adobe's platform at `path`, whose parts are encoded already. Raises
        `TokenUnavailable` and `ExchangeFailed`.

        401 is of the token (Adobe's page "Platform troubleshooting guide"), and worth another one.
        403 is of the right to read, so the token stays: deliveries use it, too.
        """
        url = URL(self._platform_url + path, encoded=True)

        async def ask(token: AccessToken | None) -> RawReply:
            return await exchange(
                self._session,
                "GET",
                url,
                params=params,
                headers=platform_headers(integration, token) | {"Accept": accept},
                max_body_bytes=max_body_bytes,
            )

        source = self._tokens.source(integration.authentication)
        return await authorized(source, ask, renewed_at=(401,))

    async def send_test(self, integration: Integration, record: Mapping[str, Any]) -> Reply:
        """Write one test record at Adobe. An XDM-compatible inlet is asked to validate it before it
        answers, where its region offers that (Adobe's page "Streaming ingestion validation").
        """
        if problem := self._policy.problem(integration.properties.dataflow_endpoint):
            return Retryable(ErrorCode.ENDPOINT_NOT_ALLOWED, f"dataflow_endpoint {problem}")
        request = build_request(integration, [encode_message(integration, record)])
        validated = {"syncValidation": "true"} if integration.replaces_record else None
        try:
            reply = await self._send(integration, request, validated)
            if reply.status == 501 and validated:
                reply = await self._send(integration, request)
        except TokenUnavailable as error:
            return error.reply
        except ExchangeFailed as error:
            return Retryable(error.error, error.detail)
        return classify_collection(reply.status, reply.headers, reply.body, self._key)

    def shown(self, status: int, document: Any) -> str:
        """What an operator is shown of Adobe's words, see `harmless_text`."""
        return shown_words(status, document, self._key)

    async def _look_up(self, integration: Integration, identity: Identity) -> Reply | None:
        known = self._contacts.recall(integration, identity)
        if known is not None:
            return None if known else NoProfile()

        params = lookup_params(integration, identity)
        reply = await self._ask_for_contact(integration, params, MAX_BODY_BYTES)
        result = classify_lookup(reply.status, reply.headers, reply.body, self._key)
        if result is None or isinstance(result, NoProfile):
            self._contacts.remember(integration, identity, result is None)
        return result

    async def _ask_for_contact(
        self, integration: Integration, params: Mapping[str, str], max_body_bytes: int
    ) -> RawReply:
        async def ask(token: AccessToken | None) -> RawReply:
            return await exchange(
                self._session,
                "GET",
                self._platform_url + LOOK_UP_PATH,
                params=params,
                headers=platform_headers(integration, token),
                max_body_bytes=max_body_bytes,
            )

        return await authorized(self._tokens.source(integration.authentication), ask)

    async def _send(
        self,
        integration: Integration,
        request: OutgoingRequest,
        params: dict[str, str] | None = None,
        messages: int = 1,
    ) -> RawReply:
        async def ask(token: AccessToken | None) -> RawReply:
            headers = request.headers
            if token is not None:
                headers = headers | {"Authorization": f"Bearer {token.value}"}
            return await exchange(
                self._session,
                request.method,
                request.url,
                headers=headers,
                params=params,
                data=request.body,
                max_body_bytes=MAX_BODY_BYTES + messages * BODY_BYTES_A_MESSAGE,
                changes=True,
            )

        if not integration.authenticated:
            return await ask(None)
        return await authorized(self._tokens.source(integration.authentication), ask)
