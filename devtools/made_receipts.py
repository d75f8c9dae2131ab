"""Receipts as workers write them, made by the thousand for tests and measurements of the ledger."""

from __future__ import annotations

import hashlib
import random
import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, Final

import orjson

from worker.evidence.chain import Chain
from worker.evidence.receipt import Receipt, encode_receipt

_PATHS: Final = ("_acme.newsletter", "_acme.marketing.email", "consents.personalize")


def made_now_ms() -> int:
    """The time that receipts are made with."""
    return int(time.time() * 1000)


def receipt(event: str = "", **changes: Any) -> Receipt:
    """A delivered event of the integration `shop`, with `changes`."""
    at = changes.pop("at", made_now_ms())
    usual = Receipt(
        event=event or str(uuid.uuid4()),
        updated_at=None,
        integration="shop",
        organization="org-shop",
        delivery=0,
        outcome="delivered",
        reason="",
        attempt=1,
        user=None,
        choice="given",
        attributes={"_acme.newsletter": True},
        event_at=at - 250,
        due_at=None,
        status=200,
        xaction="1565650704337:2124:92:3",
        config="0123456789ab",
        at=at,
    )
    return usual._replace(**changes)


def state(taken: int = 0, settled: int = 0, **changes: Any) -> bytes:
    """The row of a worker's state; what is not settled is in hand."""
    usual: dict[str, Any] = {
        "version": "0.2.0",
        "started_at": made_now_ms(),
        "taken": taken,
        "settled": settled,
        "in_hand": taken - settled,
        "returned": 0,
        "unreceipted": {},
        "lanes": [],
        "oldest_event_at": None,
        "oldest_withdrawal_at": None,
    }
    return orjson.dumps(usual | changes)


class MadeWorker:
    """A chain whose messages are made one after the other."""

    def __init__(self, name: str = "host:1", secret: bytes = b"") -> None:
        self.chain = Chain(name, secret)

    def begin(self) -> bytes:
        """Its first message."""
        return self.chain.message("begin", [], made_now_ms())

    def receipts(self, receipts: Sequence[Receipt]) -> bytes:
        """A message of these."""
        return self.chain.message(
            "receipts", [encode_receipt(one) for one in receipts], _at(receipts)
        )

    def state(self, row: bytes) -> bytes:
        """A message of a state."""
        return self.chain.message("state", [row], made_now_ms())

    def end(self) -> bytes:
        """Its last message."""
        return self.chain.message("end", [], made_now_ms())


def _at(receipts: Sequence[Receipt]) -> int:
    return receipts[-1].at if receipts else made_now_ms()


def many(count: int, seed: int = 1, integrations: int = 100) -> Iterator[Receipt]:
    """Receipts as of a busy fleet: of 100 events 90 are delivered, 8 skipped, 2 retried and then
    delivered; each person has five events.
    """
    chance = random.Random(seed)
    month = "202611"
    at = made_now_ms() - count
    made = 0
    while made < count:
        user = hashlib.blake2b(b"%d" % chance.randrange(count // 5 + 1), digest_size=16)
        number = chance.randrange(integrations)
        one = receipt(
            str(uuid.UUID(int=chance.getrandbits(128))),
            integration=f"customer-{number:04d}",
            organization=f"org-{number:04d}",
            user=f"{month}:{user.hexdigest()}",
            attributes={path: chance.random() < 0.5 for path in _PATHS},
            config=f"{number:012x}",
            xaction=f"{1565650704337 + made}:{chance.randrange(9999)}:{chance.randrange(99)}:3",
            at=at + made,
        )
        dice = chance.random()
        if dice < 0.08:
            one = one._replace(outcome="skipped", reason="superseded", status=None, xaction=None)
        elif dice < 0.10:
            waits = one._replace(
                outcome="retried",
                reason="adobe-unavailable",
                status=503,
                xaction=None,
                due_at=one.at + 5000,
            )
            yield waits
            made += 1
            one = one._replace(attempt=2, at=one.at + 5100)
        yield one
        made += 1
