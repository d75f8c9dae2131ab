"""Bundles that come back are opened one after the other, and handed on in slices.

While fresh events come, these go first: a bundle may have many events, and most of them may be
parked again at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from worker.broker import headers as names
from worker.broker.message import Incoming, Source
from worker.delivery.bundles.bundle_format import MOST_VALUES, NotABundle, unpack
from worker.delivery.slices import REST_SECONDS, SLICE_EVENTS, handle_slice, not_handled
from worker.wire.table_reader import Budget

HURRY_SECONDS: Final = 0.004
"""The rest after a slice where the lane keeps up with what is opened."""
_UNOPENED_EVENTS: Final = 5
"""What is dealt with as a whole takes as long as so many events."""

Open = Callable[[Incoming], tuple[list[Incoming], float]]


class BundleOpening:
    """`open_bundle` gets a bundle when its turn has come, and gives its events, none if it was
    dealt with as a whole, and for how long to rest after each slice of them while fresh events
    come; `take` gets each event.
    """

    def __init__(self, open_bundle: Open, take: Callable[[Incoming], None]) -> None:
        self._open = open_bundle
        self._take = take
        self._bundles: deque[Incoming] = deque()
        self._events: deque[Incoming] = deque()
        self._rest_seconds = self._rest_of_slice = REST_SECONDS
        self._timer: asyncio.TimerHandle | None = None

    def add(self, message: Incoming) -> None:
        """A bundle has come back, and waits for its turn."""
        self._bundles.append(message)
        if self._timer is None:
            self._wait()

    def take_unopened(self, is_taken: Callable[[Incoming], bool]) -> list[Incoming]:
        """The bundles whose turn has not come, taken out, as far as they are to be."""
        there = [one for one in self._bundles if one.is_ours]
        taken = [one for one in there if is_taken(one)]
        self._bundles = deque(one for one in there if one not in taken)
        return taken

    def _wait(self) -> None:
        first = (self._events or self._bundles)[0]
        seconds = self._rest_seconds if first.source.gives_way() else 0
        self._timer = asyncio.get_running_loop().call_later(seconds, self._next)

    def _next(self) -> None:
        self._timer = None
        handled = _UNOPENED_EVENTS
        if not self._events and self._bundles:
            bundle = self._bundles.popleft()
            if bundle.is_ours:  # or the broker gives it out again
                try:
                    events, self._rest_of_slice = self._open(bundle)
                except Exception as error:
                    not_handled(error)
                else:
                    self._events.extend(events)
        if self._events:
            handled = handle_slice(self._events, self._take)
        # After fewer as much less, or many small bundles would keep others' parked events waiting.
        self._rest_seconds = self._rest_of_slice * handled / SLICE_EVENTS
        if self._events or self._bundles:
            self._wait()


class _Bundle:
    """A bundle that came back: done when all of its events are."""

    def __init__(self, message: Incoming) -> None:
        self.source: Source = message.source
        self._message = message

    def acknowledge(self, _: int) -> None:
        self._message.done()

    def refuse(self, _: int) -> None:
        """All of it becomes a dead letter: the broker knows no part of a message."""
        self._message.refuse(0)

    def note_record(self) -> None:
        self._message.note_record()

    def place_of(self, _: int) -> object:
        """All of its events are in hand as long as one of them is."""
        return self


def events_of(message: Incoming, returns: int) -> list[Incoming]:
    """The events of a bundle that was returned so often, as messages; raises `NotABundle`.

    Since when they are blocked, how often they were replayed, and whether they were returned, is
    told by the bundle, which may have been parked again unopened, replayed or moved as a whole.
    """
    events = unpack(message.body)
    bundle = _Bundle(message)
    budget = Budget(MOST_VALUES)
    messages = [
        Incoming(number, content_header, body, bundle, budget)
        for number, (content_header, body) in enumerate(events)
    ]
    if any(names.BUNDLE in one.headers for one in messages):
        raise NotABundle("a bundle within a bundle")
    told = {names.RETURNS: returns} if returns else {}
    for name in (names.PARKS, names.BLOCKED_SINCE, names.RETURNED):
        if name in message.headers:
            told[name] = message.headers[name]
    replays = _replays(message)
    if replays > max(map(_replays, messages), default=0):
        # Only of one that was replayed as a whole: workers before 0.3 gathered events of different
        # numbers, and such a bundle has that of its first event.
        told[names.REPLAYS] = replays
    for one in messages:
        kept = one.headers
        if names.BLOCKED_SINCE in kept and names.BLOCKED_SINCE not in told:
            kept = {key: value for key, value in kept.items() if key != names.BLOCKED_SINCE}
        one.headers = {**kept, **told} if told else kept
    message.divide(len(messages))
    return messages


def _replays(message: Incoming) -> int:
    count = message.headers.get(names.REPLAYS, 0)
    return count if type(count) is int else 0
