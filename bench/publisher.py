"""`python -m bench.publisher JOB`: publishes copies of one message, cheaply and by a schedule.

The message is multiplied as the bytes of its AMQP frames, so the producer costs the machine, which
has few cores, the same small share whoever consumes, and it can keep up with any of them. Every
message is confirmed by the broker.
"""

from __future__ import annotations

import json
import random
import select
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from pamqp import base, body, commands, frame, header
from yarl import URL

from bench.events import ID_PLACE, MARK_PLACE, ORGANIZATION_PLACE, now_us, organization

_CHANNEL: Final = 1
_MOST_UNCONFIRMED: Final = 4000
_BURST: Final = 200
_LEAST_SLEEP_US: Final = 200
"""Shorter sleeps would only burn a core; what is late by it counts as latency, for everyone."""
_SEED: Final = 7


@dataclass(frozen=True, slots=True)
class Job:
    """`template` is a file with the frames of one message. `rate` is events a second, at intervals
    of a Poisson process; 0 means as fast as can be. Events go round the organizations, each of
    which gets `in_a_row` at a time.
    """

    url: str
    template: str
    count: int
    rate: float = 0.0
    kind: str = "t"
    first_number: int = 0
    organizations: int = 1
    first_organization: int = 0
    in_a_row: int = 1

    def dumps(self) -> str:
        return json.dumps(asdict(self))


@dataclass(frozen=True, slots=True)
class Report:
    """When the first event was due, and by how much the last one was late, in microseconds."""

    began_us: int
    ended_us: int
    late_us: int


def frames_of(exchange: str, routing_key: str, properties: Any, content: bytes) -> bytes:
    """The frames of one message."""
    parts: list[Any] = [
        commands.Basic.Publish(exchange=exchange, routing_key=routing_key),
        header.ContentHeader(body_size=len(content), properties=properties),
        body.ContentBody(content),
    ]
    return b"".join(frame.marshal(part, _CHANNEL) for part in parts)


class Line:
    """A connection to the broker with one channel in confirm mode."""

    def __init__(self, url: str) -> None:
        broker = URL(url)
        self._socket = socket.create_connection((broker.host or "", broker.port or 5672))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self.sent = 0
        self._border = 0
        self._confirmed_alone: set[int] = set()
        self._socket.sendall(frame.marshal(header.ProtocolHeader(0, 9, 1), 0))
        self._expect("Connection.Start")
        self._say(commands.Connection.StartOk(response=f"\0{broker.user}\0{broker.password}"), 0)
        tune = self._expect("Connection.Tune")
        self._say(commands.Connection.TuneOk(tune.channel_max, tune.frame_max, 0), 0)
        self._say(commands.Connection.Open(), 0)
        self._expect("Connection.OpenOk")
        self._say(commands.Channel.Open(), _CHANNEL)
        self._expect("Channel.OpenOk")
        self._say(commands.Confirm.Select(), _CHANNEL)
        self._expect("Confirm.SelectOk")

    @property
    def unconfirmed(self) -> int:
        return self.sent - self._border - len(self._confirmed_alone)

    def send(self, messages: list[bytes]) -> None:
        self._socket.sendall(b"".join(messages))
        self.sent += len(messages)

    def take_confirms(self, wait_seconds: float) -> None:
        """Read what the broker says, waiting for it at the most so long."""
        while select.select([self._socket], [], [], wait_seconds)[0]:
            self._buffer += self._receive()
            wait_seconds = 0.0
            while (said := self._next()) is not None:
                if not isinstance(said, commands.Basic.Ack):
                    raise RuntimeError(f"the broker said {said.name}")
                self._confirm(said.delivery_tag or 0, is_range=bool(said.multiple))

    def ask(self, command: base.Frame, answer: str) -> Any:
        """Say `command`, and read the answer of that name. RuntimeError for another."""
        self._say(command, _CHANNEL)
        return self._expect(answer)

    def get(self, queue: str) -> tuple[Any, bytes] | None:
        """Take one message out of a queue: its properties and body; None when there is none."""
        self._say(commands.Basic.Get(queue=queue, no_ack=True), _CHANNEL)
        if self._read().name == "Basic.GetEmpty":
            return None
        head = self._read()
        content = b""
        while len(content) < head.body_size:
            content += self._read().value
        return head.properties, content

    def close(self) -> None:
        self._socket.close()

    def _confirm(self, tag: int, *, is_range: bool) -> None:
        if is_range:
            self._border = max(self._border, tag)
            self._confirmed_alone = {one for one in self._confirmed_alone if one > self._border}
        else:
            self._confirmed_alone.add(tag)

    def _say(self, command: base.Frame, channel: int) -> None:
        self._socket.sendall(frame.marshal(command, channel))

    def _receive(self) -> bytes:
        chunk = self._socket.recv(65_536)
        if not chunk:
            raise RuntimeError("the broker closed the line")
        return chunk

    def _next(self) -> Any:
        if len(self._buffer) < 8:
            return None
        size = int.from_bytes(self._buffer[3:7]) + 8
        if len(self._buffer) < size:
            return None
        _, _, said = frame.unmarshal(self._buffer[:size])
        self._buffer = self._buffer[size:]
        return said

    def _read(self) -> Any:
        while (said := self._next()) is None:
            self._buffer += self._receive()
        return said

    def _expect(self, name: str) -> Any:
        said = self._read()
        if said.name != name:
            raise RuntimeError(f"the broker said {said.name} instead of {name}")
        return said


def messages(job: Job, template: bytes) -> Iterator[tuple[int, bytes]]:
    """When each message is due, and its frames."""
    form = (
        template.replace(b"%", b"%%")
        .replace(MARK_PLACE.encode(), b"%(mark)b")
        .replace(ID_PLACE.encode(), b"%(number)08d")
        .replace(ORGANIZATION_PLACE.encode(), b"%(organization)b")
    )
    names = [organization(job.first_organization + i).encode() for i in range(job.organizations)]
    intervals = random.Random(_SEED)
    due = now_us()
    for i in range(job.count):
        due = round(due + intervals.expovariate(job.rate) * 1e6) if job.rate else now_us()
        mark = f"{job.kind}{due:016}n{job.first_number + i:08}".encode()
        filled = {b"mark": mark, b"number": job.first_number + i}
        yield due, form % (filled | {b"organization": names[i // job.in_a_row % len(names)]})


def publish(job: Job, line: Line) -> Report:
    """Publish all of it, and wait for the last confirm."""
    ready: list[bytes] = []
    began = now_us()
    late = 0
    for due, message in messages(job, Path(job.template).read_bytes()):
        ahead = due - now_us()
        if ready and (ahead > 0 or len(ready) >= _BURST):
            line.send(ready)
            ready = []
            line.take_confirms(0.0)
        while (ahead := due - now_us()) > 0:
            time.sleep(max(ahead, _LEAST_SLEEP_US) / 1e6)
        while line.unconfirmed > _MOST_UNCONFIRMED:
            line.take_confirms(1.0)
        ready.append(message)
        late = -ahead
    line.send(ready)
    ended = now_us()
    while line.unconfirmed > 0:
        line.take_confirms(1.0)
    return Report(began, ended, late)


if __name__ == "__main__":
    the_job = Job(**json.loads(sys.argv[1]))
    print(json.dumps(asdict(publish(the_job, Line(the_job.url)))))
