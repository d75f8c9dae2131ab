"""What the tap of a connection takes out, and what it leaves for aiormq."""

from __future__ import annotations

import asyncio
import itertools
import time
import tracemalloc
from dataclasses import dataclass, field

import pamqp.frame
import pytest
from aiormq.connection import FrameReceiver
from hypothesis import given
from hypothesis import strategies as st
from pamqp.base import Frame
from pamqp.body import ContentBody
from pamqp.commands import Basic, Channel, Queue
from pamqp.header import ContentHeader
from pamqp.heartbeat import Heartbeat

from worker.wire.frame_splitter import FrameSplitter
from worker.wire.message_tap import MessageTap
from worker.wire.property_reader import read_properties

LISTENED = 3


@dataclass
class Sorted:
    """What a splitter makes of bytes."""

    messages: list[tuple[int, str | None, bytes]] = field(default_factory=list)
    passed_on: bytes = b""

    def take(self, tag: int, content_header: bytes, body: bytes) -> None:
        self.messages.append((tag, read_properties(content_header).message_id, body))

    def pass_on(self, data: bytes) -> None:
        self.passed_on += data

    def splitter(self) -> FrameSplitter:
        splitter = FrameSplitter(self.pass_on)
        splitter.listen(LISTENED, self.take)
        return splitter


def feed(splitter: FrameSplitter, data: bytes, portion: int = 100) -> None:
    """All of `data`, sorted in portions of so many frames."""
    splitter.feed(data)
    while splitter.split(portion):
        pass


def message(tag: int, body: bytes, *, channel: int = LISTENED, parts: int = 1) -> bytes:
    """The frames of a message, whose body comes in so many `parts`."""
    deliver = Basic.Deliver("ctag3.x", tag, False, "amq.topic", "a.key")
    properties = Basic.Properties(message_id=f"m{tag}", headers={"x-delivery-count": 1})
    size = -(-len(body) // parts) or 1
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    frames: list[Frame | ContentHeader | ContentBody] = [
        deliver,
        ContentHeader(0, len(body), properties),
        *map(ContentBody, pieces),
    ]
    return b"".join(pamqp.frame.marshal(frame, channel) for frame in frames)


def other(number: int) -> bytes:
    """Frames that are nobody's message."""
    kinds: tuple[tuple[Heartbeat | Frame, int], ...] = (
        (Heartbeat(), 0),
        (Basic.ConsumeOk("ctag3.x"), LISTENED),
        (Channel.CloseOk(), LISTENED),
        (Queue.DeclareOk("consent.events", 5, 1), 1),
    )
    frame, channel = kinds[number % len(kinds)]
    return pamqp.frame.marshal(frame, channel)


BODIES = st.binary(max_size=40)
PIECES = st.one_of(
    st.tuples(st.just("message"), BODIES, st.integers(1, 4)),
    st.tuples(st.just("unheard"), BODIES, st.just(1)),
    st.tuples(st.just("other"), st.just(b""), st.integers(0, 3)),
)


@given(
    st.lists(PIECES, max_size=12), st.lists(st.integers(0, 2000), max_size=30), st.integers(1, 9)
)
def test_a_line_that_is_cut_anywhere_gives_each_message_once_and_all_else_unchanged(
    pieces: list[tuple[str, bytes, int]], cuts: list[int], portion: int
) -> None:
    data, rest = b"", b""
    messages: list[tuple[int, str | None, bytes]] = []
    for tag, (kind, body, number) in enumerate(pieces, 1):
        if kind == "message":
            part = message(tag, body, parts=number)
            messages.append((tag, f"m{tag}", body))
        else:
            part = other(number) if kind == "other" else message(tag, body, channel=9)
            rest += part
        data += part
    seen = Sorted()
    splitter = seen.splitter()
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for start, end in itertools.pairwise(edges):
        feed(splitter, data[start:end], portion)
    assert seen == Sorted(messages, rest)


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"AMQP\x00\x00\x09\x01", id="another version of AMQP"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", id="another protocol"),
        pytest.param(other(0)[:-1] + b"\x00" + other(1), id="a frame without its end"),
    ],
)
def test_what_is_no_amqp_is_left_to_aiormq(said: bytes) -> None:
    seen = Sorted()
    splitter = seen.splitter()
    feed(splitter, message(1, b"one") + said)
    feed(splitter, message(2, b"two"))
    assert seen == Sorted([(1, "m1", b"one")], said + message(2, b"two"))


def test_a_frame_of_any_size_may_come_in_any_number_of_pieces() -> None:
    body = bytes(range(256)) * 4_000
    data = message(1, body) + message(2, b"small")
    seen = Sorted()
    splitter = seen.splitter()
    for at in range(0, len(data), 50_000):
        splitter.feed(data[at : at + 50_000])
        if at % 100_000:
            splitter.split(1)
    feed(splitter, b"")
    assert seen == Sorted([(1, "m1", body), (2, "m2", b"small")])


def test_after_a_large_message_others_have_their_turn_before_the_next_one() -> None:
    seen = Sorted()
    splitter = seen.splitter()
    splitter.feed(b"".join(message(number, bytes(100_000)) for number in range(1, 9)))
    splitter.split(24)
    assert len(seen.messages) == 1
    feed(splitter, b"".join(message(number, b"small") for number in range(9, 30)))
    assert [tag for tag, _, _ in seen.messages] == list(range(1, 30))


def test_what_a_line_ends_in_the_middle_of_is_left_to_aiormq() -> None:
    seen = Sorted()
    splitter = seen.splitter()
    start = message(1, b"one")[:-3]
    feed(splitter, start)
    splitter.end()
    assert seen.messages == []
    assert seen.passed_on
    assert start.endswith(seen.passed_on)


