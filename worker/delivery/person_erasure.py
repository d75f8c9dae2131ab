"""A person's wish to be forgotten: in the state, and what of the dead letters is theirs."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

import orjson

from worker.broker.headers import BUNDLE
from worker.delivery.bundles.bundle_format import NotABundle, unpack
from worker.integrations.model import Integration
from worker.ordering.store_protocol import Claim, Granted, NewestStore, Settlement
from worker.ordering.user_digests import UserKeys
from worker.transform.identity import possible_identities

_LONGEST_WAIT_SECONDS: Final = 1.0
_ID_FIELDS: Final = frozenset({"organization_user_id", "email"})

Concern = Literal["theirs", "among others", "not theirs"]


class Person:
    """The person to be forgotten, by the ids that they have at the producer, for these
    integrations. `everywhere`: whatever organization an event is of; otherwise only those of the
    integrations.
    """

    def __init__(
        self, ids: Collection[str], integrations: Sequence[Integration], *, everywhere: bool
    ) -> None:
        self.ids = {one.strip() for one in ids}
        self._integrations = integrations
        self._everywhere = everywhere
        self._values = {one.id: self._values_at(one, self.ids) for one in integrations}

    def users(self, integration: Integration, keys: UserKeys) -> set[str]:
        """What the state calls the person, whichever identifier an event has."""
        return {
            keys.user_key(integration.state_id, place, value)
            for place, value in self._values[integration.id]
        }

    def concern_of(self, headers: Mapping[str, Any], body: bytes) -> Concern:
        """Whether a dead letter is theirs alone, or speaks of them among others: a bundle, a list,
        a text that is no event.
        """
        if BUNDLE not in headers:
            return self._concern(body)
        try:
            each = {self._concern(inner) for _, inner in unpack(body)}
        except NotABundle:
            return self._concern_of_text(body)
        if each == {"theirs"}:
            return "theirs"
        return "not theirs" if each == {"not theirs"} else "among others"

    def _concern(self, body: bytes) -> Concern:
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError:
            return self._concern_of_text(body)
        users: set[bool] = set()
        organizations: set[str] = set()
        for name, value in _texts(document):
            if name == "organization_id":
                organizations.add(value)
        here = [one for one in self._integrations if one.organization_id in organizations]
        if not here and not self._everywhere:
            return "not theirs"
        for name, value in _texts(document):
            if name in _ID_FIELDS:
                users.add(value.strip() in self.ids or self._is_theirs_at(here, value))
        if True not in users:
            return "not theirs"
        return "among others" if isinstance(document, list) and False in users else "theirs"

    def _is_theirs_at(self, integrations: Sequence[Integration], value: str) -> bool:
        """By the identity that a value would be at Adobe: there two spellings may be one."""
        return any(self._values_at(one, {value}) & self._values[one.id] for one in integrations)

    def _concern_of_text(self, body: bytes) -> Concern:
        said = any(one.encode(errors="surrogatepass") in body for one in self.ids)
        return "among others" if said else "not theirs"

    @staticmethod
    def _values_at(integration: Integration, ids: Collection[str]) -> set[tuple[str, str]]:
        return {
            (identity.place, identity.value)
            for one in ids
            for identity in possible_identities(integration, one)
        }


async def erase_from_state(
    store: NewestStore, state_id: str, user: str, before_ms: int, kept_seconds: float
) -> None:
    """Forget the stamps of a user, and have all choices until `before_ms` (ms since the epoch)
    skipped as erased for so long. Waits while somebody sends for the user. Raises
    `StoreUnavailable`.
    """
    while True:
        (answer,) = await store.begin(state_id, [Claim(user, ())])
        if isinstance(answer, Granted):
            break
        await asyncio.sleep(min(answer.wait_seconds, _LONGEST_WAIT_SECONDS))
    await store.erase(state_id, user, before_ms, kept_seconds)
    await store.settle(state_id, [Settlement(user, answer.lease, {}, False)], 0)


def _texts(document: Any) -> Iterator[tuple[str, str]]:
    """Every text in a document with the name of its field, however deep."""
    waiting = [("", document)]
    while waiting:
        name, node = waiting.pop()
        if isinstance(node, dict):
            waiting += node.items()
        elif isinstance(node, list):
            waiting += [(name, one) for one in node]
        elif isinstance(node, str):
            yield name, node
