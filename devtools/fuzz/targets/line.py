"""The bytes that a broker sends: however they are cut, they are the same messages."""

from __future__ import annotations

from random import Random
from typing import Any, Final

from devtools.fuzz import amqp
from devtools.fuzz.target import Target
from devtools.fuzz.values import below, cuts, pick, pieces, spoiled
from worker.wire.frame_splitter import FrameSplitter

_LISTENED: Final = (1, 3)
_MOST_BODY_BYTES: Final = 100
_BAD_TAG: Final = 13

Case = tuple[bytes, list[int], int]


class _Seen:
    """What came of a line."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.passed_on = bytearray()

    def splitter(self) -> FrameSplitter:
        splitter = FrameSplitter(self.passed_on.extend)
        for channel in _LISTENED:
            splitter.listen(channel, self._take, self._refuse, self._hear, _MOST_BODY_BYTES)
        splitter.listen_for_alarms(lambda reason: self.told.append(("alarm", reason)))
        return splitter

    def _take(self, tag: int, content_header: bytes, body: bytes) -> None:
        if tag == _BAD_TAG:
            raise RecursionError
        self.told.append((tag, content_header, body))

    def _refuse(self, tag: int, body_bytes: int, _: bytes) -> None:
        self.told.append((tag, body_bytes))

    def _hear(self) -> None:
        self.told.append(())


def make(r: Random) -> Case:
    """A stream, where it is cut, and in how large portions it is sorted."""
    parts = []
    for tag in range(1, 1 + below(r, 7)):
        if r.random() < 0.75:
            parts.append(amqp.delivery(r, pick(r, (tag, tag, _BAD_TAG)), pick(r, (1, 3, 3, 9))))
        else:
            parts.append(amqp.noise(r))
    data = b"".join(parts)
    if r.random() < 0.15:
        data = spoiled(r, data)
    return data, cuts(r, len(data)), 1 + below(r, 9)


def check(case: Case) -> None:
    """See the module."""
    data, edges, portion = case
    whole = _sorted_by([data], 1_000_000)
    cut = _sorted_by(pieces(data, edges), max(1, portion))
    assert cut.told == whole.told, "other messages when they come in pieces"
    assert cut.passed_on == whole.passed_on, "other frames for aiormq when they come in pieces"


def _sorted_by(parts: list[bytes], portion: int) -> _Seen:
    seen = _Seen()
    splitter = seen.splitter()
    for part in parts:
        splitter.feed(part)
        while splitter.split(portion):
            pass
    splitter.end()
    return seen


TARGETS: Final = (Target("line", make, check, share=30),)
