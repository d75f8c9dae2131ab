"""Whatever happens to a lane, it counts right, loses nothing, and settles nothing twice."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.delivery.lane_parts import OK, TIMEOUT, Bench, Round
from tests.unit.delivery.parts import Hand
from tests.unit.delivery.virtual_time import after, in_virtual_time, quiet
from worker.adobe.replies import Retryable
from worker.delivery.delivery import Delivery
from worker.delivery.rounds.round_results import Result
from worker.reasons import ErrorCode

THROTTLED = Retryable(ErrorCode.ADOBE_THROTTLED, "", 429, 2.0)


class Model:
    """What a lane should hold; each step says what it does to that."""

    def __init__(self, gap: float) -> None:
        self.bench = Bench(
            max_events_in_flight=6,
            requests_in_flight=3,
            messages_per_request=3,
            profile_gap_seconds=gap,
        )
        self.held: set[Delivery] = set()
        self.lost: set[Delivery] = set()
        self.given_up: set[Delivery] = set()
        self.offered = 0

    @property
    def in_rounds(self) -> list[Delivery]:
        return [one for each in self.bench.rounds.under_way for one in each.deliveries]

    async def offer(self, user: int, is_suspect: bool) -> None:
        self.offered += 1
        self.held.update(await self.bench.offer(f"user-{user}", is_suspect=is_suspect))

    async def end(self, which: int, how: str) -> None:
        under_way = self.bench.rounds.under_way
        if not under_way:
            return
        one: Round = under_way[which % len(under_way)]
        if how == "store away":
            await one.find_the_store_away()
            self._let_go(set(one.deliveries) - set(self.in_rounds))
            return
        self.held -= set(one.deliveries)
        if how == "crash":
            await one.fail(ValueError("a bug"))
        else:
            answers: dict[str, Result] = {"ok": OK, "timeout": TIMEOUT, "throttled": THROTTLED}
            await one.answer(answers[how])

    async def lose_the_line(self) -> None:
        self.bench.hand.host.lost.set()
        self.bench.hand = Hand()
        self._let_go(self.held - set(self.in_rounds))
        self.bench.lane.drop_returned()

    async def clear(self) -> None:
        waiting = self.held - set(self.in_rounds)
        self._give_up(self.bench.lane.take_all_waiting())
        assert not waiting & self.held

    async def shed(self, share: int) -> None:
        parked = self.bench.give_up_surplus(share)
        assert not set(parked) & set(self.in_rounds)
        assert all(one.message.source is self.bench.hand for one in parked)
        self._give_up(parked)

    def _give_up(self, deliveries: list[Delivery]) -> None:
        assert len(set(deliveries)) == len(deliveries)
        assert set(deliveries) <= self.held
        self.held -= set(deliveries)
        self.given_up.update(deliveries)

    def _let_go(self, candidates: set[Delivery]) -> None:
        gone = {one for one in candidates & self.held if not one.message.is_ours}
        self.held -= gone
        self.lost |= gone

    def check(self) -> None:
        bench = self.bench
        users = [user for one in bench.rounds.under_way for user in one.users]
        assert len(set(users)) == len(users), "a user has two messages under way"
        assert set(self.in_rounds) <= self.held
        assert bench.lane.held == len(self.held)
        concluded = {one for one, _ in bench.concluded}
        assert len(concluded) == len(bench.concluded), "concluded twice"
        parts = (self.held, concluded, self.given_up, self.lost)
        assert sum(len(one) for one in parts) == len(set().union(*parts)) == self.offered
        normal = [
            one
            for one in bench.rounds.under_way
            if not any(each.is_suspect for each in one.deliveries)
        ]
        assert len(normal) <= 3
        assert sum(len(one.deliveries) for one in normal) <= 6 or len(normal) == 1

    async def finish(self) -> None:
        for _ in range(200):
            if not self.held:
                break
            await self.end(0, "ok")
            await after(5)
            self.check()
        await after(5)
        assert not self.held, "something is stuck"
        assert self.bench.lane.is_idle
        assert self.bench.lane.keeps_up()


STEPS = st.one_of(
    st.tuples(st.just("offer"), st.integers(0, 5), st.sampled_from([False, False, False, True])),
    st.tuples(st.just("offer"), st.integers(0, 5), st.just(False)),
    st.tuples(
        st.just("end"),
        st.integers(0, 5),
        st.sampled_from(["ok", "ok", "timeout", "throttled", "crash", "store away"]),
    ),
    st.tuples(st.just("wait"), st.sampled_from([0.001, 0.003, 0.5, 1.0])),
    st.tuples(st.just("lose_the_line")),
    st.tuples(st.just("clear")),
    st.tuples(st.just("shed"), st.integers(0, 4)),
)


@settings(max_examples=200)
@given(gap=st.sampled_from([0, 1]), steps=st.lists(STEPS, max_size=40))
@in_virtual_time
async def test_it_holds_what_it_should_and_ends_with_nothing(
    gap: float, steps: list[tuple[Any, ...]]
) -> None:
    model = Model(gap)
    for name, *arguments in steps:
        if name == "wait":
            await after(arguments[0])
        else:
            await getattr(model, str(name))(*arguments)
        await quiet()
        model.check()
    await model.finish()
    await model.bench.gate.stop()
