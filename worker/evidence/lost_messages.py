"""What an exported file says of messages of a chain that its ledger never read, since the stream's
retention took them first. Pure.

Who has the secret of the operators signs it, over the headings before and behind the gap. So who
takes messages out of a file can't say that of their place.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from worker.evidence.bounded_json import Json, Unreadable, hex_in
from worker.evidence.heading import line_digest
from worker.evidence.signing import Keyring, key_id, mac_of

_DIGEST_DIGITS = 64


class Lost(NamedTuple):
    """Messages are lost that stood between the heading with the digest `previous` and the one of
    the line that says so. `key` and `mac` are "" where nobody signed it.
    """

    previous: str
    key: str
    mac: str

    def is_signed(self, line: bytes, keyring: Keyring) -> bool:
        """Whether who has one of the secrets says that, of the gap before this heading line."""
        text = _signed_text(self.previous, line)
        return keyring.knows(self.key) and keyring.is_right(self.key, text, self.mac)


def lost_between(before: bytes, behind: bytes, secret: bytes) -> Lost:
    """What is lost between these two heading lines, signed by `secret` if that is not empty."""
    previous = line_digest(before)
    return Lost(previous, key_id(secret), mac_of(secret, _signed_text(previous, behind)))


def read_lost(said: Any) -> Lost:
    """What a line of an exported file says is lost before it. Raises `Unreadable`."""
    if not isinstance(said, dict):
        raise Unreadable("lost_before is not an object")
    document: Json = said
    return Lost(
        hex_in(document, "previous", _DIGEST_DIGITS),
        hex_in(document, "key", 0, 8),
        hex_in(document, "mac", 0, _DIGEST_DIGITS),
    )


def _signed_text(previous: str, behind: bytes) -> bytes:
    """No heading begins like that, so no signature of a heading is one of this."""
    return f"lost between {previous} and {line_digest(behind)}".encode()
