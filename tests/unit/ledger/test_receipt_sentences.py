"""Each outcome is told by a sentence, and the last one by what to do about it."""

from __future__ import annotations

import pytest

from devtools.made_receipts import receipt
from worker.code_kinds import Code
from worker.evidence.receipt import OutcomeName
from worker.ledger.receipt_sentences import sentence, to_do
from worker.reasons import DeadReason, ErrorCode, ParkReason, SkipReason

_CODES: list[tuple[OutcomeName, Code]] = [
    *(("skipped", one) for one in SkipReason),
    *(("parked", one) for one in ParkReason),
    *(("retried", one) for one in ErrorCode),
    *(("dead", one) for one in DeadReason),
]


@pytest.mark.parametrize(("outcome", "code"), _CODES)
def test_every_reason_has_its_sentence_and_something_to_do(
    outcome: OutcomeName, code: Code
) -> None:
    one = receipt(outcome=outcome, reason=code.value)
    assert sentence(one) == code.sentence
    assert to_do(one, is_last=True)
    said = to_do(one, is_last=True)
    assert ("replay" in said or "Discard" in said) == (outcome == "dead")
    assert to_do(one, is_last=False) == ""


def test_where_the_error_is_known_it_says_what_to_do() -> None:
    dead = receipt(outcome="dead", reason="retries-exhausted", error="adobe-unavailable")
    assert "status page" in to_do(dead, is_last=True)
    assert "dead-letters replay" in to_do(dead, is_last=True)
    held = receipt(outcome="parked", reason="blocked", error="token-refused")
    assert "a new client secret" in to_do(held, is_last=True)


@pytest.mark.parametrize("outcome", ["received", "delivered", "erased"])
def test_what_has_no_reason_needs_nothing(outcome: OutcomeName) -> None:
    one = receipt(outcome=outcome)
    assert sentence(one).endswith(".")
    assert to_do(one, is_last=True) == ""


def test_a_reason_of_a_newer_version_is_not_guessed() -> None:
    one = receipt(outcome="skipped", reason="of-tomorrow")
    assert "does not know" in sentence(one)
    assert to_do(one, is_last=True) == "Upgrade this command."
