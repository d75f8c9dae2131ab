"""Chains of messages for the tests of their verification."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from worker.evidence.chain import Chain
from worker.evidence.findings import FindingCode
from worker.evidence.heading import read_message
from worker.evidence.receipt import Receipt, encode_receipt
from worker.evidence.signing import Keyring
from worker.evidence.verification import Verification

SECRET: Final = b"a secret of the operators"
START_MS: Final = 1_800_000_000_000


def receipt(number: int = 0) -> Receipt:
    """One of a delivered event."""
    return Receipt(
        event=f"ev-{number}",
        updated_at=START_MS,
        integration="shop",
        organization="org-shop",
        delivery=0,
        outcome="delivered",
        reason="",
        attempt=1,
        user="202711:0123456789abcdef0123456789abcdef",
        choice="withdrawn",
        attributes={"_tenant.marketing": False, "_tenant.note": None},
        event_at=START_MS,
        due_at=None,
        status=None,
        xaction="1475711956-2",
        config="0123456789ab",
        at=START_MS + number,
    )


def bodies(
    count: int, secret: bytes = SECRET, *, ends: bool = True, start_ms: int = START_MS
) -> list[bytes]:
    """The messages of one process: `begin`, `count` messages of two receipts, one a second from
    `start_ms` on, and an `end`.
    """
    chain = Chain("host:1", secret)
    said = [chain.message("begin", (), start_ms)]
    for number in range(count):
        rows = [encode_receipt(receipt(2 * number + one)) for one in range(2)]
        said.append(chain.message("receipts", rows, start_ms + 1000 * number))
    if ends:
        said.append(chain.message("end", (), start_ms + 1000 * count))
    return said


def verified(
    said: Iterable[bytes],
    secrets: Iterable[bytes] = (SECRET,),
    *,
    first_offset: int = 0,
    now_ms: int = START_MS,
) -> tuple[Verification, list[FindingCode]]:
    """The verification of a stream with these messages, and the codes that it found."""
    verification = Verification(Keyring(secrets))
    for offset, body in enumerate(said, first_offset):
        verification.see(offset, body)
    return verification, [one.code for one in verification.conclude(now_ms)]


def place_of(body: bytes) -> int:
    """The sequence of a message."""
    return read_message(body).heading.sequence
