"""Digests in place of event ids that may be a person's, made by one secret. Pure."""

from __future__ import annotations

import hashlib
from typing import Final

from worker.events import Envelope
from worker.ordering.keyed_hash import keyed

_LONGEST_FORMER_ID: Final = 64


class EventDigests:
    """Makes 32 hexadecimal digits of an event's id; after a tilde where no secret makes them hard
    to guess, so that no log and no receipt shows them.
    """

    def __init__(self, secret: bytes) -> None:
        self._of_events = keyed(secret, b"consent-event-id")
        self._of_snapshots = keyed(secret, b"consent-snapshot")
        self._sign = "" if secret else "~"

    def digest(self, envelope: Envelope, event_id: str) -> str:
        """The digest of an event with this id, the same for all its versions; or of a snapshot, for
        the Didomi user with this id, the regulation, and the version.
        """
        if not envelope.is_snapshot:
            said = _joined(envelope.organization_id, event_id)
            return f"{self._sign}{_hexadecimal(self._of_events, said)}"
        said = _joined(envelope.organization_id, envelope.regulation, event_id)
        version = envelope.version
        if version is None:
            version = envelope.entity.get("updated_at")
        if isinstance(version, int | str):
            said += str(version)
        return f"{self._sign}{_hexadecimal(self._of_snapshots, said)}"


def former_ids(envelope: Envelope, event_id: str, digest: str) -> tuple[str, ...]:
    """What workers up to 0.3.0 called an event with this id whose digest is `digest` now."""
    if not envelope.is_snapshot:
        return (former_id(event_id),)
    # By its id where it was tried in the other form, else by the digest without a sign.
    return former_id(event_id), digest.removeprefix("~")


def former_id(event_id: str) -> str:
    """How workers up to 0.3.0 kept the id of an event that is a digest now."""
    if len(event_id) <= _LONGEST_FORMER_ID and "@" not in event_id:
        return event_id
    said = event_id.encode(errors="surrogatepass")
    return hashlib.blake2b(said, digest_size=24).hexdigest()


def _joined(*parts: str) -> str:
    """Lengths first, so that no two rows of texts give the same."""
    return "".join((*(f"{len(one)}." for one in parts), *parts))


def _hexadecimal(hasher: hashlib.blake2b, said: str) -> str:
    copy = hasher.copy()
    copy.update(said.encode(errors="surrogatepass"))
    return copy.hexdigest()
