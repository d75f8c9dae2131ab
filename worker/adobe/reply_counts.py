"""How Adobe answers, by class of HTTP status."""

from __future__ import annotations

from typing import Final

NO_REPLY: Final = "none"
STATUS_CLASSES: Final = ("1xx", "2xx", "3xx", "4xx", "5xx", NO_REPLY)


class ReplyCounts:
    """Counts Adobe's replies to all requests of this process: deliveries, look-ups, tokens and
    checks. A reply to a batch counts as one, whatever it says of its messages.
    """

    def __init__(self) -> None:
        self.by_class = dict.fromkeys(STATUS_CLASSES, 0)

    def came(self, status: int) -> None:
        """A reply of Adobe has come."""
        name = f"{status // 100}xx"
        self.by_class[name if name in self.by_class else NO_REPLY] += 1

    def stayed_away(self) -> None:
        """A request to Adobe had no reply: no connection, or it broke, or the time was over."""
        self.by_class[NO_REPLY] += 1
