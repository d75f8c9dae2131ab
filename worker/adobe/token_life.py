"""An access token and its life. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

_TEN_DAYS_SECONDS: Final = 864_000
_DEFAULT_LIFE_SECONDS: Final = 3600.0
"""Of a token that says none, as RFC 6749 (section 5.1) allows; Adobe's live an hour at least."""
_LEAST_LIFE_SECONDS: Final = 1.0
"""With less every request would ask for a token of its own."""
_REFRESH_AT: Final = 0.8
_REFRESH_MARGIN_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token: `value` is secret; the times are of the source's clock, in seconds."""

    value: str
    obtained_at: float
    expires_at: float

    def __repr__(self) -> str:
        return "AccessToken(***)"

    @property
    def refresh_at(self) -> float:
        life = self.expires_at - self.obtained_at
        early = max(life * 0.5, life - _REFRESH_MARGIN_SECONDS)
        return self.obtained_at + min(life * _REFRESH_AT, early)


def life_seconds(expires_in: object) -> float:
    """How long a token lives of which a reply says `expires_in`, at most ten days.

    RFC 6749, section 5.1: the lifetime in seconds, recommended only; without it the client goes by
    what is documented. So a token is not refused for it: what is no sensible number (a bool, words,
    less than a second, without end) counts as not there.
    """
    if isinstance(expires_in, bool) or not isinstance(expires_in, int | float | str):
        return _DEFAULT_LIFE_SECONDS
    try:
        life = float(expires_in)
    except (ValueError, OverflowError):
        return _DEFAULT_LIFE_SECONDS
    if not _LEAST_LIFE_SECONDS <= life < math.inf:
        return _DEFAULT_LIFE_SECONDS
    # The retired JWT exchange said milliseconds; no token of this flow lives ten days.
    return min(life / 1000 if life > _TEN_DAYS_SECONDS else life, _TEN_DAYS_SECONDS)
