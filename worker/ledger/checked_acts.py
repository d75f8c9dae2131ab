"""Whether the chains of acts verify: anew, by what the ledger has, and as it read them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import islice
from typing import Final, NamedTuple

from sqlalchemy import Connection, select

from worker.evidence.exported_file import OF_A_WHOLE_STREAM
from worker.evidence.findings import FindingCode
from worker.evidence.heading import read_heading
from worker.evidence.signing import Keyring
from worker.evidence.verification import Verification
from worker.ledger.act_chains import act_messages
from worker.ledger.lost_before import behind_lost
from worker.ledger.schema import ACTS, CHAINS, FINDINGS, MESSAGES
from worker.ledger.stream_findings import MANIPULATIONS

MOST_MESSAGES: Final = 2_000
"""That are verified for one page; those of fifty acts are some 300."""


class CheckedActs(NamedTuple):
    """Whether the chains of acts verify: `wrong` has the codes of what is wrong, by chain, and
    `acts` by act. Of its `messages` some are `unsigned`, and some signed by none of the secrets
    that are known here. `is_partial`: there are more of them.
    """

    wrong: Mapping[str, str]
    acts: Mapping[str, str]
    messages: int
    unsigned: int
    unchecked: int
    is_partial: bool

    @property
    def is_signed(self) -> bool:
        """Whether each message with acts was held against its signature."""
        return not self.unsigned and not self.unchecked


def checked_acts(connection: Connection, acts: Collection[str], keyring: Keyring) -> CheckedActs:
    """Whether the chains of the acts with these ids verify."""
    verification = Verification(keyring)
    chains: dict[str, int] = {}
    numbers: dict[tuple[str, int], int] = {}
    messages = act_messages(connection, acts)
    for one in islice(messages, MOST_MESSAGES):
        message = one.message
        heading = read_heading(message.heading)
        chains[heading.chain] = message.chain_id
        numbers[heading.chain, heading.sequence] = message.id
        verification.take(message.stream_offset, heading, message.heading, one.digests)
    found = verification.conclude(0)
    wrong = _found_before(connection, chains.values())
    gaps = {
        one: numbers[one.chain, one.sequence] for one in found if one.code is FindingCode.REMOVED
    }
    behind = behind_lost(connection, gaps.values())
    wrong |= {
        one.chain: str(one.code)
        for one in found
        if one.code not in OF_A_WHOLE_STREAM and gaps.get(one) not in behind
    }
    return CheckedActs(
        wrong,
        _by_act(connection, acts, wrong),
        verification.messages,
        verification.unsigned,
        verification.unchecked,
        is_partial=next(messages, None) is not None,
    )


def _by_act(
    connection: Connection, acts: Collection[str], wrong: Mapping[str, str]
) -> dict[str, str]:
    """What is wrong, by those of these acts that are in one of the chains."""
    query = (
        select(ACTS.c.act, CHAINS.c.chain)
        .join(MESSAGES, MESSAGES.c.id == ACTS.c.message_id)
        .join(CHAINS, CHAINS.c.id == MESSAGES.c.chain_id)
        .where(ACTS.c.act.in_(acts), CHAINS.c.chain.in_([bytes.fromhex(one) for one in wrong]))
    )
    return {act: wrong[chain.hex()] for act, chain in connection.execute(query)} if wrong else {}


def _found_before(connection: Connection, chains: Collection[int]) -> dict[str, str]:
    """What the ledger has found of these chains as it read them."""
    query = (
        select(CHAINS.c.chain, FINDINGS.c.kind)
        .join(CHAINS, CHAINS.c.id == FINDINGS.c.chain_id)
        .where(FINDINGS.c.kind.in_(MANIPULATIONS), FINDINGS.c.chain_id.in_(chains))
    )
    return {chain.hex(): kind for chain, kind in connection.execute(query)}
