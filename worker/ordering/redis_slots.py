"""The slots of a Redis Cluster: in which one a key is, and which master has it. Pure."""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Collection, Sequence
from functools import lru_cache
from itertools import count
from typing import Any, Final

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

SLOTS: Final = REDIS_CLUSTER_HASH_SLOTS
UNSERVED: Final = ""
"""In place of the address of a master, where none has the slot or it is not known."""


def slot_of(key: str) -> int:
    """The slot of a key, by its hash tag if there is one in braces."""
    return key_slot(key.encode(errors="surrogatepass"))


@lru_cache(SLOTS)
def tag_of(slot: int) -> str:
    """A hash tag of that slot, always the same: the least whole number that is one."""
    return next(str(one) for one in count() if crc_hqx(b"%d" % one, 0) % SLOTS == slot)


class SlotMap:
    """Which master has which slot, by `HOST:PORT`; without `owners` nothing is known."""

    def __init__(self, owners: Sequence[str] = ()) -> None:
        self._owners = list(owners) or [UNSERVED] * SLOTS
        self._find_first()

    def _find_first(self) -> None:
        self._first: dict[str, int] = {}
        for slot, owner in enumerate(self._owners):
            self._first.setdefault(owner, slot)
        self.masters = tuple(self._first)
        """Those that have a slot, and `UNSERVED` if there is one that nobody has."""

    @property
    def is_known(self) -> bool:
        """Whether it is known of any slot which master has it."""
        return self.masters != (UNSERVED,)

    def owner(self, slot: int) -> str:
        """Which master has the slot."""
        return self._owners[slot]

    def first_of(self, master: str, without: Collection[int] = ()) -> int | None:
        """The least slot that a master has, `without` some; None if it has none."""
        first = self._first.get(master)
        if first is None or first not in without:
            return first
        own = (slot for slot in range(first, SLOTS) if self._owners[slot] == master)
        return next((slot for slot in own if slot not in without), None)

    def move(self, slot: int, master: str) -> None:
        """A slot is another master's now."""
        if self._owners[slot] != master:
            self._owners[slot] = master
            self._find_first()


def slot_map(ranges: Sequence[Any], asked_host: str) -> SlotMap:
    """The slots of a cluster from what CLUSTER SLOTS answers: rows of first slot, last slot and the
    master's host, port and more. A host without a name is the one that was asked. Raises ValueError
    for anything else.
    """
    owners = [UNSERVED] * SLOTS
    try:
        for first, last, master, *_ in ranges:
            owner = address_of(master[0], master[1], asked_host)
            owners[first : last + 1] = [owner] * (last + 1 - first)
    except (TypeError, ValueError, IndexError, AttributeError):
        raise ValueError("no slots") from None
    if len(owners) != SLOTS:
        raise ValueError("no slots")
    return SlotMap(owners)


def address_of(host: bytes | str | None, port: int, asked_host: str) -> str:
    """A Redis node's `HOST:PORT` as it stands in a URL; a host without a name, or `?`, is
    `asked_host`.
    """
    name = host.decode() if isinstance(host, bytes) else host or ""
    if name in ("", "?"):
        return f"{asked_host}:{int(port)}"
    return f"[{name}]:{int(port)}" if ":" in name else f"{name}:{int(port)}"
