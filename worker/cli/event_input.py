"""Events out of a stream of bytes: JSON lines, a JSON array, or a single document. Pure.

JSON lines are handed on line by line. The other two forms have to be read whole. Which form it is
shows in the first line: if that is a JSON object by itself, lines follow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson

from worker.errors import WorkFailed

MAX_LINE_BYTES: Final = 16 * 1024 * 1024
MAX_DOCUMENT_BYTES: Final = 256 * 1024 * 1024
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class BadInput(WorkFailed, ValueError):
    """A command's input is not what it must be; the text names the place, and quotes nothing."""


@dataclass(frozen=True, slots=True)
class InputEvent:
    """An event of the input. `number` counts lines, or items of an array, from 1."""

    number: int
    body: bytes


class EventReader:
    """Reads events from input in pieces of any size. Raises `BadInput`, once all before it was
    given.
    """

    def __init__(self) -> None:
        self._waiting = bytearray()
        self._searched = 0
        self._lines = 0
        self._is_lines: bool | None = None

    def feed(self, chunk: bytes) -> Iterator[InputEvent]:
        """The events of the input that are complete with `chunk`."""
        self._waiting += chunk
        while self._is_lines is not False:
            end = self._waiting.find(b"\n", self._searched)
            if end < 0:
                self._searched = len(self._waiting)
                break
            yield from self._line(end)
        if self._is_lines and len(self._waiting) > MAX_LINE_BYTES:
            raise BadInput(f"line {self._lines + 1} has more than {MAX_LINE_BYTES} bytes")
        if len(self._waiting) > MAX_DOCUMENT_BYTES:
            raise BadInput(
                f"one JSON document of more than {MAX_DOCUMENT_BYTES} bytes; write JSON lines"
            )

    def finish(self) -> Iterator[InputEvent]:
        """The events that the end of the input completes."""
        if self._is_lines is not False:
            self._waiting += b"\n"
            yield from self._line(len(self._waiting) - 1)
        if self._is_lines is False:
            yield from _items(bytes(self._waiting))

    def _line(self, end: int) -> Iterator[InputEvent]:
        """The line that ends at `end`; the first one that is not blank settles the form."""
        line = bytes(self._waiting[:end]).removeprefix(_BYTE_ORDER_MARK).strip()
        if self._is_lines is None and line:
            self._is_lines = _is_object(line)
            if not self._is_lines:
                # Blank lines before the document count, for the place of an error.
                self._waiting[:0] = b"\n" * self._lines
                return
        del self._waiting[: end + 1]
        self._searched = 0
        self._lines += 1
        if line:
            _parse_object(line, f"line {self._lines}")
            yield InputEvent(self._lines, line)


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False


def _parse_object(line: bytes, place: str) -> None:
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise BadInput(f"{place} is not JSON ({error.msg}, column {error.colno})") from None
    _assert_object(document, place)


def _items(content: bytes) -> Iterator[InputEvent]:
    content = content.removeprefix(_BYTE_ORDER_MARK)
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise BadInput(
            f"line {error.lineno} is not JSON ({error.msg}, column {error.colno})"
        ) from None
    if not isinstance(document, list):
        _assert_object(document, "the document")
        yield InputEvent(1, content.strip())
        return
    for number, item in enumerate(document, 1):
        _assert_object(item, f"item {number}")
        try:
            body = orjson.dumps(item)
        except orjson.JSONEncodeError:  # writes less deep than it reads
            raise BadInput(f"item {number} is nested too deep") from None
        yield InputEvent(number, body)


def _assert_object(document: Any, place: str) -> None:
    if not isinstance(document, dict):
        raise BadInput(f"{place} is not a JSON object, and an event is one")
