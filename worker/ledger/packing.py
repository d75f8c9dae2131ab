"""How receipts are kept in few bytes, and read back without a difference. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from itertools import pairwise
from typing import Final, get_args

import orjson

from worker.evidence.receipt import Attributes, ChoiceKind, OutcomeName
from worker.evidence.user_hash import user_hashes

OUTCOMES: Final[tuple[OutcomeName, ...]] = (
    "received",
    "retried",
    "parked",
    "delivered",
    "skipped",
    "dead",
    "erased",
)
"""By their numbers in the tables, which never change."""
OUTCOME_NUMBERS: Final[Mapping[OutcomeName, int]] = {one: n for n, one in enumerate(OUTCOMES)}
CHOICES: Final[tuple[ChoiceKind, ...]] = get_args(ChoiceKind)
CHOICE_NUMBERS: Final[Mapping[ChoiceKind, int]] = {one: n for n, one in enumerate(CHOICES)}

_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_HEX: Final = re.compile(r"[0-9a-f]{32}")
_BODY: Final = re.compile(r"body:[0-9a-f]{32}")
_USER: Final = re.compile(r"[0-9]{6}:[0-9a-f]{32}")
_AS_UUID, _AS_HEX, _AS_BODY, _AS_TEXT = b"\0", b"\1", b"\2", b"\3"
_LETTERS: Final[Mapping[bool | None, str]] = {True: "t", False: "f", None: "n"}
_SAID: Final[Mapping[str, bool | None]] = {letter: said for said, letter in _LETTERS.items()}

_DIGEST_BYTES: Final = 32
EVENT_BYTES: Final = 8
"""Of the key of a life; they tell the event."""
NO_PATHS: Final = "[]"
"""What `pack_attributes` makes of none."""


def pack_event(event: str) -> bytes:
    """An event's id in as few bytes as its shape allows."""
    if _UUID.fullmatch(event):
        return _AS_UUID + bytes.fromhex(event.replace("-", ""))
    if _HEX.fullmatch(event):
        return _AS_HEX + bytes.fromhex(event)
    if _BODY.fullmatch(event):
        return _AS_BODY + bytes.fromhex(event[5:])
    return _AS_TEXT + event.encode(errors="surrogatepass")


def unpack_event(packed: bytes) -> str:
    """The event's id that `pack_event` was given."""
    kind, rest = packed[:1], packed[1:]
    if kind == _AS_TEXT:
        return rest.decode(errors="surrogatepass")
    digits = rest.hex()
    if kind == _AS_UUID:
        cuts = (0, 8, 12, 16, 20, 32)
        return "-".join(digits[a:b] for a, b in pairwise(cuts))
    return digits if kind == _AS_HEX else f"body:{digits}"


def pack_user(user: str | None) -> bytes | None:
    """A person's month and hash in 20 bytes; None for nobody, and for what has another shape."""
    if user is None or not _USER.fullmatch(user):
        return None
    return _month(user[:6]) + bytes.fromhex(user[7:])


@lru_cache(maxsize=256)
def _month(digits: str) -> bytes:
    return int(digits).to_bytes(4, "big")


def unpack_user(packed: bytes | None) -> str | None:
    """The person's month and hash that `pack_user` was given."""
    if packed is None:
        return None
    return f"{int.from_bytes(packed[:4], 'big'):06d}:{packed[4:].hex()}"


def user_prefix(packed: bytes | None) -> bytes | None:
    """The part of a person's packed hash by which lives are found; half of the hash is enough."""
    return None if packed is None else packed[4:12]


def pack_attributes(attributes: Attributes) -> tuple[str, str]:
    """The paths of attributes, which come again in every receipt of an integration, and a letter
    for each.
    """
    letters = "".join([_LETTERS[one] for one in attributes.values()])
    return _as_json(tuple(attributes)), letters


@lru_cache(maxsize=4096)
def _as_json(paths: tuple[str, ...]) -> str:
    return orjson.dumps(paths).decode()


def unpack_attributes(paths: str, said: str) -> Attributes:
    """The attributes that `pack_attributes` was given."""
    return {path: _SAID[one] for path, one in zip(orjson.loads(paths), said, strict=True)}


def pack_cause(error: str | None, code: str | None, field: str | None) -> str:
    """What a receipt says went wrong, in one text that comes again; "" where it says nothing."""
    if error is None and code is None and field is None:
        return ""
    return orjson.dumps((error, code, field)).decode()


def unpack_cause(text: str) -> tuple[str | None, str | None, str | None]:
    """The receipt's error, code and field that `pack_cause` was given."""
    if not text:
        return None, None, None
    error, code, field = orjson.loads(text)
    return error, code, field


def unpack_digests(packed: bytes) -> list[bytes]:
    """The digests of a message's rows, which are kept one behind the other."""
    return [packed[start : start + _DIGEST_BYTES] for start in range(0, len(packed), _DIGEST_BYTES)]


def event_prefix(packed_event: bytes) -> bytes:
    """How the keys of all lives of an event begin."""
    return blake2b(packed_event, digest_size=EVENT_BYTES).digest()


def received_key(packed_event: bytes, updated_at: int | None) -> bytes:
    """The key of the life of an event that a door has received and no worker has taken."""
    return life_key(packed_event, updated_at, "", 0)


def life_key(packed_event: bytes, updated_at: int | None, integration: str, delivery: int) -> bytes:
    """The key of a life: 16 bytes, which begin with those of `event_prefix`."""
    said = f"{-1 if updated_at is None else updated_at} {delivery} {integration}"
    rest = blake2b(packed_event + b"\n" + said.encode(errors="surrogatepass"), digest_size=8)
    return event_prefix(packed_event) + rest.digest()


def after(prefix: bytes) -> bytes:
    """The end of the range of keys of lives that begin with `prefix`, exclusive."""
    number = int.from_bytes(prefix, "big") + 1
    if number >> (8 * len(prefix)):
        return prefix + b"\xff" * 9
    return number.to_bytes(len(prefix), "big")


def users_of(person: str, keys: Mapping[str, bytes]) -> list[bytes]:
    """The packed hash of a trimmed `organization_user_id` by the key of each month (`YYYYMM`)."""
    packed = map(pack_user, user_hashes(person, keys))
    return [one for one in packed if one is not None]
