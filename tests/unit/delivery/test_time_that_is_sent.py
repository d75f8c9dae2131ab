"""`event_time_path`: the time that Adobe gets of a person never goes back."""

from __future__ import annotations

import pytest

from tests.unit.delivery.parts import Store
from tests.unit.delivery.records import MAPPINGS, NO_GAP, Adobe, Worker, choice
from tests.unit.delivery.virtual_time import in_virtual_time
from tests.unit.examples import integration
from worker.adobe.replies import Permanent, Retryable
from worker.reasons import ErrorCode

TIMED = integration(limits=NO_GAP, mappings=MAPPINGS, event_time_path="_acme.time")
UNCLEAR = Retryable(ErrorCode.TIMEOUT, "no answer in time", is_unclear=True)
CLEAR = Retryable(ErrorCode.ADOBE_UNAVAILABLE, "", 503)
REFUSED = Permanent(ErrorCode.ADOBE_REJECTED, "no", 400)


def minute(adobe: Adobe) -> int:
    """That of the time in the record that came last."""
    return int(adobe.has["time"].split(":")[1])


@pytest.mark.parametrize(
    ("replies", "expected"),
    [
        pytest.param([], 30, id="accepted"),
        pytest.param([UNCLEAR], 30, id="perhaps accepted"),
        pytest.param([CLEAR], 10, id="not accepted"),
    ],
)
@in_virtual_time
async def test_an_older_choice_is_sent_with_the_newest_time_that_was_sent(
    replies: list[Retryable | Permanent], expected: int
) -> None:
    worker = Worker(Store(), TIMED)
    worker.adobe.replies = replies
    await worker.take(choice(30, sms=True))
    await worker.take(choice(10, news=True))
    assert minute(worker.adobe) == expected
    await worker.take(choice(40, news=False))
    assert minute(worker.adobe) == 40


@in_virtual_time
async def test_it_is_kept_where_a_refused_message_is_taken_apart() -> None:
    worker = Worker(Store(), TIMED)
    worker.adobe.replies = [REFUSED]
    await worker.take(choice(10, news=True), choice(30, sms=True))
    assert [one["time"].split(":")[1] for one in worker.adobe.records] == ["30", "30"]
    worker.adobe.replies = [REFUSED, REFUSED]
    await worker.take(choice(20, offers=True), choice(50, sms=False))
    assert minute(worker.adobe) == 30, "what was refused was not sent"
