"""Tokens that the door gives to Didomi: signed, short-lived, and remembered by nobody. Pure.

Any door with the same client id and secret takes what another one gave. A secret that is changed
ends its tokens.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from typing import Final, Literal

TOKEN_SECONDS: Final = 900
"""A token that was overheard is of use for so long at most."""
TOLD_SECONDS: Final = TOKEN_SECONDS - 60
"""What Didomi is told, so that it asks for the next one before doors refuse this one: their clocks
differ, and a request takes its time."""
_PURPOSE: Final = b"consent-worker door token\n"
_TOKEN: Final = re.compile(r"cw1\.([0-9]{1,12})\.([0-9a-f]{64})", re.ASCII)

Judgement = Literal["right", "expired", "wrong"]


class AccessTokens:
    """The door's tokens for one client. The first of `secrets` signs, all of them count."""

    def __init__(self, client_id: str, secrets: Sequence[bytes]) -> None:
        said = _PURPOSE + client_id.encode(errors="surrogatepass")
        self._keys = [hmac.digest(one, said, "sha256") for one in secrets if one]

    def issue(self, now: float) -> str:
        """A token that is given at `now` (seconds since 1970)."""
        until = int(now) + TOKEN_SECONDS
        return f"cw1.{until}.{_signature(self._keys[0], until)}"

    def judge(self, token: str, now: float) -> Judgement:
        """What a token that somebody shows is worth at `now`."""
        found = _TOKEN.fullmatch(token)
        if found is None:
            return "wrong"
        until, shown = int(found[1]), found[2]
        is_ours = False
        for key in self._keys:
            is_ours |= hmac.compare_digest(_signature(key, until), shown)
        if not is_ours:
            return "wrong"
        return "right" if now < until else "expired"


def _signature(key: bytes, until: int) -> str:
    return hmac.digest(key, b"%d" % until, "sha256").hex()
