"""The kind of an inlet, in virtual time: what is asked when, who waits, and what is sent by it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

import orjson
import pytest

from devtools.examples import integration_document
from tests.unit.delivery.parts import GATHERED_SECONDS, Store
from tests.unit.delivery.pipeline_parts import NOON, Adobe, Worker, body
from tests.unit.delivery.virtual_time import after, in_virtual_time, now
from tests.unit.examples import integration
from worker.adobe.check.customer_setup import InletKind
from worker.adobe.check.inlet_kind import Untold
from worker.adobe.check.platform_reads import Unanswered
from worker.adobe.replies import Accepted, Permanent, Retryable
from worker.adobe.streaming import OutgoingMessage
from worker.delivery.inlets.inlet_answer import Answer, Told
from worker.delivery.inlets.inlet_questions import (
    AGAIN_SECONDS,
    FIRST_SECONDS,
    OLD_SECONDS,
    REFUSED_SECONDS,
    InletQuestions,
)
from worker.integrations.coherence import Surroundings
from worker.integrations.model import Integration
from worker.ordering.inlet_notes import MemoryInlets
from worker.ordering.store_protocol import StoreUnavailable
from worker.reasons import ErrorCode

AUTO = integration(payload_mode="auto", limits={"profile_gap_seconds": 0})
COMPLETED = Integration.model_validate(
    integration_document(
        payload_mode="auto", dataset_starts_empty=True, limits={"profile_gap_seconds": 0}
    ),
    context=Surroundings(has_lasting_state=True, has_secret=True),
)
UNKNOWN_FORMAT = Permanent(ErrorCode.ADOBE_REJECTED, "HTTP 400: unknown", 400, fault="form")
AWAY = Unanswered("away")
DAY = 86_400.0


class Flow:
    """What Adobe tells of the flow, and how often it was asked."""

    def __init__(self, answer: InletKind | Untold | Unanswered) -> None:
        self.answer = answer
        self.asked = 0
        self.answers = asyncio.Event()
        self.answers.set()

    async def ask(self, _: Integration) -> InletKind | Untold | Unanswered:
        self.asked += 1
        await self.answers.wait()
        return self.answer


class Inlet(Adobe):
    """One that takes a form alone; a raw one takes an envelope as well, and drops it."""

    def __init__(self, takes: str) -> None:
        super().__init__()
        self.takes = takes
        self.forms: list[str] = []
        self.dropped = 0

    async def send(
        self, integration: Integration, messages: Sequence[OutgoingMessage]
    ) -> list[Accepted | Retryable | Permanent] | Retryable | Permanent:
        self.forms += [integration.payload_mode] * len(messages)
        if integration.payload_mode != self.takes:
            if self.takes == "xdm":
                return UNKNOWN_FORMAT
            self.dropped += len(messages)
            return [Accepted("x")] * len(messages)
        return await super().send(integration, messages)


class Bench:
    """A worker with an auto integration, whose questions `flow` answers."""

    def __init__(
        self,
        flow: Flow,
        inlet: Inlet,
        shop: Integration = AUTO,
        keeper: MemoryInlets | None = None,
    ) -> None:
        began = now()
        self.flow = flow
        self.inlet = inlet
        self.keeper = keeper or MemoryInlets()
        self.questions = InletQuestions(flow.ask, self.keeper, lambda: NOON + now() - began)
        self.worker = Worker(inlet, Store(), shop=shop, inlets=self.questions.known)
        self.running = asyncio.ensure_future(self.questions.run())
        self.number = 0

    async def event(self, user: str = "lena") -> None:
        self.number += 1
        await self.worker.take(body(f"e{self.number}", user=user))

    async def come_back(self) -> None:
        """What was parked last comes back at its time."""
        parked = self.worker.latest
        await self.worker.take(parked.body, parked.headers)
        await after(GATHERED_SECONDS)

    @property
    def told(self) -> Counter[str]:
        return Counter(self.worker.told)

    async def stop(self) -> None:
        self.running.cancel()
        await self.questions.stop()


@in_virtual_time
async def test_events_wait_for_the_first_answer_and_for_nothing_after_it() -> None:
    bench = Bench(Flow("raw"), Inlet("upsert"))
    bench.flow.answers.clear()
    await bench.event("lena")
    await bench.event("emil")
    assert bench.told["parked"] == 2
    assert bench.flow.asked == 1
    bench.flow.answers.set()
    await after(1)
    await bench.event("maria")
    assert bench.told == {"parked": 2, "delivered": 1}
    await bench.stop()


@in_virtual_time
async def test_without_any_answer_the_wait_is_over_after_five_minutes() -> None:
    bench = Bench(Flow(AWAY), Inlet("upsert"))
    await bench.event()
    await after(FIRST_SECONDS - 1)
    await bench.event()
    assert bench.told == {"parked": 2}
    await after(1)
    await bench.event()
    assert bench.told == {"parked": 2, "delivered": 1}
    assert 10 < bench.flow.asked < 20
    await bench.stop()


@in_virtual_time
async def test_the_five_minutes_are_those_of_the_fleet_and_outlive_a_restart() -> None:
    first = Bench(Flow(AWAY), Inlet("upsert"))
    await first.event()
    await after(200)
    await first.stop()
    second = Bench(Flow(AWAY), Inlet("upsert"), keeper=first.keeper)
    second.questions._clock = first.questions._clock
    await second.event()
    await after(FIRST_SECONDS - 201)
    await second.event()
    assert second.told == {"parked": 2}
    await after(1)
    await second.event()
    assert second.told == {"parked": 2, "delivered": 1}
    await second.stop()


@in_virtual_time
async def test_an_answer_is_asked_for_again_after_a_day_and_holds_until_there_is_another() -> None:
    bench = Bench(Flow("raw"), Inlet("upsert"))
    await bench.event()
    await after(AGAIN_SECONDS - 60)
    assert bench.flow.asked == 1
    bench.flow.answer = AWAY
    await after(120)
    assert bench.flow.asked == 2
    await bench.event()
    bench.flow.answer = Untold("the right was taken back")
    await after(OLD_SECONDS)
    assert bench.flow.asked == 3
    await bench.event()
    assert bench.told == {"parked": 1, "delivered": 2}
    bench.flow.answer = "xdm"
    await after(OLD_SECONDS + 60)
    await bench.event()
    assert bench.told["block"] == 1, "what was found now does not fit"
    await bench.stop()


@in_virtual_time
async def test_a_refusal_asks_again_beside_delivery_and_once_a_minute_at_most() -> None:
    bench = Bench(Flow("raw"), Inlet("upsert"))
    await bench.event()
    await after(1)
    await bench.event()
    bench.inlet.reply = UNKNOWN_FORMAT
    bench.flow.answers.clear()
    await bench.event()
    await bench.event()
    assert bench.flow.asked == 2
    bench.inlet.reply = Accepted("x")
    await bench.event()
    assert bench.told["delivered"] == 2, "nothing waits for it"
    bench.flow.answers.set()
    await after(REFUSED_SECONDS)
    bench.inlet.reply = UNKNOWN_FORMAT
    await bench.event()
    assert bench.flow.asked == 3
    await bench.stop()


@in_virtual_time
async def test_what_is_refused_for_its_form_waits_for_a_new_answer_and_is_sent_by_it() -> None:
    bench = Bench(Flow("raw"), Inlet("upsert"), shop=COMPLETED)
    await bench.event()
    await after(1)
    await bench.event("emil")
    bench.inlet.takes = "xdm"  # the customer has made it so
    bench.flow.answer, bench.flow.answers = "xdm", asyncio.Event()
    await bench.event("lena")
    await after(0.1)
    assert bench.told == {"parked": 2, "delivered": 1}
    await bench.come_back()
    assert bench.told == {"parked": 3, "delivered": 1}, "there is no answer yet"
    bench.flow.answers.set()
    await after(1)
    await bench.come_back()
    assert bench.told == {"parked": 3, "delivered": 2}
    assert bench.inlet.forms[-1] == "xdm"
    await bench.stop()


@in_virtual_time
async def test_what_was_under_way_when_the_new_answer_came_is_sent_by_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench(Flow("raw"), Inlet("upsert"), shop=COMPLETED)
    await bench.event()
    await after(1)
    bench.inlet.takes = "xdm"
    bench.inlet.answers.clear()
    send = bench.inlet.send

    async def held(
        integration: Integration, messages: Sequence[OutgoingMessage]
    ) -> list[Accepted | Retryable | Permanent] | Retryable | Permanent:
        await bench.inlet.answers.wait()
        return await send(integration, messages)

    monkeypatch.setattr(bench.inlet, "send", held)
    await bench.event("lena")
    (case,) = bench.questions.known.cases
    bench.flow.answer = "xdm"
    assert case.answer is not None
    case.adopt(case.answer._replace(told="xdm", at_ms=case.answer.at_ms + 1))
    bench.inlet.answers.set()
    await after(0.1)
    assert bench.told == {"parked": 2}
    await bench.come_back()
    assert bench.told == {"parked": 2, "delivered": 1}
    await bench.stop()


@in_virtual_time
async def test_what_is_refused_though_adobe_tells_the_same_again_is_not_asked_for_ever() -> None:
    answers: tuple[tuple[InletKind | Unanswered, float], ...] = (("raw", 1.0), (AWAY, 301.0))
    for answer, seconds in answers:
        bench = Bench(Flow("raw"), Inlet("upsert"))
        await bench.event()
        await after(1)
        await bench.event("emil")
        bench.flow.answer = answer
        bench.inlet.reply = UNKNOWN_FORMAT
        await bench.event("lena")
        await after(0.1)
        assert bench.told == {"parked": 2, "delivered": 1}
        await after(seconds)
        await bench.come_back()
        assert bench.told["parked"] == 2
        assert sum(bench.told.values()) == 4, bench.told
        await bench.stop()


@in_virtual_time
async def test_an_inlet_that_has_become_raw_is_noticed_within_the_hour_and_told_for_a_day() -> None:
    bench = Bench(Flow("xdm"), Inlet("xdm"), shop=COMPLETED)
    await bench.event()
    await after(1)
    await bench.event("emil")
    bench.flow.answer, bench.inlet.takes = "raw", "upsert"
    await bench.event("maria")
    assert bench.inlet.dropped == 1
    await after(3600)
    await bench.event("lena")
    assert bench.inlet.forms[-1] == "upsert"
    (note,) = bench.questions.notes
    assert note.startswith("integration shop: its inlet was XDM-compatible at 20")
    await after(DAY + 60)
    assert bench.questions.notes == []
    await bench.stop()


@in_virtual_time
async def test_what_a_raw_inlet_has_dropped_is_sent_again_as_the_note_says() -> None:
    bench = Bench(Flow("xdm"), Inlet("xdm"), shop=COMPLETED)
    await bench.event()
    await after(1)
    await bench.event("emil")
    bench.flow.answer, bench.inlet.takes = "raw", "upsert"
    dropped = body("dropped", user="maria", enabled=False)
    await bench.worker.take(dropped)
    await after(3600)
    bench.worker.told.clear()
    (note,) = bench.questions.notes
    assert "each with a newer updated_at, since an exact copy is skipped" in note
    await bench.worker.take(dropped)
    newer = orjson.loads(dropped) | {"updated_at": "2026-03-02T12:00:00Z"}
    await bench.worker.take(orjson.dumps(newer))
    await after(GATHERED_SECONDS)
    assert bench.worker.told == ["duplicate", "delivered"]
    assert bench.inlet.records[-1] == {"news": False}
    await bench.stop()


@in_virtual_time
async def test_what_does_not_fit_blocks_sends_nothing_and_goes_on_when_the_flow_is_another() -> (
    None
):
    bench = Bench(Flow("xdm"), Inlet("upsert"))
    await bench.event()
    await after(1)
    await bench.come_back()
    assert bench.told == {"parked": 2, "block": 1}
    assert bench.worker.latest.headers["consent-error"] == "inlet-mismatch"
    assert bench.inlet.forms == []
    bench.flow.answer = "raw"
    await after(REFUSED_SECONDS)
    await bench.come_back()  # the probe, which asks
    await after(16)
    await bench.come_back()
    assert bench.told["delivered"] == 1
    assert bench.told["unblocked"] == 1
    await bench.stop()


@in_virtual_time
async def test_single_choices_are_never_tried_whole() -> None:
    bench = Bench(Flow(Untold("403")), Inlet("xdm"))
    await bench.event()
    await after(1)
    await bench.come_back()
    assert bench.told == {"parked": 2, "block": 1}
    assert bench.inlet.forms == ["upsert"]
    await bench.stop()


@in_virtual_time
async def test_what_a_raw_inlet_accepts_is_learned_and_kept() -> None:
    bench = Bench(Flow(Untold("403")), Inlet("upsert"), shop=AUTO)
    await bench.event()
    await after(1)
    await bench.event()
    await after(1)
    kept = (await bench.keeper.kept(["shop"]))["shop"]
    learned = Answer.decode(kept)
    assert learned is not None
    assert learned.told == "upsert"
    assert bench.inlet.dropped == 0
    await bench.stop()


@in_virtual_time
async def test_a_fault_of_the_question_keeps_no_event_waiting() -> None:
    class Faulty(Flow):
        async def ask(self, _: Integration) -> InletKind | Untold | Unanswered:
            raise RuntimeError("a bug")

    bench = Bench(Faulty("raw"), Inlet("upsert"))
    await bench.event()
    await after(1)
    await bench.event()
    assert bench.told == {"parked": 1, "delivered": 1}
    await bench.stop()


@in_virtual_time
async def test_a_store_that_is_away_has_the_answer_later() -> None:
    class Away(MemoryInlets):
        is_away = True

        async def keep(self, integration_id: str, text: str) -> None:
            if self.is_away:
                raise StoreUnavailable("away")
            await super().keep(integration_id, text)

    keeper = Away()
    bench = Bench(Flow("raw"), Inlet("upsert"), keeper=keeper)
    await bench.event()
    await after(1)
    await bench.event()
    assert bench.told["delivered"] == 1
    keeper.is_away = False
    await after(60)
    learned = Answer.decode((await keeper.kept(["shop"]))["shop"])
    assert learned is not None
    assert learned.told == "upsert"
    await bench.stop()


@in_virtual_time
async def test_a_store_that_has_lost_its_data_gets_what_is_known_and_keeps_what_others_told() -> (
    None
):
    bench = Bench(Flow("raw"), Inlet("upsert"))
    elsewhere = Answer("xdm", 1, "e" * 16)
    await bench.keeper.keep("elsewhere", elsewhere.encode())
    await bench.questions.recall(["elsewhere"])
    await bench.event()
    await after(1)
    for newer in (None, Answer("xdm", 2, AUTO.inlet_digest)):
        bench.keeper._kept.clear()
        if newer is not None:
            await bench.keeper.keep("shop", newer.encode())
        bench.questions.keep_again()
        await after(1)
        kept = await bench.keeper.kept(["shop", "elsewhere"])
        answer = Answer.decode(kept["shop"])
        assert answer is not None
        assert answer == newer or (newer is None and answer.told == "upsert")
        assert Answer.decode(kept["elsewhere"]) == elsewhere
    await bench.stop()


@in_virtual_time
async def test_a_changed_file_keeps_the_answer_for_the_same_inlet_and_no_other() -> None:
    bench = Bench(Flow("raw"), Inlet("upsert"))
    await bench.event()
    await after(1)
    bench.worker.shop = integration(
        payload_mode="auto", source_name="Else", limits={"profile_gap_seconds": 0}
    )
    await bench.event()
    assert bench.told == {"parked": 1, "delivered": 1}
    properties = AUTO.properties.model_copy(update={"dataflow_id": "another"})
    bench.worker.shop = AUTO.model_copy(update={"properties": properties})
    bench.worker.shop.__dict__.pop("inlet_digest", None)
    bench.flow.answers.clear()
    await bench.event()
    assert bench.told == {"parked": 2, "delivered": 1}
    assert bench.flow.asked == 2
    await bench.stop()


@in_virtual_time
async def test_what_waits_in_the_lane_for_the_former_form_is_decided_anew() -> None:
    """It was decided without what a whole record has to keep of it."""
    bench = Bench(Flow("raw"), Inlet("upsert"), shop=COMPLETED)
    await bench.event()
    await after(1)
    bench.inlet.answers.clear()
    await bench.event("lena")
    await bench.event("lena")  # waits for the one before
    (case,) = bench.questions.known.cases
    assert case.answer is not None
    case.adopt(case.answer._replace(told="xdm"))
    assert bench.told == {"parked": 1}
    await bench.event("emil")
    assert bench.told["parked"] == 2
    await bench.stop()


@pytest.mark.parametrize(
    ("told", "inlet", "waits"),
    [
        ("upsert", AUTO.inlet_digest, False),
        ("untold", AUTO.inlet_digest, False),
        ("asked", AUTO.inlet_digest, True),
        ("upsert", "f" * 16, True),
        ("xdm", "f" * 16, True),
    ],
)
def test_a_worker_that_starts_knows_what_the_fleet_knows_of_the_same_inlet(
    told: Told, inlet: str, *, waits: bool
) -> None:
    @in_virtual_time
    async def play() -> None:
        bench = Bench(Flow("raw"), Inlet("upsert"))
        await bench.keeper.keep("shop", Answer(told, int(NOON * 1000), inlet).encode())
        await bench.questions.recall(["shop"])
        await bench.event()
        assert bench.told == ({"parked": 1} if waits else {"delivered": 1})
        assert bench.flow.asked == (1 if waits else 0)
        await bench.stop()

    play()


@pytest.mark.parametrize("text", ["", "raw 1 0123456789abcdef", "xdm -1 0123456789abcdef", "xdm 1"])
def test_what_is_none_of_ours_is_no_answer(text: str) -> None:
    assert Answer.decode(text) is None


def test_an_answer_is_read_as_it_was_written() -> None:
    answer = Answer("xdm", 1_800_000_000_000, "0123456789abcdef")
    assert Answer.decode(answer.encode()) == answer
