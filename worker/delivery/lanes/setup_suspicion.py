"""Refusals that speak of the set-up and not of the message: when they prove it. Pure.

Adobe refuses each message of a customer whose organization, schema or dataset is configured wrongly
with a 400, as if each were at fault by itself. One such text proves little, many in a row do.
"""

from __future__ import annotations

from typing import Final

from worker.adobe.refusal_texts import Fault

_MESSAGES: Final = 20
_USERS: Final = 2


class SetupSuspicion:
    """Of one integration, since its configuration changed last."""

    def __init__(self) -> None:
        self._was_accepted = False
        self._refused = 0
        self._users: set[str] = set()

    def accepted(self) -> None:
        """Adobe took a message, so nothing is proven by what was refused before."""
        self._was_accepted = True
        self._refused = 0
        self._users.clear()

    def concerns(self, fault: Fault) -> bool:
        """Whether a refusal with that `fault` may be the set-up's.

        A text that both a wrong set-up and a wrong message can have is the message's, once Adobe
        has taken another one under the same configuration.
        """
        return fault == "set-up" or (fault != "message" and not self._was_accepted)

    def refused(self, user: str) -> bool:
        """One more message is refused that way; says whether that proves the set-up wrong: at
        least 20 messages of at least two users in a row.
        """
        self._refused += 1
        if len(self._users) < _USERS:
            self._users.add(user)
        return self._refused >= _MESSAGES and len(self._users) >= _USERS
