"""One-time tokens of previewed acts and of letters to reveal: a form that is sent twice does one
thing. Pure but for their names.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

Asked = TypeVar("Asked")

LIFE_MS: Final = 15 * 60_000
_MOST: Final = 1_000


class Spent(Exception):
    """A form's ticket was used before, for `act`; or nobody knows it any more, and `act` is ""."""

    def __init__(self, act: str) -> None:
        super().__init__(act)
        self.act = act


@dataclass(slots=True)
class _Ticket(Generic[Asked]):
    asked: Asked | None
    """None once it was used: what it was for may be large."""
    session: str
    at: int
    act: str = ""


class Tickets(Generic[Asked]):
    """The tickets of forms: each is good once, for the session that it was made for, and for a
    quarter of an hour; of those that were not used the last `most_open` are.
    """

    def __init__(self, now_ms: Callable[[], int], most_open: int = _MOST) -> None:
        self._now_ms = now_ms
        self._most_open = most_open
        self._tickets: OrderedDict[str, _Ticket[Asked]] = OrderedDict()

    def issue(self, asked: Asked, session: str) -> str:
        """A new ticket of a form, for what was asked for."""
        self._make_room()
        name = secrets.token_urlsafe(16)
        self._tickets[name] = _Ticket(asked, session, self._now_ms())
        return name

    def look(self, name: str, session: str) -> Asked:
        """What the ticket of a form is for, which stays good. Raises `Spent`."""
        return self._good(name, session)[1]

    def spend(self, name: str, session: str, act: str) -> Asked:
        """What the ticket of a form is for, which is used for `act` now. Raises `Spent`."""
        ticket, asked = self._good(name, session)
        ticket.act, ticket.asked = act, None
        return asked

    def _make_room(self) -> None:
        unused = [(name, one) for name, one in self._tickets.items() if not one.act]
        fresh = [name for name, one in unused if not self._is_old(one)]
        kept = set(fresh[max(0, len(fresh) - self._most_open + 1) :])
        for name, _ in unused:
            if name not in kept:
                del self._tickets[name]
        while len(self._tickets) >= _MOST:
            self._tickets.popitem(last=False)

    def _is_old(self, ticket: _Ticket[Asked]) -> bool:
        return self._now_ms() - ticket.at > LIFE_MS

    def _good(self, name: str, session: str) -> tuple[_Ticket[Asked], Asked]:
        ticket = self._tickets.get(name)
        if ticket is None or ticket.session != session:
            raise Spent("")
        if ticket.asked is None or self._is_old(ticket):
            raise Spent(ticket.act)
        return ticket, ticket.asked
