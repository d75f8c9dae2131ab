"""Makes frames, content headers and tables of AMQP 0-9-1, well-formed and otherwise."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from struct import pack
from typing import Final

from devtools.fuzz.values import PERSON, below, number, pick, spoiled, text
from worker.broker.headers import OWN_HEADERS

_FIXED: Final = b"tbBsuIilLfdDTV"
_SIZES: Final = (1, 1, 1, 2, 2, 4, 4, 8, 8, 4, 8, 5, 8, 0)
_TIMES: Final = (0, 1, 1_772_439_330, 2**32 - 1, 2**32, 1_772_439_330_120, 2**53, 2**64 - 1)
_COUNTS: Final = (0, 1, 5, 19, 9_999, 10_000, 10_001, 1_799_999_999_999, 1_800_000_000_000, 2**62)
_NAMES: Final = (
    *sorted(OWN_HEADERS),
    *("x-delivery-count", "x-death", "x-first-death-queue", "CC", "BCC", "cc", "traceparent"),
    *("tenant", "", "consent-", "CONSENT-ATTEMPTS"),
)
_IDS: Final = ("shop", "a.b-c_d", "shop,other", "shop\n", "s" * 128, "s" * 129, PERSON, "-", "")
PROPERTIES_AT: Final = 14
_HEADERS: Final = 1 << 13
_FLAGS: Final = (1 << 15, 1 << 14, _HEADERS, 1 << 12, *(1 << bit for bit in range(11, 2, -1)))


def frame(kind: int, channel: int, payload: bytes, end: bytes = b"\xce") -> bytes:
    """A frame, well-formed with that end."""
    return pack(">BHI", kind, channel, len(payload)) + payload + end


def short(data: bytes) -> bytes:
    """A short text."""
    return bytes((min(len(data), 255),)) + data[:255]


def long(data: bytes) -> bytes:
    """A long text, a table or a list by its content."""
    return pack(">I", len(data)) + data


def table(r: Random, depth: int = 0) -> bytes:
    """The content of a table."""
    entries = []
    for _ in range(pick(r, (0, 1, 2, 3, 4, 6, 12))):
        name = _name(r)
        entries.append(short(name.encode(errors="surrogatepass")) + _own_or_any(r, name, depth))
    return b"".join(entries)


def content_header(r: Random, body_bytes: int = 5) -> bytes:
    """An encoded content header, mostly with headers; some are spoiled."""
    flags = 0
    parts = []
    for flag in _FLAGS:
        if r.random() < (0.8 if flag == _HEADERS else 0.25):
            flags |= flag
            parts.append(_property(r, flag))
    if r.random() < 0.02:
        flags |= below(r, 8)
    data = pack(">HHQH", 60, 0, body_bytes, flags) + b"".join(parts)
    if r.random() < 0.15:
        data = data[:PROPERTIES_AT] + spoiled(r, data[PROPERTIES_AT:])
    return spoiled(r, data) if r.random() < 0.03 else data


def delivery(r: Random, tag: int, channel: int) -> bytes:
    """The frames of a message: sound ones mostly."""
    body = r.randbytes(pick(r, (0, 0, 1, 5, 40, 300)))
    said = len(body) if r.random() < 0.95 else pick(r, (0, 1, len(body) + 3, 2**63, 2**64 - 1))
    names = short(b"ctag") + pack(">QB", tag, below(r, 2)) + short(b"ex") + short(b"key")
    parts = [
        frame(1, channel, b"\x00\x3c\x00\x3c" + names),
        frame(2, channel, content_header(r, said) if below(r, 3) == 0 else _plain_header(said)),
    ]
    size = max(1, len(body) // (1 + below(r, 3)))
    parts += [frame(3, channel, body[at : at + size]) for at in range(0, len(body), size)]
    if r.random() < 0.05:
        parts.insert(below(r, 4), noise(r))
    if r.random() < 0.03:
        del parts[below(r, len(parts))]
    return b"".join(parts)


def noise(r: Random) -> bytes:
    """A frame of nobody's message, or what is none."""
    kind = below(r, 12)
    channel = pick(r, (0, 1, 3, 9, 65535))
    if kind < 3:
        return frame(8, 0, b"")
    if kind < 5:
        reason = short(text(r, 255).encode(errors="surrogatepass"))
        return frame(1, pick(r, (0, channel)), b"\x00\x0a\x00\x3c" + spoiled_seldom(r, reason))
    if kind == 5:
        return frame(1, pick(r, (0, channel)), b"\x00\x0a\x00\x3d")
    if kind < 9:
        return frame(1, channel, pack(">HH", pick(r, (10, 20, 50, 60)), below(r, 120)))
    if kind == 9:
        return frame(pick(r, (0, 4, 7, 9, 255)), channel, r.randbytes(4))
    if kind == 10:
        return frame(pick(r, (1, 2, 3, 8)), channel, r.randbytes(below(r, 30)), b"\x00")
    return r.randbytes(below(r, 12))


