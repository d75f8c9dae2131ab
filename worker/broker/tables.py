"""Field tables, read with a bound on their depth (AMQP 0-9-1 specification, section 4.2.5.5, with
the types that RabbitMQ uses).

A table may hold tables. Whoever may publish can nest them hundreds deep in a few kilobytes, and a
reader that follows them by recursion ends with its stack. Nothing that anybody needs is so deep.
"""

from __future__ import annotations

from struct import Struct
from typing import Any, Final

from pamqp.decode import TABLE_MAPPING

MAX_DEPTH: Final = 32
_LENGTH: Final = Struct(">I")
_TABLE, _ARRAY, _TEXT, _BYTES = b"F", b"A", b"S", b"x"
_LONGEST_SCALAR_BYTES: Final = 8


def read_table(data: bytes, at: int, depth: int = 1) -> tuple[dict[str, Any], int]:
    """The table whose length stands at `at`, and where it ends. Raises ValueError for what is none,
    or is nested deeper than `MAX_DEPTH`, and OverflowError or OSError for a time out of range.
    """
    at, end = _bounds(data, at, depth)
    table: dict[str, Any] = {}
    while at < end:
        name_end = at + 1 + data[at]
        if name_end >= end:
            raise ValueError("a name that ends too late")
        name = data[at + 1 : name_end].decode()
        table[name], at = _read_value(data, name_end, end, depth)
    return table, end


def _read_array(data: bytes, at: int, depth: int) -> tuple[list[Any], int]:
    at, end = _bounds(data, at, depth)
    values: list[Any] = []
    while at < end:
        value, at = _read_value(data, at, end, depth)
        values.append(value)
    return values, end


def _bounds(data: bytes, at: int, depth: int) -> tuple[int, int]:
    if depth > MAX_DEPTH:
        raise ValueError("a table nested too deep")
    start = at + _LENGTH.size
    if start > len(data):
        raise ValueError("a table that ends too soon")
    end = start + _LENGTH.unpack_from(data, at)[0]
    if end > len(data):
        raise ValueError("a table that ends too soon")
    return start, end


def _read_value(data: bytes, at: int, end: int, depth: int) -> tuple[Any, int]:
    kind = data[at : at + 1]
    at += 1
    value: Any
    if kind == _TABLE:
        value, at = read_table(data, at, depth + 1)
    elif kind == _ARRAY:
        value, at = _read_array(data, at, depth + 1)
    elif kind in (_TEXT, _BYTES):
        start, stop = _bounds(data, at, depth)
        value, at = _text_or_bytes(kind, data[start:stop]), stop
    else:
        value, at = _read_scalar(kind, data, at)
    if at > end:
        raise ValueError("a value that ends too late")
    return value, at


def _text_or_bytes(kind: bytes, content: bytes) -> str | bytes | bytearray:
    if kind == _BYTES:
        return bytearray(content)
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content


def _read_scalar(kind: bytes, data: bytes, at: int) -> tuple[Any, int]:
    read = TABLE_MAPPING.get(kind)
    if read is None:
        raise ValueError("a value of an unknown type")
    used, value = read(data[at : at + _LONGEST_SCALAR_BYTES])
    return value, at + used
