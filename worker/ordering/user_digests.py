"""How a user is called in the state, and an event whose id may be a person's: by a keyed digest, so
that no personal data is kept there.
"""

from __future__ import annotations

import hashlib
from binascii import b2a_base64
from typing import Final, NamedTuple

from worker.events import Envelope, is_called_as_person
from worker.ordering.event_digests import EventDigests, former_ids
from worker.ordering.keyed_hash import keyed
from worker.redaction import shown_id
from worker.transform.decision_types import Deliver

_USER: Final = b"consent-user"
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
    """Makes digests of users and event ids with one secret, which all workers of a fleet must
    share.

    Without a secret the digest hides an address from the eye, but who can read the state can still
    test whether a guessed address is in it. `previous` is the fleet's other secret while it rotates
    them, empty where there was none.
    """

    def __init__(self, secret: bytes = b"", previous: bytes | None = None) -> None:
        self._keyed = keyed(secret, _USER)
        self._events = EventDigests(secret)
        self._previous: hashlib.blake2b | None = None
        self._other_events: EventDigests | None = None
        if previous is not None and previous != secret:
            self._previous = keyed(previous, _USER)
            self._other_events = EventDigests(previous)
        self.marks = marks_of(secret, previous)

    def user_key(self, state_id: str, identity_property: str, identity_value: str) -> str:
        """The digest of a user: 22 characters of URL-safe base64 (128 bits) for one identity in the
        state of one integration; during a rotation with those of the other secret after a tilde,
        see `both_digests`.

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
        Didomi, which in apps is that of the advertising device; of an event it is whatever its
        producer wrote, which may be a person's by its shape, or as the event calls its person.
        Such an id becomes a digest, see `EventDigests`.
        """
        event_id = envelope.event_id
        if not event_id or (
            not envelope.is_snapshot
            and shown_id(event_id) is not None
            and not is_called_as_person(event_id, envelope.entity)
        ):
            return envelope
        return envelope._replace(event_id=self._events.digest(envelope, event_id))

    def other_ids(self, envelope: Envelope) -> tuple[str, ...]:
        """What else an event `without_person` may be called in the state: by the other secret while
        the fleet rotates them, or by a worker up to 0.3.0. By these its own stamps are known again:
        more than a tie rests on that, see `ordering.own_stamps`.
        """
        event_id = envelope.entity.get("id")
        if not isinstance(event_id, str) or event_id == envelope.event_id:
            return ()
        digests = [envelope.event_id]
        if self._other_events is not None:
            digests.append(self._other_events.digest(envelope, event_id))
        former = [one for digest in digests for one in former_ids(envelope, event_id, digest)]
        return tuple({*digests[1:], *former} - {envelope.event_id})


def marks_of(secret: bytes, previous: bytes | None = None) -> Marks:
    """The marks of the present secret, and of the other one during a rotation."""
    return Marks(_mark(secret), None if previous is None else _mark(previous), bool(secret))


def shown_user(user: str, marks: Marks | None) -> str | None:
    """The digests of a user that a log may show: those that no guess at a person can be tested by.
    `marks` are those of the secrets that have made them, None where nobody knows these.
    """
    if marks is None:
        return None
    both = zip(both_digests(user), marks[:2], strict=True)
    return "~".join(digest for digest, mark in both if digest and mark != _OF_NO_SECRET) or None


def both_digests(user: str) -> tuple[str, str]:
    """The digest of a user, and that by the other secret while the fleet rotates them, or empty."""
    digest, _, other = user.partition("~")
    return digest, other


def is_rotating(user: str) -> bool:
    """Whether a user is called by two digests."""
    return "~" in user


def _digest(hasher: hashlib.blake2b, said: bytes) -> str:
    copy = hasher.copy()
    copy.update(said)
    return b2a_base64(copy.digest())[:22].translate(_URL_SAFE).decode("ascii")


def _mark(secret: bytes) -> str:
    return _digest(keyed(secret, _USER), b"mark of the secret")


_OF_NO_SECRET: Final = _mark(b"")
