"""When a message that replaces the record may be made of a single choice. Pure.

An event has the choices just made. At an XDM-compatible inlet a message with these alone erases all
others, so the worker completes it by what it keeps. That has to outlive a restart, and whoever is
not known to it must have nothing there, or be looked up first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from worker.integrations.sections import IdentityRule, UserIdentifier

_ERASES: Final = (
    '"xdm" replaces the whole record at Adobe, while event.* carry only the choices just made: a '
    "message would erase the others, unless the worker knows them"
)
_OR: Final = 'or set events to "user" to send whole snapshots'


class Surroundings(NamedTuple):
    """What is around a worker: a state that outlives it, and a secret by which that keeps what was
    chosen.
    """

    has_lasting_state: bool
    has_secret: bool


NOTHING_AROUND: Final = Surroundings(has_lasting_state=False, has_secret=False)


def completion_mistakes(
    surroundings: Surroundings,
    rules: Sequence[tuple[UserIdentifier, IdentityRule]],
    *,
    starts_empty: bool,
) -> Iterator[tuple[str, str]]:
    """What lacks for it."""
    if not surroundings.has_lasting_state:
        yield (
            "payload_mode",
            f"{_ERASES}. After a restart it knows none with its state in memory: set "
            f"CONSENT_WORKER_STATE_URL to a file or to Redis, {_OR}",
        )
    elif not surroundings.has_secret:
        yield (
            "payload_mode",
            f"{_ERASES}. It keeps them sealed: set CONSENT_WORKER_ORDERING_SECRET, {_OR}",
        )
    nameless = [identifier for identifier, rule in rules if rule.namespace is None]
    if nameless and not starts_empty:
        yield (
            f"identities.{nameless[0]}.namespace",
            f"is required: {_ERASES}. Whom it does not know it looks up first, and that asks by "
            "identity namespace. Or set dataset_starts_empty to true, if nobody else writes to the "
            "dataset and nobody did before",
        )


def device_warnings(
    payload_mode: str, events: str, surroundings: Surroundings
) -> Iterator[tuple[str, str]]:
    """What a state that does not last does to a person with several devices."""
    if payload_mode == "upsert" or events != "user" or surroundings.has_lasting_state:
        return
    inlet = "" if payload_mode == "xdm" else " (if the inlet turns out to be XDM-compatible)"
    yield "payload_mode", f"{DEVICES}{inlet}"


DEVICES: Final = (
    "with the state in memory, several devices of one person erase each other's choices after a "
    "restart, since a snapshot tells of one device alone: CONSENT_WORKER_STATE_URL keeps them"
)
