"""Whether the parts of an integration fit together: what would send a consent to a wrong place.

An event has the choices just made. At an XDM-compatible inlet a message with these alone erases all
others, so the worker completes it by what it keeps. That has to outlive a restart, and whoever is
not known to it must have nothing there, or be looked up first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from worker.integrations.attribute_mapping import Mapping as MappingEntry
from worker.integrations.mapping_warnings import also_mappings
from worker.integrations.sections import DEFAULT_PATHS, IdentityRule, UserIdentifier
from worker.integrations.xdm_paths import (
    PERSON,
    collisions,
    find_name_beside_person,
    find_path_conflict,
)

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
    """What an integration lacks whose whole records the worker completes."""
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


_KNOWN_REGULATIONS: Final = frozenset(
    {
        *("gdpr", "cpra", "cpa", "ctdpa", "dpdpa", "fdbr", "icdpa", "mcdpa"),
        *("nhpa", "njdpa", "ocpa", "tdpsa", "ucpa", "vcdpa"),
    }
)
"""Didomi's page "Regulations", and "What are Regulations in Didomi?" of its support."""

Mistakes = Iterator[tuple[str, str]]
"""The field, and what is wrong with it."""


def target_mistakes(
    mappings: Sequence[MappingEntry], identifiers: Sequence[UserIdentifier]
) -> Mistakes:
    """Targets of mappings that can't all be written."""
    targets = [path for mapping in mappings for path in mapping.targets]
    for repeated in sorted(path for path, times in Counter(targets).items() if times > 1):
        yield "mappings", f"two entries write to {repeated!r}: take one out"
    if conflict := find_path_conflict(targets):
        yield (
            "mappings",
            f"{conflict[0]!r} and {conflict[1]!r} can't both be written, since the second lies "
            "inside the first",
        )
    if beside := find_name_beside_person(targets):
        yield (
            "mappings",
            f"{beside[0]!r} and {beside[1]!r} can't both be written, since a person may be called "
            f"as the name that the second has in the place of {PERSON}: choose another id",
        )
    if len(identifiers) > 1 and any(mapping.names_the_person for mapping in mappings):
        yield (
            "mappings",
            f"{PERSON} stands for the identity, and properties.user_identifier names several "
            "kinds of it: keep one",
        )


def snapshot_mistakes(
    mappings: Sequence[MappingEntry], *, are_snapshots: bool, may_erase: bool
) -> Mistakes:
    """What of the mappings does not fit whole snapshots, or single choices. `may_erase`: a message
    replaces the whole record, so that what it leaves out is erased.
    """
    for number, mapping in enumerate(mappings, 1):
        if not are_snapshots and mapping.absent is not None:
            yield (
                f"mappings.{number}.absent",
                'has no meaning with events "event", which say what was chosen and never what was '
                'taken back: leave it out, or set events to "user"',
            )
    must_be_said = are_snapshots and not may_erase
    stay = [at for at, one in enumerate(mappings, 1) if must_be_said and one.is_silent_when_absent]
    if stay:
        yield (
            f"mappings.{stay[0]}.absent",
            f'is required{also_mappings(stay[1:])} for events "user" with payload_mode "upsert": '
            "a message updates what it names, so a choice that a newer snapshot does not name any "
            "more (its events were deleted) would stay at Adobe for ever. Say what it becomes, "
            'such as false or {"val": "u"}, or set payload_mode to "xdm"',
        )
    if are_snapshots and any(one.pending is not None for one in mappings):
        yield "mappings", 'pending has no meaning with events "user": a snapshot is confirmed'


def identity_mistakes(
    identifier: UserIdentifier,
    rule: IdentityRule,
    mappings: Sequence[MappingEntry],
    *,
    needs_lookup: bool,
) -> Mistakes:
    """What is wrong with where an identity goes; `rule` has its defaults filled in."""
    where = f"identities.{identifier}"
    targets = [path for mapping in mappings for path in mapping.targets]
    if needs_lookup and rule.namespace is None:
        yield (
            f"{where}.namespace",
            "is required when upsert_mode is false, since the profile look-up asks by identity "
            "namespace",
        )
    if rule.location == "identity-map":
        if rule.namespace is None and not needs_lookup:
            yield f"{where}.namespace", "is required for location identity-map"
        if any(path.split(".")[0] == "identityMap" for path in targets):
            yield (
                "mappings",
                f"identityMap carries the identity {identifier!r}, so no entry may write there",
            )
        return
    path = rule.path or ""
    if taken := collisions(path, targets):
        what = "an entry writes to" if taken[0] == path else f"{taken[0]!r} collides with"
        yield "mappings", f"{what} {path!r}, which carries the identity: choose another id"
    if rule.normalisation == "sha256" and path == DEFAULT_PATHS["email"]:
        yield (
            f"{where}.path",
            f"is {path!r}, which is for an address, and sha256 writes a hash: name the field that "
            "your schema has for hashed addresses, or set location to identity-map",
        )


def event_time_mistakes(
    event_time_path: str | None,
    mappings: Sequence[MappingEntry],
    rules: Sequence[tuple[UserIdentifier, IdentityRule]],
) -> Mistakes:
    """What the path of the newest choice's time collides with."""
    if event_time_path is None:
        return
    taken = [path for mapping in mappings for path in mapping.targets]
    taken += [rule.path or "" for _, rule in rules if rule.location == "field"]
    if collision := collisions(event_time_path, taken):
        yield (
            "event_time_path",
            f"collides with another path ({collision[0]!r}): choose another one",
        )


def regulation_mistakes(regulations: Sequence[str]) -> Mistakes:
    """Ids of regulations that no event can have: Didomi writes all of them in small letters."""
    for number, one in enumerate(regulations, 1):
        small = one.lower()
        if one != small:
            instead = repr(small) if small in _KNOWN_REGULATIONS else "it so"
            yield f"regulations.{number}", f"Didomi's ids are in small letters: write {instead}"
        elif any(letter.isspace() for letter in one):
            yield f"regulations.{number}", "an id has no blanks: write each as a text of its own"


def regulation_warnings(regulations: Sequence[str]) -> Mistakes:
    """Ids of `regulations` that are valid, but perhaps no regulation's."""
    for number, one in enumerate(regulations, 1):
        if one not in _KNOWN_REGULATIONS:
            yield (
                f"regulations.{number}",
                "is none of the regulations that this version knows "
                f"({', '.join(sorted(_KNOWN_REGULATIONS))}): compare it with Didomi's page "
                "Regulations, since events of all that are not listed are skipped",
            )
