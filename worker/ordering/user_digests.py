"""How a user is called in the state, and an event whose id may be a person's: by a keyed digest, so
that no personal data is kept there.
"""

from __future__ import annotations

import hashlib
from binascii import b2a_base64
from typing import Final, NamedTuple

from worker.events import Envelope
from worker.redaction import shown_id
from worker.transform.decision_types import Deliver

_DIDOMI_USER: Final = "\0Didomi user"
"""No place of an identity."""
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")


class Marks(NamedTuple):
    """What tells by which secrets digests are made, without telling these: of the present one, and
    of the other one during a rotation. `is_keyed`: there is a present one.
    """

    present: str
    previous: str | None
    is_keyed: bool


class UserKeys:
    """Makes digests with one secret, which all workers of a fleet must share.

    Without a secret the digest hides an address from the eye, but who can read the state can still
    test whether a guessed address is in it. `previous` is the fleet's other secret while it rotates
    them, empty where there was none.
    """

    def __init__(self, secret: bytes = b"", previous: bytes | None = None) -> None:
        self._keyed = _keyed(secret)
        self._keyed_snapshots = _keyed(secret, b"consent-snapshot")
        self._keyed_events = _keyed(secret, b"consent-event-id")
        self._previous = None if previous is None or previous == secret else _keyed(previous)
        self.marks = Marks(
            _mark(secret), None if previous is None else _mark(previous), bool(secret)
        )

    def user_key(self, state_id: str, identity_property: str, identity_value: str) -> str:
        """22 characters of URL-safe base64 (128 bits) for one identity in the state of one
        integration; during a rotation with those of the other secret after a tilde, see
        `both_digests`.

        `identity_property` is where the identity is said (a path, or the namespace of an identity
        map), `identity_value` the value as it is sent. The device's id is never used: several
        devices share a user.
        """
        # Lengths first, so that no two triples of texts give the same bytes.
        head = f"{len(state_id)}.{len(identity_property)}."
        text = f"{head}{state_id}{identity_property}{identity_value}"
        said = text.encode(errors="surrogatepass")
        digest = _digest(self._keyed, said)
        return digest if self._previous is None else f"{digest}~{_digest(self._previous, said)}"

    def without_didomi_user(self, state_id: str, choice: Deliver) -> Deliver:
        """`choice` with the digests of the Didomi user in place of the id, if it has one."""
        if choice.didomi_user is None:
            return choice
        digests = self.user_key(state_id, _DIDOMI_USER, choice.didomi_user)
        return choice._replace(didomi_user=digests)

    def without_person(self, envelope: Envelope) -> Envelope:
        """`envelope` with an event id that may be told and kept. Of a snapshot it is a user's at
        Didomi, which in apps is that of the advertising device: it becomes 32 hexadecimal digits
        for that user, the regulation, and the version. Of an event it is whatever its producer
        wrote: an id that may be a person's by its shape becomes 32 hexadecimal digits, and after a
        tilde where no secret makes them hard to guess, so that no log shows them.

        Digests are of the present secret alone: in a rotation equal ids are no promise, since
        nothing but a tie rests on them.
        """
        event_id = envelope.event_id
        if not envelope.is_snapshot:
            if not event_id or shown_id(event_id) is not None:
                return envelope
            return envelope._replace(event_id=self._event_digest(envelope))
        if not event_id:
            return envelope
        version = envelope.version
        if version is None:
            version = envelope.entity.get("updated_at")
        said = _joined(envelope.organization_id, envelope.regulation, event_id)
        if isinstance(version, int | str):
            said += str(version)
        return envelope._replace(event_id=_hexadecimal(self._keyed_snapshots, said))

    def _event_digest(self, envelope: Envelope) -> str:
        """The same for all versions of an event."""
        said = _joined(envelope.organization_id, envelope.event_id)
        digest = _hexadecimal(self._keyed_events, said)
        return digest if self.marks.is_keyed else f"~{digest}"


def both_digests(user: str) -> tuple[str, str]:
    """The digest of a user, and that by the other secret while the fleet rotates them, or empty."""
    digest, _, other = user.partition("~")
    return digest, other


def is_rotating(user: str) -> bool:
    """Whether a user is called by two digests."""
    return "~" in user


def _keyed(secret: bytes, purpose: bytes = b"consent-user") -> hashlib.blake2b:
    # A key of BLAKE2b has at most 64 bytes (RFC 7693); hashing accepts any length.
    key = hashlib.blake2b(secret).digest() if secret else b""
    return hashlib.blake2b(key=key, digest_size=16, person=purpose)


def _joined(*parts: str) -> str:
    """Lengths first, so that no two rows of texts give the same."""
    return "".join((*(f"{len(one)}." for one in parts), *parts))


def _hexadecimal(keyed: hashlib.blake2b, said: str) -> str:
    copy = keyed.copy()
    copy.update(said.encode(errors="surrogatepass"))
    return copy.hexdigest()


def _digest(keyed: hashlib.blake2b, said: bytes) -> str:
    copy = keyed.copy()
    copy.update(said)
    return b2a_base64(copy.digest())[:22].translate(_URL_SAFE).decode("ascii")


def _mark(secret: bytes) -> str:
    return _digest(_keyed(secret), b"mark of the secret")
