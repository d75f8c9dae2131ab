"""Makes what nobody would write: texts, numbers and documents, and well-formed ones spoiled."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, Final, TypeVar

import orjson

T = TypeVar("T")

SECRET: Final = "lena.secret"
"""Part of a person's address in many cases: it must never be quoted."""
PERSON: Final = f"{SECRET}@northwind.example"

MOST_BYTES: Final = 1_048_576
STRANGE_TEXTS: Final = (
    *("", " ", "\x00", "\n", "\r\n", "\t", ".", "..", "/", "-", "_", "__", "%", "%40", "%00"),
    *("null", "true", "NaN", "1e999", "-0", "0x10", "1_0", "२", "²", "٣٤"),
    *("é", "İ", "ß", "ﬀ", "\u202e", "\ufeff", "\u2028", "\U0001f600", "a\u0301", "\x7f", "\x1b[2J"),
    *(PERSON, "Bearer abcdef.ghi", "client_secret=abc", "eyJhbGciOiJ", "$", "${HOME}", "file:/etc"),
    *("{", "[", '"', "\\", "'", "<", "&amp;", ",", ":", ";", "=", "@", "#", "?"),
)
LONG_UNITS: Final = ("a", "0", " ", "a.", "_", "é", "\U0001f600", "@", "a@", "-a", "\x00", "\\")
SPECIAL_NUMBERS: Final = (
    *(0, 1, -1, 2, 7, 127, 128, 255, 256, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53),
    *(2**63 - 1, -(2**63), 2**64 - 1, 200, 207, 400, 404, 429, 503, 1_800_000_000_000),
)
_RAW: Final = (
    *("NaN", "Infinity", "-Infinity", "1e999", "-1e400", "1e-999", "0.1e1", "1" * 40, "1" * 5000),
    *("-", "01", "1.", "tru", '"\\ud800"', '"\\udfff\\ud800"', '"\\u0000"', '"\x01"', "'a'", ""),
    *("18446744073709551616", "-9223372036854775809", "0.30000000000000004", "/**/1", "1,"),
)
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-@ :/%"


def assert_hidden(said: str) -> None:
    """Nothing that is said may quote a person or a secret."""
    assert SECRET not in said, "a person or a secret is quoted"


class Raw(str):
    """Text that stands in a document as it is, JSON or not."""

    __slots__ = ()


class Twice(dict[str, Any]):
    """An object that has one of its keys twice."""


def below(r: Random, number: int) -> int:
    """A number from 0; quicker than `randrange`."""
    return int(r.random() * number)


def pick(r: Random, of: Sequence[T]) -> T:
    """One of these."""
    return of[int(r.random() * len(of))]


def text(r: Random, longest: int = 5_000) -> str:
    """Strange, random or, seldom, long."""
    kind = r.random()
    if kind < 0.5:
        return pick(r, STRANGE_TEXTS)
    if kind < 0.8:
        return "".join(pick(r, _LETTERS) for _ in range(below(r, 12)))
    if kind < 0.9:
        return pick(r, STRANGE_TEXTS) + pick(r, STRANGE_TEXTS) + pick(r, STRANGE_TEXTS)
    if kind < 0.98:
        return chr(below(r, 0xD800))
    return (pick(r, LONG_UNITS) * below(r, longest))[:longest] + pick(r, STRANGE_TEXTS)


def number(r: Random) -> int:
    """Special, small or large, and fit for JSON."""
    kind = r.random()
    if kind < 0.5:
        return pick(r, SPECIAL_NUMBERS)
    return below(r, 1000) - 10 if kind < 0.9 else below(r, 2**62)


def anything(r: Random, depth: int = 0) -> Any:
    """A value of any type; `Raw` and `Twice` among them."""
    kind = below(r, 20)
    if kind < 5:
        return text(r)
    if kind < 8:
        return number(r)
    if kind < 11:
        return pick(r, (None, True, False))
    if kind == 11:
        return r.random() * 10 ** below(r, 20)
    if kind == 12:
        return Raw(pick(r, _RAW))
    if kind == 13 and depth == 0:
        return _deep(r)
    if kind == 14 and depth == 0:
        return _many(r)
    if depth > 3:
        return None
    if kind < 17:
        return [anything(r, depth + 1) for _ in range(below(r, 4))]
    return {text(r, 300): anything(r, depth + 1) for _ in range(below(r, 4))}


def mutated(r: Random, document: Any, rate: float, names: Sequence[str] = ()) -> Any:
    """A copy of `document` in which each part is something else at `rate`; new keys are mostly of
    `names`.
    """
    if r.random() < rate:
        return _instead_of(r, document)
    if isinstance(document, dict):
        copy = {key: mutated(r, one, rate, names) for key, one in document.items()}
        return _other_keys(r, copy, names) if r.random() < rate * 2 else copy
    if isinstance(document, list):
        items = [mutated(r, one, rate, names) for one in document]
        if items and r.random() < rate * 2:
            items *= pick(r, (0, 2, 3, 20) if len(items) < 20 else (0, 2))
        return items
    return document


