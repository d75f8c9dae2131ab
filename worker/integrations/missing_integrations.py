"""Which integrations should have events and can't have them now, and which were in force lately, by
what this worker and others have seen.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from worker.integrations.loading import is_usable_id
from worker.integrations.model import Missing
from worker.integrations.safe_files import printable
from worker.integrations.version_claims import Assignment

LATELY_SECONDS: Final = 86_400.0
"""Long enough for somebody to notice that a customer's file is gone, and to put it back."""


class Seen(NamedTuple):
    """An integration as it was in force: whose it was, in which file, and the digest of what it
    said but for its name.
    """

    organization_id: str
    integration_id: str
    file_name: str
    content: str

    @property
    def key(self) -> tuple[str, str]:
        """What the integration goes by: an id of an organization."""
        return self.organization_id, self.integration_id

    def encode(self) -> str:
        """The integration as it was in force, as a text for `decode`."""
        return json.dumps(self, ensure_ascii=False, separators=(",", ":"))


def decode(text: str) -> Seen | None:
    """What `Seen.encode` wrote; None for anything else, which others may have put there."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, list) or len(fields) != len(Seen._fields):
        return None
    if not all(isinstance(one, str) for one in fields):
        return None
    seen = Seen(*fields)
    return seen if is_usable_id(seen.integration_id) else None


class RecentIntegrations:
    """The integrations that were in force lately. All times are seconds of one clock, which the
    caller reads.
    """

    def __init__(self) -> None:
        self._lost: dict[Seen, float] = {}
        self._remembered: frozenset[Seen] = frozenset()
        self._remembered_texts: frozenset[str] = frozenset()
        self._dismissed: dict[tuple[str, str], float] = {}

    def lose(self, seen: Seen, now: float) -> None:
        """The integration was in force until now."""
        self._dismissed.pop(seen.key, None)
        self._lost[seen] = now

    def dismiss(self, key: tuple[str, str], now: float) -> None:
        """Somebody meant the integration to go, whatever others still say."""
        self._dismissed[key] = now

    def welcome(self, key: tuple[str, str]) -> None:
        """The integration is in force again, and would be missed."""
        self._dismissed.pop(key, None)

    def remember(self, texts: Collection[str]) -> bool:
        """Keep which integrations all workers have seen lately, in place of what was kept; whether
        it is new.
        """
        if texts == self._remembered_texts:
            return False
        self._remembered_texts = frozenset(texts)
        decoded = (decode(one) for one in self._remembered_texts)
        self._remembered = frozenset(one for one in decoded if one is not None)
        return True

    def lately(self) -> Iterator[Seen]:
        """The integrations that were in force lately, in no order, and were not dismissed."""
        for seen in self._remembered.union(self._lost):
            if seen.key not in self._dismissed:
                yield seen

    def ids(self) -> frozenset[str]:
        """The ids of the integrations that were in force lately, dismissed ones too."""
        return frozenset(one.integration_id for one in self._remembered.union(self._lost))

    def dismissed(self) -> set[str]:
        """The integrations that others should forget, as they told them."""
        return {one.encode() for one in self._remembered if one.key in self._dismissed}

    def forget_old(self, now: float) -> bool:
        """Drop lost integrations that are no longer of interest; whether there was any."""
        old = [one for one, at in self._lost.items() if now - at >= LATELY_SECONDS]
        for one in old:
            del self._lost[one]
        for key in [key for key, at in self._dismissed.items() if now - at >= LATELY_SECONDS]:
            del self._dismissed[key]
        return bool(old)


@dataclass(frozen=True, slots=True)
class MissingIntegrations:
    """Which integrations are missing. `by_organization` has ids and why each is missing; `gone` are
    those that were in force lately. `replaced` have another id now, and are not missing.
    `doubt_about_all` says why any organization may have one more integration than is known.
    """

    by_organization: Mapping[str, Mapping[str, Missing]] = field(default_factory=dict)
    gone: frozenset[Seen] = frozenset()
    replaced: frozenset[tuple[str, str]] = frozenset()
    doubt_about_all: str | None = None


def find_missing(assignment: Assignment, lately: Collection[Seen]) -> MissingIntegrations:
    """Which integrations are missing, by those in force and those that were `lately`."""
    in_force = [one.integration for one in assignment.in_force.values()]
    keys = {(one.organization_id, one.id) for one in in_force}
    contents = {(one.organization_id, one.content_digest) for one in in_force}
    absent = [one for one in lately if one.key not in keys]
    replaced = {one.key for one in absent if (one.organization_id, one.content) in contents}
    gone = frozenset(one for one in absent if one.key not in replaced)
    missing: dict[str, dict[str, Missing]] = defaultdict(dict)
    for one in sorted(gone):
        missing[one.organization_id][one.integration_id] = "gone"
    for organization, ids in assignment.broken.items():
        missing[organization].update(dict.fromkeys(ids, "broken"))
    return MissingIntegrations(
        dict(missing), gone, frozenset(replaced), _doubt_about_all(assignment, lately)
    )


def _doubt_about_all(assignment: Assignment, lately: Collection[Seen]) -> str | None:
    """A bad file by whose name an integration is known is not anybody's: it is missed by name."""
    known = {one.path.name for one in assignment.in_force.values()}
    known.update(one.file_name for one in lately)
    for path in assignment.unreadable:
        if path.name not in known:
            return f"the file {printable(path.name)} does not tell its organization"
    return None
