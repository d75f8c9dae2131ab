"""What waits in a lane, by user: fresh events, and due ones, which have made an attempt.

A user has at most one message under way, with a gap after it; what comes for the user meanwhile
waits behind it. Pure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from worker.broker.message import Source
from worker.delivery.delivery import Delivery


class UserGaps:
    """Each gap of a user, with its end; times are seconds of one clock."""

    def __init__(self) -> None:
        # Those with equally long gaps end in the order in which they began.
        self._by_length: dict[float, deque[tuple[float, str]]] = {}

    def begin(self, user: str, gap_seconds: float, now: float) -> None:
        """Nothing of `user` is under way any more; what waits for that may go after the gap."""
        gaps = self._by_length.get(gap_seconds)
        if gaps is None:
            gaps = self._by_length[gap_seconds] = deque()
        gaps.append((now + gap_seconds, user))

    def end(self, now: float) -> tuple[list[str], float | None]:
        """The users whose gap is over; and when the next one is, None if there is none."""
        over: list[str] = []
        next_end: float | None = None
        for length, gaps in list(self._by_length.items()):
            while gaps and gaps[0][0] <= now:
                over.append(gaps.popleft()[1])
            if not gaps:
                del self._by_length[length]
            elif next_end is None or gaps[0][0] < next_end:
                next_end = gaps[0][0]
        return over, next_end


Groups = dict[str, list[Delivery]]
"""Deliveries by their user, in the order in which the users' turns come."""


class Waiting:
    """The events that wait in a lane. `fresh` and `due` have what may go now. Of one user it goes
    as one message each.
    """

    def __init__(self) -> None:
        self.fresh: Groups = {}
        self.due: Groups = {}
        self._blocked_by_user: Groups = {}
        self.gaps = UserGaps()
        self.oldest: Delivery | None = None
        """Tells by its age whether the lane keeps up, also while it is in a request."""
        self.events = 0
        """All that waits, also behind a message that is under way."""
        self.due_events = 0
        """Those of them that are due."""

    def __iter__(self) -> Iterator[list[Delivery]]:
        for groups in (self.fresh, self.due, self._blocked_by_user):
            yield from groups.values()

    @property
    def has_users(self) -> bool:
        """Whether any user of the lane has events that wait or are under way, or is in a gap."""
        return bool(self.fresh or self.due or self._blocked_by_user)

    def add(self, delivery: Delivery) -> list[Delivery] | None:
        """Take a delivery in. All that waits with it and may go now; None if it may not."""
        self.events += 1
        if delivery.is_due:
            self.due_events += 1
        return self._place(delivery)

    def begin(self, groups: list[list[Delivery]]) -> None:
        """These groups of events, each all fresh or all due ones of a user, are under way."""
        for group in groups:
            user, is_due = group[0].user, group[0].is_due
            own, other = (self.due, self.fresh) if is_due else (self.fresh, self.due)
            del own[user]
            self._blocked_by_user[user] = other.pop(user, [])
            self.events -= len(group)
            if is_due:
                self.due_events -= len(group)

    def put_behind(self, delivery: Delivery) -> None:
        """A delivery is to go after the message of its user that is under way."""
        self._count(delivery, 1)
        self._blocked_by_user[delivery.user].insert(0, delivery)

    def put_back(self, groups: list[list[Delivery]]) -> None:
        """Put groups that were not sent at the head, before what came for their users."""
        heads: tuple[Groups, Groups] = ({}, {})
        behind: list[Delivery] = []
        for group in groups:
            heads[group[0].is_due][group[0].user] = list(group)
            behind += self._blocked_by_user.pop(group[0].user)
            for delivery in group:
                self._count(delivery, 1)
        self.fresh = heads[False] | self.fresh
        self.due = heads[True] | self.due
        for delivery in behind:
            self._place(delivery)

    def end_gaps(self, now: float) -> float | None:
        """Let events go that waited for a user's gap that is over; when the next gap is."""
        users, next_end = self.gaps.end(now)
        for user in users:
            for delivery in self._blocked_by_user.pop(user, ()):
                self._place(delivery)
        return next_end

    def watch_next(self) -> None:
        """The oldest event is through, or gone: the next one is the first fresh one that waits."""
        self.oldest = next((group[0] for group in self.fresh.values()), None)

    def drop_returned(self) -> None:
        """Let go of waiting deliveries that the broker has again."""
        self._keep(lambda one: one.message.is_ours)
        if self.oldest is not None and not self.oldest.message.is_ours:
            self.watch_next()

    def take_all(self) -> list[Delivery]:
        """All deliveries that wait in the lane, taken out."""
        taken = [one for group in self for one in group]
        self._keep(lambda _: False)
        self.watch_next()
        return taken

    def give_up(self, intake: Source, events: int) -> list[Delivery]:
        """Waiting deliveries, taken out: `events` of the fresh ones of `intake`, or all there are,
        the newest users first. What is begun stays, and so does a suspect.
        """
        given_up: list[Delivery] = []
        for groups in (self.fresh, self._blocked_by_user):
            for user in reversed(groups):
                if len(given_up) >= events:
                    break
                given_up += [one for one in groups[user] if _may_be_given_up(one, intake)]
        if given_up:
            gone = set(given_up)
            self._keep(lambda one: one not in gone)
            if self.oldest in gone:
                self.watch_next()
        return given_up

    def _keep(self, is_kept: Callable[[Delivery], bool]) -> None:
        for groups in (self.fresh, self.due, self._blocked_by_user):
            for user, group in list(groups.items()):
                kept: list[Delivery] = []
                for one in group:
                    if is_kept(one):
                        kept.append(one)
                    else:
                        self._count(one, -1)
                groups[user] = kept
                if not kept and groups is not self._blocked_by_user:
                    del groups[user]

    def _place(self, delivery: Delivery) -> list[Delivery] | None:
        behind = self._blocked_by_user.get(delivery.user)
        if behind is not None:
            behind.append(delivery)
            return None
        groups = self.due if delivery.is_due else self.fresh
        group = groups.get(delivery.user)
        if group is None:
            group = groups[delivery.user] = [delivery]
        else:
            group.append(delivery)
        return group

    def _count(self, delivery: Delivery, by: int) -> None:
        self.events += by
        if delivery.is_due:
            self.due_events += by


def _may_be_given_up(delivery: Delivery, intake: Source) -> bool:
    return delivery.message.source is intake and not (delivery.is_suspect or delivery.is_due)
