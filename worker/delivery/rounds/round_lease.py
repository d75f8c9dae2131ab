"""The time of a round's leases, and what is settled after it.

While the state is away for longer than that, another worker that can reach it may get the lease of
a user, find no stamp of what Adobe has just accepted, and send an older choice. So what is settled
late leaves a mark beside its stamps, as an unclear answer does: until the other's lease must be
over, all that Adobe accepts of that user is sent once more then. So is what was settled late.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from worker.delivery.rounds.user_message import UserMessage
from worker.ordering.snapshot_fold import BEFORE_ALL
from worker.ordering.stamp import Stamp
from worker.ordering.store_protocol import UNCLEAR, Settlement, to_ms
from worker.ordering.unclear_requests import Moment, added, mark_of


class RoundLease:
    """The leases of a round, which begin now or later and last for `seconds`, by a `clock` that
    goes on while the machine sleeps. `is_whole`: the round sends whole records.
    """

    def __init__(self, seconds: float, clock: Callable[[], float], *, is_whole: bool) -> None:
        self._clock = clock
        self._ends_at = clock() + seconds
        self._for_ms = to_ms(seconds)
        self._is_whole = is_whole
        self._was_late = False

    @property
    def is_over(self) -> bool:
        """Whether the leases may have run out."""
        return self._clock() >= self._ends_at

    def marked(self, settlements: Sequence[Settlement]) -> list[Settlement]:
        """What is to be settled after the leases have run out."""
        self._was_late = True
        return [self._marked(one) if one.written else one for one in settlements]

    def tell(self, messages: Iterable[UserMessage]) -> None:
        """Let messages that were settled late know it: what Adobe accepted of them is repeated."""
        if not self._was_late:  # nearly always
            return
        for message in messages:
            for one in (message, *message.parts):
                mark = added(self._mark(), one.granted.get(UNCLEAR))
                one.granted = {**one.granted, UNCLEAR: mark}

    def _marked(self, settlement: Settlement) -> Settlement:
        mark = added(self._mark(), settlement.written.get(UNCLEAR))
        return settlement._replace(written={**settlement.written, UNCLEAR: mark})

    def _mark(self) -> Stamp:
        moment = Moment(BEFORE_ALL.time_ms, "")  # of whatever was sent meanwhile
        return mark_of([moment], self._for_ms, None, is_whole=self._is_whole)
