"""The block of an integration whose set-up is at fault."""

from __future__ import annotations

import pytest

from worker.delivery.lanes.block import Block
from worker.delivery.outcome import Failure
from worker.reasons import ErrorCode

REFUSED = Failure(ErrorCode.TOKEN_REFUSED, "the client secret is wrong")


@pytest.fixture
def block() -> Block:
    return Block(probe_seconds=15, probe_timeout_seconds=35)


def probe(block: Block, now: float) -> None:
    assert block.claim_probe(now)
    assert not block.failed(REFUSED, now)


def test_it_begins_with_the_first_failure_and_says_so_once(block: Block) -> None:
    assert not block.is_on
    assert block.failed(REFUSED, 100)
    assert block.is_on
    assert block.failure == REFUSED
    assert not block.failed(Failure("adobe-refused", "a newer one"), 101)
    assert block.failure == Failure("adobe-refused", "a newer one")


def test_one_probe_at_a_time_is_let_through(block: Block) -> None:
    block.failed(REFUSED, 100)
    assert not block.claim_probe(114.9)
    assert block.claim_probe(115)
    assert not block.claim_probe(115)
    assert not block.claim_probe(149.9)


def test_a_probe_that_tells_nothing_is_over_after_a_while(block: Block) -> None:
    block.failed(REFUSED, 100)
    assert block.claim_probe(115)
    assert block.claim_probe(150)


def test_a_probe_that_had_nothing_to_send_leaves_the_next_to_go_at_once(block: Block) -> None:
    block.failed(REFUSED, 100)
    assert block.claim_probe(115)
    block.probe_was_inconclusive(116)
    assert block.parking_delay(0, 116) == pytest.approx(0.1)
    assert block.claim_probe(116.1)


def test_what_had_nothing_to_send_and_is_no_probe_brings_none_forward(block: Block) -> None:
    block.failed(REFUSED, 100)
    block.probe_was_inconclusive(101)
    assert not block.claim_probe(114.9)


def test_only_a_probe_lengthens_the_pause(block: Block) -> None:
    block.failed(REFUSED, 100)
    for _ in range(20):
        block.failed(REFUSED, 110)  # sent before the block
    assert block.claim_probe(115)


def test_probes_that_fail_come_ever_later_up_to_eight_times_as_late(block: Block) -> None:
    block.failed(REFUSED, 0)
    now, gaps = 0.0, []
    for gap in (15, 30, 60, 120, 120, 120):
        assert not block.claim_probe(now + gap - 0.1)
        now += gap
        probe(block, now)
        gaps.append(gap)
    assert gaps[-1] == 8 * 15


def test_what_fails_after_a_failed_probe_does_not_count_again(block: Block) -> None:
    block.failed(REFUSED, 0)
    probe(block, 15)
    block.failed(REFUSED, 16)
    assert block.claim_probe(15 + 30)


def test_the_end_says_whether_there_was_a_pause_and_forgets_how_long_it_was(
    block: Block,
) -> None:
    assert not block.end()
    block.failed(REFUSED, 0)
    probe(block, 15)
    assert block.end()
    assert not block.is_on
    assert block.failure is None
    assert block.failed(REFUSED, 100)
    assert block.claim_probe(115)


def test_a_failure_after_the_end_is_not_taken_for_the_probe(block: Block) -> None:
    block.failed(REFUSED, 0)
    assert block.claim_probe(15)
    block.end()
    assert block.failed(REFUSED, 20)
    block.failed(REFUSED, 30)
    assert block.claim_probe(35)


def test_the_first_that_is_parked_is_the_scout_and_comes_back_for_the_probe(
    block: Block,
) -> None:
    block.failed(REFUSED, 100)
    delay = block.parking_delay(parks=0, now=105)
    assert delay == pytest.approx(10.1)
    assert block.claim_probe(105 + delay)


def test_the_others_come_back_after_the_probe_and_ever_more_rarely(block: Block) -> None:
    block.failed(REFUSED, 100)
    block.parking_delay(0, 100)
    delays = [block.parking_delay(parks, 100) for parks in (0, 1, 2, 3, 4, 10_000)]
    assert delays == [32, 64, 128, 256, 256, 256], "each one level of the delay"


def test_each_probe_has_a_scout_of_its_own(block: Block) -> None:
    block.failed(REFUSED, 0)
    block.parking_delay(0, 0)
    probe(block, 15)
    assert block.parking_delay(1, 15) == pytest.approx(30.1)
    assert block.parking_delay(1, 15) == 64


def test_while_a_probe_is_out_the_scout_waits_until_it_is_over(block: Block) -> None:
    block.failed(REFUSED, 0)
    block.claim_probe(15)
    assert block.parking_delay(0, 15) == pytest.approx(35.1)


def test_a_scout_that_is_late_is_not_parked_for_less_than_a_moment(block: Block) -> None:
    block.failed(REFUSED, 0)
    assert block.parking_delay(0, 1000) == pytest.approx(0.1)
