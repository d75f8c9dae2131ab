"""Reads the values of AMQP's tables, one at a time and within bounds (AMQP 0-9-1 specification,
section 4.2.5.5).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from struct import Struct
from struct import error as StructError  # noqa: N812 - named as the others are
from typing import Any, Final

MAX_DEPTH: Final = 32
"""Tables and lists in each other. The broker's own `x-death` has three."""
MAX_VALUES: Final = 512
"""In one content header, of the tens of thousands that fit into a frame. A sound event has a dozen,
and each is read, judged and written again at the cost of some microseconds."""
BROKEN: Final = (StructError, ValueError, OverflowError, OSError, IndexError, ArithmeticError)
"""What is raised for a value that can't be read."""
LENGTH: Final = Struct(">I")
_MILLISECONDS_FROM: Final = 1 << 32
"""A time that is no 32-bit number of seconds counts milliseconds, as pamqp has it."""


class Budget:
    """How many values several content headers may have together: `left` of them still."""

    __slots__ = ("left",)

    def __init__(self, values: int) -> None:
        self.left = values


def number_of_values(value: Any) -> int:
    """How many values a header has, those in it included."""
    if isinstance(value, dict):
        return 1 + sum(map(number_of_values, value.values()))
    return 1 + sum(map(number_of_values, value)) if isinstance(value, list) else 1


def end_of(data: bytes, at: int, limit: int) -> int:
    """The end of a value that begins with its length. Raises ValueError beyond `limit`."""
    end: int = at + LENGTH.size + LENGTH.unpack_from(data, at)[0]
    if end > limit:
        raise ValueError("a value that ends too soon")
    return end


def extent(data: bytes, at: int, limit: int) -> int:
    """The end of a value of a table, without reading it. Raises what `BROKEN` lists."""
    if at >= limit:
        raise ValueError("a name without a value")
    kind = data[at]
    if kind in _LONG_KINDS:
        return end_of(data, at + 1, limit)
    end = at + 1 + _FIXED[kind][0].size if kind in _FIXED else limit + 1
    if end > limit:
        raise ValueError("a value that ends too soon, or of no known kind")
    return end


class Values:
    """Reads the values of tables; `left` is how many more it will read."""

    __slots__ = ("_data", "left")

    def __init__(self, data: bytes, most: int = MAX_VALUES) -> None:
        self._data = data
        self.left = most

    def read(self, at: int, limit: int, depth: int) -> tuple[Any, int]:
        """A value of a table and its end. Raises what `BROKEN` lists."""
        data = self._data
        end = extent(data, at, limit)
        if not self.left:
            raise ValueError("more values than anybody needs")
        self.left -= 1
        kind = data[at]
        if kind in _FIXED:
            form, made = _FIXED[kind]
            return made(*form.unpack_from(data, at + 1)), end
        start = at + 1 + LENGTH.size
        if kind == _TEXT:
            return _text_or_bytes(data[start:end]), end
        if kind == _BYTES:
            return bytearray(data[start:end]), end
        if depth == MAX_DEPTH:
            raise ValueError("nested too deep")
        return (self._list if kind == _LIST else self._table)(start, end, depth + 1), end

    def _list(self, at: int, end: int, depth: int) -> list[Any]:
        values = []
        while at < end:
            value, at = self.read(at, end, depth)
            values.append(value)
        return values

    def _table(self, at: int, end: int, depth: int) -> dict[str, Any]:
        table = {}
        while at < end:
            value_at = at + 1 + self._data[at]
            name = self._data[at + 1 : value_at].decode()
            table[name], at = self.read(value_at, end, depth)
        return table


def _text_or_bytes(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def _same(value: Any) -> Any:
    return value


def _nothing() -> None:
    return None


def _decimal(places: int, number: int) -> Decimal:
    return Decimal(number).scaleb(-places)


def moment(number: int) -> datetime:
    seconds = number / 1000 if number >= _MILLISECONDS_FROM else number
    return datetime.fromtimestamp(seconds, tz=UTC)


_TEXT, _BYTES, _LIST, _TABLE = b"SxAF"
_LONG_KINDS: Final = frozenset((_TEXT, _BYTES, _LIST, _TABLE))
# As RabbitMQ writes and reads them (RabbitMQ, "AMQP 0-9-1 errata", section 3).
_FIXED: Final[dict[int, tuple[Struct, Callable[..., Any]]]] = {
    ord(kind): (Struct(form), made)
    for kind, form, made in (
        ("t", ">?", _same),
        ("b", ">b", _same),
        ("B", ">B", _same),
        ("s", ">h", _same),
        ("u", ">H", _same),
        ("I", ">i", _same),
        ("i", ">I", _same),
        ("l", ">q", _same),
        ("L", ">q", _same),
        ("f", ">f", _same),
        ("d", ">d", _same),
        ("D", ">BI", _decimal),
        ("T", ">Q", moment),
        ("V", ">", _nothing),
    )
}
