"""Signs headings with a secret of the operators, and checks by which of them one was signed. Pure.

Who holds a secret can sign anything: a signature proves that a message is the fleet's own, and
nothing against the fleet's operators.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from typing import Final

_KEY_ID_SALT: Final = b"consent-worker receipts key id\n"
_KEY_ID_DIGITS: Final = 8


def key_id(secret: bytes) -> str:
    """Names a secret without telling it: 8 hexadecimal digits, "" for none."""
    return hashlib.sha256(_KEY_ID_SALT + secret).hexdigest()[:_KEY_ID_DIGITS] if secret else ""


def mac_of(secret: bytes, line: bytes) -> str:
    """The signature of a heading line whose `mac` is still empty; "" without a secret."""
    return hmac.digest(secret, line, "sha256").hex() if secret else ""


class Keyring:
    """The secrets by which a reader checks signatures; empty ones are left out."""

    def __init__(self, secrets: Iterable[bytes] = ()) -> None:
        self._secrets = {key_id(one): one for one in secrets if one}

    def __bool__(self) -> bool:
        return bool(self._secrets)

    def knows(self, key: str) -> bool:
        """Whether the reader has the secret with this id."""
        return key in self._secrets

    def is_right(self, key: str, unsigned_line: bytes, mac: str) -> bool:
        """Whether the secret with the id `key`, which the reader has, signed this heading line."""
        return hmac.compare_digest(mac_of(self._secrets[key], unsigned_line), mac)
