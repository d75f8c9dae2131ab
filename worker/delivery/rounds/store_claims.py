"""What the state is asked for before a user's events are sent. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from worker.delivery.delivery import Delivery
from worker.fast_tuples import new_tuple
from worker.integrations.model import Integration
from worker.ordering.said_choices import NEWEST_SENT, WHOLE_RECORD, newest_of
from worker.ordering.store_protocol import ERASED, UNCLEAR, Claim
from worker.transform.mapping_plan import plan_of

_ALWAYS: Final = (ERASED, UNCLEAR)


def claim_of(integration: Integration, group: list[Delivery]) -> Claim:
    """That of one user's deliveries."""
    user = group[0].user
    if integration.keeps_more:
        paths = set(plan_of(integration).by_target)
        for one in group:  # decided by the mappings of a moment ago, which may have changed
            paths |= one.choice.attributes.keys() | one.choice.absent.keys()
        return Claim(user, paths | _beside_paths(integration, group), paths)
    own: Collection[str] = group[0].choice.attributes
    if len(group) > 1:
        own = {path for one in group for path in one.choice.attributes}
    if integration.event_time_path is None:
        return new_tuple(Claim, (user, (*own, *_ALWAYS), ()))
    return Claim(user, (*own, *_ALWAYS, NEWEST_SENT))


def _beside_paths(integration: Integration, group: list[Delivery]) -> set[str]:
    users = {one.choice.didomi_user for one in group}
    names = {name for one in users if one is not None for name in newest_of(one)}
    names.update(_ALWAYS)
    if integration.replaces_record:
        names.add(WHOLE_RECORD)
    if integration.event_time_path is not None:
        names.add(NEWEST_SENT)
    return names
