"""Many who ask at once are one question."""

from __future__ import annotations

import asyncio

from devtools.waiting import wait_until
from worker.console.kept_answers import KeptAnswer


class Question:
    """Counts how often it was asked, and answers when it may."""

    def __init__(self) -> None:
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.trouble: Exception | None = None

    async def __call__(self) -> int:
        self.asked += 1
        await self.may_answer.wait()
        if self.trouble is not None:
            raise self.trouble
        return self.asked


async def test_many_at_once_are_answered_by_one_question_which_is_kept_for_its_time() -> None:
    now = 5.0
    question = Question()
    kept = KeptAnswer(question, 2.0, clock=lambda: now)
    asking = [asyncio.create_task(kept.get()) for _ in range(20)]
    await asyncio.sleep(0)
    question.may_answer.set()
    assert await asyncio.gather(*asking) == [1] * 20
    now += 1.9
    assert await kept.get() == 1
    now += 0.2
    assert await kept.get() == 2
    kept.forget()
    assert await kept.get() == 3


async def test_a_stale_answer_is_given_at_once_while_a_new_one_is_asked_for() -> None:
    now = 5.0
    question = Question()
    question.may_answer.set()
    kept = KeptAnswer(question, 2.0, 10.0, lambda: now)
    assert await kept.get() == 1
    now += 9.0
    question.may_answer.clear()
    assert await kept.get() == 1, "nobody waits"
    await asyncio.sleep(0)
    assert question.asked == 2
    question.may_answer.set()

    async def is_new() -> bool:
        return await kept.get() == 2

    await wait_until(is_new, "the new answer")
    await asyncio.sleep(0)
    now += 11.0
    assert await kept.get() == 3, "too old to be given"


async def test_who_hangs_up_takes_the_answer_from_nobody() -> None:
    question = Question()
    kept = KeptAnswer(question, 2.0)
    first, second = (asyncio.create_task(kept.get()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    question.may_answer.set()
    assert await second == 1
    assert question.asked == 1


async def test_trouble_goes_to_all_who_wait_and_is_not_kept() -> None:
    question = Question()
    question.trouble = ValueError("away")
    question.may_answer.set()
    kept = KeptAnswer(question, 2.0)
    both = await asyncio.gather(kept.get(), kept.get(), return_exceptions=True)
    assert [type(one) for one in both] == [ValueError] * 2
    assert question.asked == 1
    question.trouble = None
    assert await kept.get() == 2
