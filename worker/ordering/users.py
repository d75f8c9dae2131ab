"""How a user is called in the state: by a keyed digest, so that no personal data is kept there."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode


class UserKeys:
    """Makes digests with one secret, which all workers of a fleet must share.

    Without a secret the digest hides an address from the eye, but who can read the state can still
    test whether a guessed address is in it. To change the secret is to forget all stamps.
    """

    def __init__(self, secret: bytes = b"") -> None:
        # A key of BLAKE2b has at most 64 bytes (RFC 7693); hashing accepts any length.
        key = hashlib.blake2b(secret).digest() if secret else b""
        self._keyed = hashlib.blake2b(key=key, digest_size=16, person=b"consent-user")

    def user_key(self, integration_id: str, identity_property: str, identity_value: str) -> str:
        """22 characters of URL-safe base64 (128 bits) for one identity at one integration.

        `identity_property` is where the identity is said (a path, or the namespace of an identity
        map), `identity_value` the value as it is sent. The device's id is never used: several
        devices share a user.
        """
        keyed = self._keyed.copy()
        # Lengths first, so that no two triples of texts give the same bytes.
        head = f"{len(integration_id)}.{len(identity_property)}."
        text = f"{head}{integration_id}{identity_property}{identity_value}"
        keyed.update(text.encode(errors="surrogatepass"))
        return urlsafe_b64encode(keyed.digest())[:22].decode("ascii")
