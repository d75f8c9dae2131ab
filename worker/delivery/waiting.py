"""What waits in a lane, by user: fresh events, and due ones, which have made an attempt.

A user has at most one message under way, with a gap after it; what comes for the user meanwhile
waits behind it. Pure.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator

from worker.broker.intake import Intake
from worker.delivery.delivery import Delivery

Groups = dict[str, list[Delivery]]
"""Deliveries by their user, in the order in which the users' turns come."""


class Waiting:
    """`fresh` and `due` have what may go now. Of one user it goes as one message each."""

    def __init__(self) -> None:
        self.fresh: Groups = {}
        self.due: Groups = {}
        self._behind: Groups = {}
        self._gaps: list[tuple[float, str]] = []
        self.events = 0
        """All that waits, also behind a message that is under way."""
        self.due_events = 0
        """Those of them that are due."""

    def __iter__(self) -> Iterator[list[Delivery]]:
        for groups in (self.fresh, self.due, self._behind):
            yield from groups.values()

    @property
    def has_users(self) -> bool:
        """Whether anything waits, is under way, or in a gap."""
        return bool(self.fresh or self.due or self._behind)

    def add(self, delivery: Delivery) -> bool:
        """Take one in; whether it may go now."""
        self._count(delivery, 1)
        return self._place(delivery)

    def together_with(self, delivery: Delivery) -> list[Delivery]:
        """The group of one that may go, as it is now."""
        return self._groups_of(delivery)[delivery.user]

    def begin(self, groups: list[list[Delivery]]) -> None:
        """These groups, each all that is fresh or all that is due of a user, are under way."""
        for group in groups:
            user = group[0].user
            del self._groups_of(group[0])[user]
            self._behind[user] = self.fresh.pop(user, []) + self.due.pop(user, [])
            for delivery in group:
                self._count(delivery, -1)

    def end(self, user: str, gap_until: float) -> None:
        """Nothing of `user` is under way any more; what is behind may go from `gap_until` on."""
        heapq.heappush(self._gaps, (gap_until, user))

    def put_behind(self, delivery: Delivery) -> None:
        """It is to go after the message of its user that is under way."""
        self._count(delivery, 1)
        self._behind[delivery.user].insert(0, delivery)

    def put_back(self, groups: list[list[Delivery]]) -> None:
        """They were not sent: to the head of what waits, before what came for their users."""
        heads: tuple[Groups, Groups] = ({}, {})
        behind: list[Delivery] = []
        for group in groups:
            heads[_is_due(group[0])][group[0].user] = list(group)
            behind += self._behind.pop(group[0].user)
            for delivery in group:
                self._count(delivery, 1)
        self.fresh = heads[False] | self.fresh
        self.due = heads[True] | self.due
        for delivery in behind:
            self._place(delivery)

    def end_gaps(self, now: float) -> float | None:
        """Let go what is behind a gap that is over; when the next one is."""
        gaps = self._gaps
        while gaps and gaps[0][0] <= now:
            for delivery in self._behind.pop(heapq.heappop(gaps)[1], ()):
                self._place(delivery)
        return gaps[0][0] if gaps else None

    def drop_lost(self) -> None:
        """Let go of what the broker has again."""
        self._keep(lambda one: one.message.is_ours)

    def clear(self) -> list[Delivery]:
        """Everything, taken out."""
        cleared = [one for group in self for one in group]
        self._keep(lambda _: False)
        return cleared

    def shed(self, intake: Intake, events: int) -> list[Delivery]:
        """`events` of the fresh ones of `intake`, or all there are, the newest users first, taken
        out. What is begun stays, and so does a suspect.
        """
        shed: list[Delivery] = []
        for groups in (self.fresh, self._behind):
            for user in reversed(groups):
                if len(shed) >= events:
                    break
                shed += [one for one in groups[user] if _may_be_shed(one, intake)]
        if shed:
            gone = set(shed)
            self._keep(lambda one: one not in gone)
        return shed

    def _keep(self, is_kept: Callable[[Delivery], bool]) -> None:
        for groups in (self.fresh, self.due, self._behind):
            for user, group in list(groups.items()):
                kept: list[Delivery] = []
                for one in group:
                    if is_kept(one):
                        kept.append(one)
                    else:
                        self._count(one, -1)
                groups[user] = kept
                if not kept and groups is not self._behind:
                    del groups[user]

    def _place(self, delivery: Delivery) -> bool:
        behind = self._behind.get(delivery.user)
        if behind is not None:
            behind.append(delivery)
            return False
        self._groups_of(delivery).setdefault(delivery.user, []).append(delivery)
        return True

    def _groups_of(self, delivery: Delivery) -> Groups:
        return self.due if _is_due(delivery) else self.fresh

    def _count(self, delivery: Delivery, by: int) -> None:
        self.events += by
        if _is_due(delivery):
            self.due_events += by


def _is_due(delivery: Delivery) -> bool:
    return delivery.state.attempts_made > 0


def _may_be_shed(delivery: Delivery, intake: Intake) -> bool:
    return delivery.message.intake is intake and not (delivery.is_alone or _is_due(delivery))