def written(document: Any) -> bytes:
    """`document` as text; what is `Raw` in it stands there as it is."""
    try:
        return orjson.dumps(document)
    except TypeError:
        return _text_of(document).encode(errors="surrogatepass")


def json_bytes(r: Random, document: Any, rate: float = 0.03, names: Sequence[str] = ()) -> bytes:
    """`document` spoiled: mostly as a document, sometimes its text, sometimes nothing of it. Never
    larger than a body that the worker reads.
    """
    kind = r.random()
    if kind < 0.04:
        return r.randbytes(below(r, 60))
    data = written(mutated(r, document, rate * pick(r, (0.2, 1, 1, 3)), names))[:MOST_BYTES]
    return spoiled(r, data) if kind < 0.14 else data


def spoiled(r: Random, data: bytes) -> bytes:
    """`data` cut, with bytes that are other ones, or with pieces that are somewhere else."""
    for _ in range(1 + below(r, 3)):
        at = below(r, len(data) + 1)
        to = min(len(data), at + below(r, 12))
        kind = below(r, 8)
        if kind == 0:
            data = data[:at]
        elif kind == 1:
            data = data[:at] + data[to:]
        elif kind == 2:
            data = data[:at] + data[at:to] * pick(r, (2, 3, 100)) + data[to:]
        elif kind == 3:
            data = data[:at] + pick(r, _EXTREME) + data[at:]
        elif kind == 4:
            extreme = pick(r, _EXTREME)
            data = data[:at] + extreme + data[at + len(extreme) :]
        elif kind == 5:
            data = data[:at] + r.randbytes(1 + below(r, 4)) + data[at:]
        else:
            data = data[:at] + bytes((below(r, 256),)) + data[at + 1 :]
    return data


def cuts(r: Random, size: int) -> list[int]:
    """Where a stream of so many bytes is cut into pieces, in rising order; sometimes everywhere."""
    if size < 200 and r.random() < 0.1:
        return list(range(1, size))
    return sorted(below(r, size + 1) for _ in range(below(r, 12)))


def pieces(data: bytes, edges: list[int]) -> list[bytes]:
    """`data` cut at these places."""
    found, at = [], 0
    for edge in edges:
        found.append(data[at:edge])
        at = max(at, edge)
    return [*found, data[at:]]


_EXTREME: Final = (
    *(b"\x00", b"\xff", b"\x7f", b"\x80", b"\x00\x00\x00\x00", b"\xff\xff\xff\xff"),
    *(b"\x7f\xff\xff\xff", b"\xff" * 8, b"\xed\xa0\x80", b"\xc3", b"\xf4\x90\x80\x80"),
    *(b"{", b"}", b"[", b"]", b'"', b",", b":", b"\\", b"\\u", b"\xef\xbb\xbf", b"\n"),
)


def _instead_of(r: Random, document: Any) -> Any:
    kind = r.random()
    if kind < 0.1:
        return [document]
    if kind < 0.2:
        return {"id": document}
    if kind < 0.3 and isinstance(document, str):
        return document + pick(r, STRANGE_TEXTS)
    return anything(r)


def _other_keys(r: Random, document: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    kind = below(r, 4)
    if kind == 0 and document:
        del document[pick(r, list(document))]
    elif kind == 1 and document:
        return Twice(document)
    else:
        name = pick(r, names) if names and r.random() < 0.8 else text(r)
        document[name] = anything(r)
    return document


def _deep(r: Random) -> Any:
    depth = pick(r, (5, 60, 250, 300, 1000, 1020, 1030, 3000, 20_000))
    opening, closing = pick(r, (("[", "]"), ('{"a":', "}"), ('[{"id":', "}]")))
    return Raw(opening * depth + "1" + closing * depth)


def _many(r: Random) -> Any:
    count = pick(r, (10, 100, 1000))
    one = anything(r, 3)
    if r.random() < 0.5:
        return [one] * count
    return {f"{below(r, 10)}{number}": one for number in range(count)}


def _text_of(document: Any) -> str:
    if isinstance(document, Raw):
        return document
    if isinstance(document, Mapping):
        pairs = [f"{json.dumps(key)}:{_text_of(one)}" for key, one in document.items()]
        if isinstance(document, Twice) and pairs:
            pairs.append(pairs[0])
        return "{" + ",".join(pairs) + "}"
    if isinstance(document, list):
        return "[" + ",".join(map(_text_of, document)) + "]"
    return json.dumps(document)
