"""The seal of one user: AES-256-GCM, by a key made of the secret and of the user's digest."""

from __future__ import annotations

import hashlib
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES: Final = 12


class AesSeal:
    """The seal of one user: what it closes opens with the same `bound` alone. `master` is what is
    made of the secret.
    """

    def __init__(self, master: bytes, digest: str) -> None:
        key = hashlib.blake2b(digest.encode(), key=master, digest_size=32, person=b"consent-value")
        self._cipher = AESGCM(key.digest())

    def close(self, plain: bytes, bound: bytes) -> bytes:
        """`plain`, sealed for one user: a nonce, and what is encrypted."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, bound)

    def open(self, sealed: bytes, bound: bytes) -> bytes:
        """What was sealed for one user. Raises ValueError for what was not sealed with this key."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound)
        except InvalidTag:
            raise ValueError("not sealed with this key") from None
