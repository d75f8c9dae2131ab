"""The token that each form of the console carries: another site can make a browser send a form, but
not know it. Pure.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

FIELD: Final = "csrf"
HEADER: Final = "X-CSRF-Token"


def token_for(secret: bytes, session_id: str) -> str:
    """The token that the forms of a session carry."""
    said = f"csrf\n{session_id}".encode(errors="surrogatepass")
    return hmac.new(secret, said, hashlib.sha256).hexdigest()


def is_right(secret: bytes, session_id: str, token: str) -> bool:
    """Whether a form's token is that of the session."""
    right = token_for(secret, session_id).encode()
    return hmac.compare_digest(right, token.encode(errors="surrogatepass"))