def spoiled_seldom(r: Random, data: bytes) -> bytes:
    """`data`, once in twenty spoiled."""
    return spoiled(r, data) if r.random() < 0.05 else data


def own_value(r: Random, name: str) -> str | int:
    """What one of our own headers may say, or nearly so."""
    if r.random() < 0.2:
        return pick(r, _IDS) if r.random() < 0.5 else text(r, 2_000)
    if name.endswith(("integration", "served")):
        return pick(r, _IDS)
    return pick(r, _COUNTS) if r.random() < 0.8 else -pick(r, _COUNTS)


def name_of_header(r: Random) -> str:
    """One of those that mean something, mostly."""
    return pick(r, _NAMES) if r.random() < 0.85 else text(r, 100)


def _name(r: Random) -> str:
    return name_of_header(r)[:255]


def _own_or_any(r: Random, name: str, depth: int) -> bytes:
    if r.random() < 0.6 and name in OWN_HEADERS:
        value = own_value(r, name)
        if isinstance(value, str):
            return b"S" + long(value.encode(errors="surrogatepass"))
        return b"l" + pack(">q", value)
    return _value(r, depth)


def _value(r: Random, depth: int) -> bytes:
    kind = below(r, 24)
    if kind < 10:
        at = below(r, len(_FIXED))
        data = r.randbytes(_SIZES[at])
        if _FIXED[at] == ord("T") and r.random() < 0.8:
            data = pack(">Q", pick(r, _TIMES))
        return bytes((_FIXED[at],)) + data
    if kind < 16:
        return b"S" + long(text(r).encode(errors="surrogatepass"))
    if kind == 16:
        return pick(r, (b"S", b"x")) + long(r.randbytes(below(r, 40)))
    if kind == 17:
        return bytes((below(r, 256),)) + r.randbytes(below(r, 9))
    if depth == 0 and kind == 18:
        return _deep(r) if r.random() < 0.5 else _many(r)
    if depth > 2:
        return b"V"
    if kind < 21:
        return b"F" + long(table(r, depth + 1))
    return b"A" + long(b"".join(_value(r, depth + 1) for _ in range(below(r, 4))))


def _deep(r: Random) -> bytes:
    value = b"V"
    for _ in range(pick(r, (10, 31, 32, 33, 300))):
        value = b"A" + long(value) if r.random() < 0.5 else b"F" + long(b"\x01a" + value)
    return value


def _many(r: Random) -> bytes:
    one = _value(r, 3)
    count = min(pick(r, (10, 1000, 4094, 4096, 5000)), 100_000 // len(one))
    return b"A" + long(one * count)


def _plain_header(body_bytes: int) -> bytes:
    return pack(">HHQH", 60, 0, body_bytes, 0)


def _short_text(r: Random) -> bytes:
    return short(pick(r, (text(r, 255), PERSON, "60000")).encode(errors="surrogatepass"))


def _property(r: Random, flag: int) -> bytes:
    made = _MAKERS.get(flag, _short_text)
    return spoiled_seldom(r, made(r))


_MAKERS: Final[dict[int, Callable[[Random], bytes]]] = {
    _HEADERS: lambda r: long(table(r)),
    1 << 12: lambda r: bytes((pick(r, (0, 1, 2, 3, 255)),)),
    1 << 11: lambda r: bytes((below(r, 256),)),
    1 << 6: lambda r: pack(">Q", pick(r, _TIMES) if r.random() < 0.8 else number(r) % 2**64),
}
