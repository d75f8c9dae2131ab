"""Which deliveries of a message are sent again, by what stood before it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from worker.broker.headers import RETURNS
from worker.delivery.delivery import Delivery
from worker.delivery.repeats import plan_repeats
from worker.ordering.newest import Stamp, Verdict, stamps_of
from worker.ordering.store import UNCLEAR

HOLDS, IS_OVER = Stamp(30_000, 1_000, False, "old"), Stamp(-5_000, 1_000, False, "old")


def choice(event_id: str, time_ms: int, **attributes: bool) -> Any:
    return SimpleNamespace(
        event_id=event_id, event_time_ms=time_ms, updated_at_ms=None, attributes=attributes
    )


NEW = choice("new", 2_000, news=True, offers=True)
NEWER = choice("newer", 3_000, offers=False)
STANDS_IN_PART = stamps_of(NEW) | stamps_of(NEWER)


def delivery(of: Any, *, is_handed_over: bool = False, returns: int = 0) -> Delivery:
    one: Any = SimpleNamespace(
        choice=of,
        state=SimpleNamespace(is_handed_over=is_handed_over),
        message=SimpleNamespace(headers={RETURNS: returns} if returns else {}),
        repeat_seconds=None,
    )
    return one  # type: ignore[no-any-return]


@pytest.mark.parametrize("came_again", [{"is_handed_over": True}, {"returns": 1}])
@pytest.mark.parametrize(("mark", "seconds"), [(HOLDS, 31.0), (IS_OVER, 1.0)])
@pytest.mark.parametrize(
    ("verdict", "is_accepted"),
    [
        pytest.param(Verdict.SUPERSEDED, False, id="nothing of it is sent"),
        pytest.param(Verdict.YIELDS, True, id="something newer is sent with it"),
    ],
)
def test_what_came_again_and_stands_in_part_is_sent_again(
    came_again: dict[str, Any], mark: Stamp, seconds: float, verdict: Verdict, is_accepted: bool
) -> None:
    """Adobe has had it, and a newer choice for another attribute; what is unclear may say all."""
    one = delivery(NEW, **came_again)
    granted = STANDS_IN_PART | {UNCLEAR: mark}
    plan_repeats([one], [verdict], granted, is_accepted=is_accepted)
    assert one.repeat_seconds == seconds


@pytest.mark.parametrize(
    ("one", "stored", "verdict"),
    [
        pytest.param(delivery(NEW), STANDS_IN_PART, Verdict.SUPERSEDED, id="it came once"),
        pytest.param(
            delivery(NEW, is_handed_over=True),
            stamps_of(choice("newest", 9_000, news=True, offers=True)),
            Verdict.SUPERSEDED,
            id="nothing of it stands",
        ),
        pytest.param(
            delivery(NEW, is_handed_over=True),
            STANDS_IN_PART,
            Verdict.YIELDS,
            id="its message failed, so it will come again",
        ),
    ],
)
def test_what_need_not_be_sent_again(
    one: Delivery, stored: dict[str, Stamp], verdict: Verdict
) -> None:
    plan_repeats([one], [verdict], stored | {UNCLEAR: HOLDS}, is_accepted=False)
    assert one.repeat_seconds is None
