"""Which deliveries of a message are sent again, by what stood before it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from worker.delivery.rounds.repeat_plan import plan_repeats
from worker.ordering.newest_fold import stamps_of
from worker.ordering.stamp import Stamp
from worker.ordering.store_protocol import UNCLEAR
from worker.ordering.verdicts import Verdict

HOLDS, IS_OVER, LONG_AGO = (
    Stamp(left_ms, 1_000, False, "old") for left_ms in (30_000, -5_000, -90_000_000)
)


def choice(event_id: str, time_ms: int, **attributes: bool) -> Any:
    return SimpleNamespace(
        event_id=event_id,
        event_time_ms=time_ms,
        updated_at_ms=None,
        attributes=attributes,
        companions=(),
        didomi_user=None,
    )


NEW = choice("new", 2_000, news=True, offers=True)
NEWER = choice("newer", 3_000, offers=False)
STANDS_IN_PART = stamps_of(NEW) | stamps_of(NEWER)


def delivery(of: Any) -> Any:
    state = SimpleNamespace(is_repeat=False)
    return SimpleNamespace(choice=of, state=state, repeat_seconds=None)


@pytest.mark.parametrize(("mark", "seconds"), [(HOLDS, 31.0), (IS_OVER, 1.0)])
@pytest.mark.parametrize(
    ("verdict", "is_accepted"),
    [
        pytest.param(Verdict.SUPERSEDED, False, id="nothing of it is sent"),
        pytest.param(Verdict.YIELDS, True, id="something newer is sent with it"),
    ],
)
def test_what_stands_in_part_is_sent_again(
    mark: Stamp, seconds: float, verdict: Verdict, is_accepted: bool
) -> None:
    """Adobe has had it, and a newer choice for another attribute; what is unclear may say all."""
    one = delivery(NEW)
    granted = STANDS_IN_PART | {UNCLEAR: mark}
    plan_repeats([one], [verdict], granted, is_accepted=is_accepted)
    assert one.repeat_seconds == seconds


@pytest.mark.parametrize(
    ("one", "stored", "verdict"),
    [
        pytest.param(
            delivery(NEW),
            STANDS_IN_PART | {UNCLEAR: LONG_AGO},
            Verdict.SUPERSEDED,
            id="the mark was over long ago",
        ),
        pytest.param(
            delivery(NEW),
            stamps_of(choice("newest", 9_000, news=True, offers=True)),
            Verdict.SUPERSEDED,
            id="nothing of it stands",
        ),
        pytest.param(
            delivery(NEW),
            STANDS_IN_PART,
            Verdict.YIELDS,
            id="its message failed, so it will come again",
        ),
    ],
)
def test_what_need_not_be_sent_again(one: Any, stored: dict[str, Stamp], verdict: Verdict) -> None:
    plan_repeats([one], [verdict], {UNCLEAR: HOLDS} | stored, is_accepted=False)
    assert one.repeat_seconds is None
