"""The least of HTTP that a worker needs: no parsing beyond length and path, constant replies."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import orjson

from bench.stub.figures import Figures

_HEAD_END: Final = b"\r\n\r\n"
_ITEM: Final = b'{"xactionId":"1565650704337:2124:92:3"}'
_ONE: Final = (
    b'{"inletId":"bench","xactionId":"1565650704337:2124:92","receivedTimeMs":1565638336705}'
)
_TOKEN: Final = b'{"access_token":"bench","token_type":"bearer","expires_in":86399}'


class Hanging:
    """The inlets that do not answer."""

    def __init__(self) -> None:
        self.inlets: set[bytes] = set()


class StubProtocol(asyncio.Protocol):
    """One connection. Paths below `/bench/` are for the benchmark itself."""

    def __init__(self, figures: Figures, hanging: Hanging) -> None:
        self._figures = figures
        self._hanging = hanging
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        while (end := buffer.find(_HEAD_END)) >= 0:
            head = buffer[:end]
            size = end + 4 + _content_length(head)
            if len(buffer) < size:
                break
            self._answer(head.split(b" ", 2)[1], buffer[end + 4 : size])
            buffer = buffer[size:]
        self._buffer = buffer

    def _answer(self, path: bytes, body: bytes) -> None:
        if path.startswith(b"/collection/"):
            inlet = path.rpartition(b"/")[2]
            count = self._figures.request(inlet, body)
            if inlet in self._hanging.inlets:
                return
            is_batch = path.startswith(b"/collection/batch/")
            self._transport.write(_batch_reply(count) if is_batch else _reply(200, _ONE))
        elif path.startswith(b"/bench/"):
            self._transport.write(_reply(200, orjson.dumps(self._control(path.decode()))))
        else:
            self._transport.write(_reply(200, _TOKEN))

    def _control(self, path: str) -> Any:
        parts = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        match parts.path:
            case "/bench/arrived":
                return self._figures.arrived(
                    query["kind"].encode(), query.get("without", "").encode()
                )
            case "/bench/reset":
                self._figures.reset()
            case "/bench/hang":
                self._hanging.inlets = {one.encode() for one in query.get("inlets", "").split()}
            case "/bench/summary":
                return self._figures.summary(
                    query["kind"].encode(), int(query["since"]), query.get("without", "").encode()
                )
        return None


def _content_length(head: bytes) -> int:
    lower = head.lower()
    at = lower.find(b"content-length:")
    if at < 0:
        return 0
    end = lower.find(b"\r\n", at)
    return int(lower[at + 15 : end if end >= 0 else None])


@cache
def _reply(status: int, body: bytes) -> bytes:
    return b"HTTP/1.1 %d OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
        status,
        len(body),
        body,
    )


@cache
def _batch_reply(count: int) -> bytes:
    """Adobe's multi-status reply to `count` messages that were all accepted."""
    items = b",".join([_ITEM] * count)
    return _reply(207, b'{"inletId":"bench","batchId":"1","responses":[' + items + b"]}")
