"""One question to Adobe with an access token, and what a refused token is worth."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Final

from worker.adobe.access_tokens import TokenSource
from worker.adobe.http_client import RawReply
from worker.adobe.token_life import AccessToken

_REFUSALS: Final = (401, 403)

Ask = Callable[[AccessToken | None], Awaitable[RawReply]]


async def authorized(
    source: TokenSource, ask: Ask, *, renewed_at: Collection[int] = _REFUSALS
) -> RawReply:
    """Ask Adobe with an access token; a refusal drops it and is worth one more try at once. Raises
    `TokenUnavailable`, and whatever `ask` does.

    `renewed_at` are the statuses that speak of the token. A reply of one of them comes out of here
    only when a fresh token was refused, too.
    """
    token = await source.token()
    reply = await ask(token)
    if reply.status in renewed_at:
        source.refuse(token)
        token = await source.token()
        reply = await ask(token)
        if reply.status in renewed_at:
            source.distrust(token)
            return reply
    if reply.status not in _REFUSALS:
        source.helped()
    return reply
