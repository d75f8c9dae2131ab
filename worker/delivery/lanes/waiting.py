"""What waits in a lane, by user: fresh events, and due ones, which have made an attempt.

A user has at most one message under way, with a gap after it; what comes for the user meanwhile
waits behind it. Pure.
"""

from __future__ import annotations

from collections import deque
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
        self._gaps: dict[float, deque[tuple[float, str]]] = {}
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
        self.events += 1
        if delivery.is_due:
            self.due_events += 1
        return self._place(delivery)

    def together_with(self, delivery: Delivery) -> list[Delivery]:
        """The group of one that may go, as it is now."""
        return self._groups_of(delivery)[delivery.user]

    def begin(self, groups: list[list[Delivery]]) -> None:
        """These groups, each all that is fresh or all that is due of a user, are under way."""
        for group in groups:
            user, is_due = group[0].user, group[0].is_due
            own, other = (self.due, self.fresh) if is_due else (self.fresh, self.due)
            del own[user]
            self._behind[user] = other.pop(user, [])
            self.events -= len(group)
            if is_due:
                self.due_events -= len(group)

    def end(self, user: str, gap_seconds: float, now: float) -> None:
        """Nothing of `user` is under way any more; what is behind may go after the gap."""
        # Those with equally long gaps end in the order in which they began.
        gaps = self._gaps.get(gap_seconds)
        if gaps is None:
            gaps = self._gaps[gap_seconds] = deque()
        gaps.append((now + gap_seconds, user))

    def put_behind(self, delivery: Delivery) -> None:
        """It is to go after the message of its user that is under way."""
        self._count(delivery, 1)
        self._behind[delivery.user].insert(0, delivery)

    def put_back(self, groups: list[list[Delivery]]) -> None:
        """They were not sent: to the head of what waits, before what came for their users."""
        heads: tuple[Groups, Groups] = ({}, {})
        behind: list[Delivery] = []
        for group in groups:
            heads[group[0].is_due][group[0].user] = list(group)
            behind += self._behind.pop(group[0].user)
            for delivery in group:
                self._count(delivery, 1)
        self.fresh = heads[False] | self.fresh
        self.due = heads[True] | self.due
        for delivery in behind:
            self._place(delivery)

    def end_gaps(self, now: float) -> float | None:
        """Let go what is behind a gap that is over; when the next one is."""
        next_end: float | None = None
        for length, gaps in list(self._gaps.items()):
            while gaps and gaps[0][0] <= now:
                for delivery in self._behind.pop(gaps.popleft()[1], ()):
                    self._place(delivery)
            if not gaps:
                del self._gaps[length]
            elif next_end is None or gaps[0][0] < next_end:
                next_end = gaps[0][0]
        return next_end

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
        groups = self.due if delivery.is_due else self.fresh
        group = groups.get(delivery.user)
        if group is None:
            groups[delivery.user] = [delivery]
        else:
            group.append(delivery)
        return True

    def _groups_of(self, delivery: Delivery) -> Groups:
        return self.due if delivery.is_due else self.fresh

    def _count(self, delivery: Delivery, by: int) -> None:
        self.events += by
        if delivery.is_due:
            self.due_events += by


def _may_be_shed(delivery: Delivery, intake: Intake) -> bool:
    return delivery.message.intake is intake and not (delivery.is_alone or delivery.is_due)