def test_a_routing_key_that_cant_be_decoded_is_nobodys_concern() -> None:
    seen = Sorted()
    feed(seen.splitter(), message(1, b"one").replace(b"a.key", b"\xff" * 5))
    assert seen == Sorted([(1, "m1", b"one")])


def test_the_number_of_a_closed_channel_may_be_used_for_something_else() -> None:
    seen = Sorted()
    splitter = seen.splitter()
    splitter.stop_listening(LISTENED)
    feed(splitter, message(1, b"one"))
    assert seen == Sorted([], message(1, b"one"))


async def test_what_a_lost_line_has_brought_and_nobody_has_seen_is_dropped() -> None:
    """The broker gives it out again."""
    reader = asyncio.StreamReader()
    tap = MessageTap(reader, asyncio.get_running_loop())
    seen = Sorted()
    tap.splitter.listen(LISTENED, seen.take)
    tap.data_received(b"".join(message(number, b"x") for number in range(1, 1_001)) + other(3))
    handled = len(seen.messages)
    assert 0 < handled < 100, "the others' turn comes between two portions"
    tap.connection_lost(ConnectionResetError())
    await asyncio.sleep(0)
    assert len(seen.messages) == handled
    with pytest.raises(ConnectionResetError):
        await reader.read()


class Slow(Sorted):
    """Takes ten milliseconds for each message, as for one with a great many headers."""

    def take(self, tag: int, content_header: bytes, body: bytes) -> None:
        time.sleep(0.01)
        super().take(tag, content_header, body)


async def test_messages_that_take_long_leave_others_their_turn_sooner() -> None:
    """Or no heartbeat would be sent in time, and the broker would end the session."""
    tap = MessageTap(asyncio.StreamReader(), asyncio.get_running_loop())
    seen = Slow()
    tap.splitter.listen(LISTENED, seen.take)
    tap.data_received(b"".join(message(number, b"x") for number in range(1, 65)))
    assert 0 < len(seen.messages) <= 8
    while len(seen.messages) < 64:
        before = len(seen.messages)
        await asyncio.sleep(0)
        assert before < len(seen.messages) <= before + 8


async def test_a_line_that_brings_messages_alone_is_not_taken_for_dead() -> None:
    """aiormq gives up a line on which nothing comes for three heartbeats."""
    reader = asyncio.StreamReader()
    tap = MessageTap(reader, asyncio.get_running_loop())
    tap.splitter.listen(LISTENED, Sorted().take)
    tap.data_received(message(1, b"one"))
    tap.data_received(message(2, b"two"))
    tap.eof_received()
    frames = [frame async for frame in FrameReceiver(reader)]
    assert [(channel, type(frame)) for _, channel, frame in frames] == [(0, Heartbeat)]


@dataclass
class Strict(Sorted):
    """Takes no body of more than `most` bytes, and raises for the tags in `bad`."""

    most: int = 1_000
    bad: frozenset[int] = frozenset()
    refused: list[tuple[int, int]] = field(default_factory=list)
    heard: int = 0

    def take(self, tag: int, content_header: bytes, body: bytes) -> None:
        if tag in self.bad:
            raise RecursionError
        super().take(tag, content_header, body)

    def refuse(self, tag: int, size: int, _: bytes) -> None:
        self.refused.append((tag, size))

    def hear(self) -> None:
        self.heard += 1

    def splitter(self) -> FrameSplitter:
        splitter = FrameSplitter(self.pass_on)
        splitter.listen(LISTENED, self.take, self.refuse, self.hear, self.most)
        return splitter


def test_a_body_that_is_too_large_is_dropped_while_it_comes_and_refused_once() -> None:
    seen = Strict()
    splitter = seen.splitter()
    feed(splitter, message(1, b"x" * 1_000, parts=3) + message(2, b"x" * 1_001, parts=4))
    feed(splitter, message(3, b"three"))
    assert seen.messages == [(1, "m1", b"x" * 1_000), (3, "m3", b"three")]
    assert seen.refused == [(2, 1_001)]
    assert seen.heard == 2 + 3, "each part but the last tells that the broker lives"
    assert seen.passed_on == b""


def test_of_a_body_that_is_too_large_nothing_is_kept() -> None:
    splitter = Strict().splitter()
    parts = 64
    data = message(1, b"x" * (parts * 100_000), parts=parts)
    tracemalloc.start()
    for at in range(0, len(data), 50_000):
        feed(splitter, data[at : at + 50_000])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_whatever_is_raised_for_one_message_concerns_that_one_alone() -> None:
    seen = Strict(bad=frozenset({2}))
    feed(seen.splitter(), b"".join(message(tag, b"body") for tag in (1, 2, 3)))
    assert [tag for tag, _, _ in seen.messages] == [1, 3]
    assert seen.refused == [(2, 4)]


def test_a_delivery_that_is_no_amqp_is_left_to_aiormq() -> None:
    deliver = pamqp.frame.marshal(Basic.Deliver("c", 1, False, "", ""), LISTENED)
    for cut in range(4, 14):
        payload = deliver[7 : 7 + cut]
        broken = deliver[:3] + len(payload).to_bytes(4, "big") + payload + b"\xce"
        seen = Sorted()
        feed(seen.splitter(), broken + message(2, b"two"))
        assert seen == Sorted([(2, "m2", b"two")], broken)


def test_a_large_frame_that_comes_in_bits_is_joined_once() -> None:
    body = b"x" * 16_000_000
    data = message(1, body)
    seen = Sorted()
    splitter = seen.splitter()
    began = time.process_time()
    for at in range(0, len(data), 4_000):
        feed(splitter, data[at : at + 4_000])
    assert time.process_time() - began < 1.0, "a copy for each bit would be 32 GB"
    assert seen.messages == [(1, "m1", body)]
