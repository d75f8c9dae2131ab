"""The hash by which the ordering secret makes digests. Pure."""

from __future__ import annotations

import hashlib


def keyed(secret: bytes, purpose: bytes) -> hashlib.blake2b:
    """A keyed hash that is to be copied for each digest, of 16 bytes; `purpose` has 16 bytes at
    most.
    """
    # A key of BLAKE2b has at most 64 bytes (RFC 7693); hashing accepts any length.
    key = hashlib.blake2b(secret).digest() if secret else b""
    return hashlib.blake2b(key=key, digest_size=16, person=purpose)
