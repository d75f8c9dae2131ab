"""Secrets that somebody may show, compared in a time that tells nothing of them. Pure."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable


class KnownSecrets:
    """The present secret, and the one before while it is changed. Empty ones do not count."""

    def __init__(self, secrets: Iterable[bytes]) -> None:
        self._digests = [hashlib.sha256(one).digest() for one in secrets if one]

    def __bool__(self) -> bool:
        return bool(self._digests)

    def has(self, said: bytes) -> bool:
        """Whether `said` is a known secret. Digests are compared, which have all one length."""
        digest = hashlib.sha256(said).digest()
        found = False
        for one in self._digests:
            found |= hmac.compare_digest(digest, one)
        return found
