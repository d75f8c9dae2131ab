"""One-time tokens of what was previewed: a form that is sent twice does one thing. Pure but for
their names.
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
    """The ticket was used before, for `act`; or nobody knows it any more, and `act` is ""."""

    def __init__(self, act: str) -> None:
        super().__init__(act)
        self.act = act


@dataclass(slots=True)
class _Ticket(Generic[Asked]):
    asked: Asked
    session: str
    at: int
    act: str = ""


class Tickets(Generic[Asked]):
    """A ticket is good once, for the session that it was made for, and for a quarter of an hour."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._tickets: OrderedDict[str, _Ticket[Asked]] = OrderedDict()

    def issue(self, asked: Asked, session: str) -> str:
        """A new ticket for what was asked for."""
        while len(self._tickets) >= _MOST:
            self._tickets.popitem(last=False)
        name = secrets.token_urlsafe(16)
        self._tickets[name] = _Ticket(asked, session, self._now_ms())
        return name

    def look(self, name: str, session: str) -> Asked:
        """What a ticket is for, which stays good. Raises `Spent`."""
        return self._good(name, session).asked

    def spend(self, name: str, session: str, act: str) -> Asked:
        """What a ticket is for, which is used for `act` now. Raises `Spent`."""
        ticket = self._good(name, session)
        ticket.act = act
        return ticket.asked

    def _good(self, name: str, session: str) -> _Ticket[Asked]:
        ticket = self._tickets.get(name)
        if ticket is None or ticket.session != session:
            raise Spent("")
        if ticket.act or self._now_ms() - ticket.at > LIFE_MS:
            raise Spent(ticket.act)
        return ticket
