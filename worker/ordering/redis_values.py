"""What Redis has stored of users, read back: stamps, and the texts beside them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from worker.ordering.stamp import Stamp
from worker.ordering.store_protocol import UNCLEAR, Claim, Granted, to_ms
from worker.ordering.unclear_requests import merged
from worker.ordering.user_digests import Marks, shown_user

log = structlog.get_logger(__name__)

_TELL_AGAIN_SECONDS: Final = 60.0
_LATEST_SECONDS: Final = 2 * 86_400.0
"""How far ahead a stamp may be: events of more than five minutes ahead wait, and no worker's clock
is days off."""


class RedisValues:
    """Reads what Redis has stored of users; counts what it can't read, and tells of it from time to
    time. `clock` is monotonic, in seconds; `marks` are those of the secrets by which users are
    called.
    """

    def __init__(self, clock: Callable[[], float], marks: Marks | None = None) -> None:
        self._clock = clock
        self._marks = marks
        self.unreadable = 0
        """How many values could not be read since the start."""
        self._told_unreadable_at = -_TELL_AGAIN_SECONDS

    def granted(self, lease: int, claim: Claim, values: Sequence[bytes | None]) -> Granted:
        """What is known of a user whose values came back in the order of the claim. A value that
        can't be read counts as unknown: it concerns that attribute alone. During a rotation of the
        secret each attribute has two, of which the newer counts. Raises ValueError for another
        number of values.
        """
        if claim.texts:
            return self._granted_with_texts(lease, claim, values)
        stored: dict[str, Stamp] = {}
        is_damaged = False
        last_ms = latest_ms()
        paths = list(claim.attributes)
        if len(values) == 2 * len(paths):
            paths *= 2
        for path, value in zip(paths, values, strict=True):
            if value is None:
                continue
            try:
                stamp = Stamp.decode(as_text(value))
                if stamp.time_ms > last_ms:
                    raise ValueError("of the future")
            except ValueError:
                is_damaged = True
                self._tell_unreadable(claim.user)
            else:
                known = stored.get(path, stamp)
                stored[path] = merged(stamp, known) if path == UNCLEAR else max(stamp, known)
        return Granted(lease, stored, is_damaged=is_damaged)

    def _granted_with_texts(
        self, lease: int, claim: Claim, values: Sequence[bytes | None]
    ) -> Granted:
        """During a rotation the text of the stamp that counts."""
        of_stamps, size = len(claim.attributes), len(claim.attributes) + len(claim.texts)
        stamps_alone = claim._replace(texts=())
        stored: dict[str, Stamp] = {}
        texts: dict[str, str] = {}
        is_damaged = False
        for first in range(0, len(values), size):
            part = self.granted(lease, stamps_alone, values[first : first + of_stamps])
            found, is_damaged = part.stored, is_damaged or part.is_damaged
            said = values[first + of_stamps : first + size]
            for path, text in zip(claim.texts, said, strict=True):
                if path not in stored or found.get(path, stored[path]) > stored[path]:
                    texts.pop(path, None)
                    if text is not None:
                        texts[path] = as_text(text)
            for path, stamp in found.items():
                known = stored.get(path, stamp)
                stored[path] = merged(stamp, known) if path == UNCLEAR else max(stamp, known)
        return Granted(lease, stored, texts, is_damaged)

    def _tell_unreadable(self, user: str) -> None:
        self.unreadable += 1
        now = self._clock()
        if now >= self._told_unreadable_at + _TELL_AGAIN_SECONDS:
            self._told_unreadable_at = now
            log.error(
                "ordering.unreadable_value",
                user=shown_user(user, self._marks),
                detail="a value in Redis can't be read and counts as unknown: an older choice of "
                "this user may be sent once more; a whole record is sent after a look-up, or waits",
            )


def latest_ms() -> int:
    """No choice of ours is of a later time than this (ms since 1970): events of the future wait."""
    return to_ms(time.time() + _LATEST_SECONDS)


def as_text(value: bytes) -> str:
    """Bytes of Redis as text. Bytes that are no text can only be in an id. That of an event orders
    nothing but ties: the time before it still counts, here as in settle.lua.
    """
    try:
        return value.decode(errors="surrogatepass")
    except UnicodeDecodeError:
        return value.decode(errors="replace")
