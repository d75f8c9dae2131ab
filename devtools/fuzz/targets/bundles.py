"""Events that were parked together: opened as they were packed, or refused."""

from __future__ import annotations

from random import Random
from struct import pack as packed_number
from types import SimpleNamespace
from typing import Final, cast

from devtools.fuzz import amqp
from devtools.fuzz.target import Target
from devtools.fuzz.values import below, pick, spoiled
from worker.broker.message import Holder, Incoming
from worker.delivery.bundles.bundle_format import NotABundle, first_body, pack, unpack
from worker.delivery.bundles.opening import events_of

_HOLDER: Final = cast(
    "Holder",
    SimpleNamespace(source=None, acknowledge=lambda _tag: None, note_record=lambda: None),
)
_PLAIN_HEADER: Final = packed_number(">HHQH", 60, 0, 5, 0)


def make(r: Random) -> bytes:
    """A bundle, sound or spoiled; seldom a large one."""
    kind = r.random()
    count = pick(r, (1, 2, 3, 5))
    if kind < 0.002:
        count = pick(r, (199, 200, 201, 799, 800, 801))
    header = amqp.content_header(r) if count > 5 else b""
    events = []
    size = 0
    for _ in range(count):
        body = r.randbytes(below(r, 40))
        own = header or amqp.content_header(r, len(body))
        if len(own) >= amqp.PROPERTIES_AT and r.random() < 0.98:
            own = own[:4] + packed_number(">Q", len(body)) + own[12:]
        size += len(own)
        if size > 1_000_000:
            break
        events.append((own, body))
    data = pack(events)
    return spoiled(r, data) if kind > 0.7 else data


def check(data: bytes) -> None:
    """See the module."""
    try:
        events = unpack(data)
    except NotABundle:
        _check_refused(data)
        return
    assert pack(events) == data, "another bundle once it is packed again"
    assert first_body(data) == events[0][1]
    message = Incoming(1, _PLAIN_HEADER, data, _HOLDER)
    try:
        opened = events_of(message, 1)
    except NotABundle:
        return
    assert [(one.tag, one.body) for one in opened] == [
        (number, body) for number, (_, body) in enumerate(events)
    ]
    assert message.open_deliveries == len(events)
    for one in opened:
        one.done_on_record()
    assert message.open_deliveries == 0, "a bundle that is never acknowledged"


def _check_refused(data: bytes) -> None:
    try:
        first_body(data)
    except NotABundle:
        return


TARGETS: Final = (Target("bundles", make, check, share=4),)
