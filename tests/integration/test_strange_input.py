"""What else may come, end to end: another worker at the same user, a fault of the set-up, replies
that can't be read.
"""

from __future__ import annotations

import json
import struct
from collections import Counter
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from pamqp.commands import Basic

from bench.publisher import Line, frames_of
from devtools.stack import Stack, event
from devtools.waiting import wait_until
from worker.adobe.endpoints import INSECURE

TWO_MAPPINGS = [
    {"id": "_acme.news", "value": "consents_purposes_news_enabled"},
    {"id": "_acme.offers", "value": "consents_purposes_offers_enabled"},
]
LENA = "lena@a.example"


def _choice(event_id: str, user: str = LENA, **purposes: bool) -> bytes:
    listed = [{"id": name, "enabled": value} for name, value in purposes.items()]
    document = event("org-shop", user, event_id=event_id, consents={"purposes": listed})
    return json.dumps(document).encode()


def _told(stack: Stack) -> Counter[str]:
    """Outcomes in the log, as `kind reason`."""
    return Counter(
        f"{one['event'].removeprefix('delivery.')} {one.get('reason', '')}".strip()
        for one in stack.log_entries()
        if one["event"].startswith("delivery.")
    )


def _record(stack: Stack, user: str) -> Any:
    return stack.sandbox.state.profiles["dataset-shop", user].record["_acme"]


async def test_a_worker_that_meets_anothers_lease_waits_without_an_attempt(
    broker_url: str, redis_url: str, namespace: str
) -> None:
    async with Stack(
        broker_url, namespace, STATE_URL=redis_url, PREFETCH_EVENTS=1, LOG_LEVEL="debug"
    ) as stack:
        stack.add_integration("shop", mappings=TWO_MAPPINGS, limits={"profile_gap_seconds": 0.1})
        stack.start_worker()
        stack.start_worker()
        await wait_until(lambda: stack.log_text().count("broker.connected") == 2, "both workers")
        stack.sandbox.state.inject(target="collection", kind="hang", times=1)
        await stack.publish([_choice("e1", news=True)])
        await wait_until(lambda: stack.messages("shop"), "the first one under way")
        # The worker that sends takes nothing else, so this one is for the other.
        await stack.publish([_choice("e2", news=False, offers=True)])
        await wait_until(lambda: _told(stack)["parked busy"] >= 1, "the contender")
        assert len(stack.messages("shop")) == 1, "one message for a user at a time"
        stack.sandbox.state.clear_faults()
        await wait_until(lambda: _told(stack)["delivered"] == 2, "both")
        assert _record(stack, LENA) == {"news": False, "offers": True}
        assert set(_told(stack)) == {"delivered", "parked busy"}, "no attempt failed"


async def test_a_fault_of_the_set_up_pauses_names_the_fix_and_heals(
    broker_url: str, namespace: str
) -> None:
    async with Stack(
        broker_url, namespace, BLOCK_PROBE_SECONDS=0.2, RETRY_BUDGET_SECONDS=10, LOG_LEVEL="debug"
    ) as stack:
        stack.add_integration("shop")
        stack.add_integration("other")
        stack.sandbox.state.inject(target="token", key="client-shop", kind="refuse-token")
        stack.start_worker()
        await stack.wait_until_consuming()
        users = [f"u{i}@a.example" for i in range(5)]
        await stack.publish([json.dumps(event("org-shop", one)).encode() for one in users])
        await stack.publish([json.dumps(event("org-other", "o@a.example")).encode()])
        await wait_until(lambda: stack.delivered("other"), "the other customer")
        await wait_until(lambda: _told(stack)["parked blocked"] >= 6, "all parked, one again")
        status, answer = await stack.get("/readyz")
        assert status == 200, "the others work"
        note, insecure = json.loads(answer)["notes"]
        assert insecure == INSECURE
        assert note == (
            "integration shop is blocked: token-refused; the log has more of it, "
            "integration.blocked"
        ), "nothing of what Adobe said"
        (paused,) = [one for one in stack.log_entries() if one["event"] == "integration.blocked"]
        assert (paused["integration"], paused["error"]) == ("shop", "token-refused")
        assert "mend the configuration" in paused["remedy"]
        assert paused["detail"].startswith("HTTP 400: invalid_client")
        assert 'consent_lane_blocked{integration="shop"} 1.0' in (await stack.get("/metrics"))[1]
        stack.sandbox.state.clear_faults()
        await wait_until(lambda: stack.delivered("shop") == set(users), "all after the mending", 40)
        await wait_until(lambda: _told(stack)["delivered"] == 6, "a word about all")
        assert set(_told(stack)) == {"delivered", "parked blocked"}
        assert json.loads((await stack.get("/readyz"))[1])["notes"] == [INSECURE]
        assert "integration.unblocked" in stack.log_text()


async def test_patience_that_is_spent_is_a_dead_letter_with_no_attempt_counted(
    broker_url: str, namespace: str
) -> None:
    async with Stack(
        broker_url, namespace, BLOCK_PROBE_SECONDS=0.2, BLOCK_PATIENCE_SECONDS=1
    ) as stack:
        stack.add_integration("shop")
        stack.sandbox.state.inject(target="collection", key="shop", kind="refuse-token")
        stack.start_worker()
        await stack.wait_until_consuming()
        await stack.publish([json.dumps(event("org-shop", LENA)).encode()])
        await stack.wait_for_depth("dead-letters", 1)
        code, out, _ = await stack.command("dead-letters", "list", "--json")
        assert code == 0
        (letter,) = json.loads(out)
        assert (letter["reason"], letter["error"]) == ("setup-failure", "adobe-refused")
        assert letter["attempts"] == 0
        stack.sandbox.state.clear_faults()
        code, out, _ = await stack.command("dead-letters", "replay", "--reason", "setup-failure")
        assert (code, out) == (0, "replayed 1\n")
        await wait_until(lambda: stack.delivered("shop") == {LENA}, "the replayed one", 40)


async def test_a_batch_whose_reply_is_unreadable_is_sent_again_and_counted_once(
    broker_url: str, namespace: str
) -> None:
    unreadable: list[Any] = [
        {"responses": [{"status": "odd"}] * 2},  # fewer than messages
        {"responses": [{"status": "odd"}, {"statusCode": 7}, 3]},
        "<html>",
    ]
    async with Stack(broker_url, namespace, RETRY_BUDGET_SECONDS=10, LOG_LEVEL="debug") as stack:
        # One request a second, so that the rest of each three goes as a batch.
        stack.add_integration("shop", limits={"requests_per_second": 1})
        stack.start_worker()
        await stack.wait_until_consuming()
        published: set[str] = set()
        for number, body in enumerate(unreadable):
            stack.sandbox.state.inject(
                target="collection", key="shop", kind="status", status=207, body=body, times=1
            )
            users = [f"u{number}{i}@a.example" for i in range(3)]
            await stack.publish([json.dumps(event("org-shop", one)).encode() for one in users])
            published |= set(users)
            await wait_until(
                partial(lambda due: _told(stack)["delivered"] == due, 3 * (number + 1)),
                f"all after {body}",
            )
        told = _told(stack)
        assert set(told) == {"delivered", "retried adobe-unreadable"}
        assert told["retried adobe-unreadable"] >= len(unreadable)
        assert stack.delivered("shop") == published
        for queue in ("events", "retries", "dead-letters"):
            await stack.wait_for_depth(queue, 0)


_WORD = b"placeholder"
_MADE = datetime(2026, 1, 2, tzinfo=UTC)
_MOMENT = struct.pack(">Q", int(_MADE.timestamp()))
UNREADABLE_HEADERS = {
    "a header's name that is not UTF-8": (Basic.Properties(headers={_WORD.decode(): 1}), _WORD),
    "a header with a time in the far future": (Basic.Properties(headers={"at": _MADE}), _MOMENT),
}
UNREADABLE_OTHERS = {
    "an id that is not UTF-8": (Basic.Properties(message_id=_WORD.decode()), _WORD),
    "a time in the far future": (
        Basic.Properties(content_type="text", headers={"x-delivery-count": 1}, timestamp=_MADE),
        _MOMENT,
    ),
}


def _publish_with(
    broker_url: str, namespace: str, properties: Basic.Properties, place: bytes, body: bytes
) -> None:
    """With `place` of the properties overwritten, as no AMQP client for Python would, but others
    do.
    """
    frames = frames_of("", f"{namespace}.events", properties, body)
    line = Line(broker_url)
    line.send([frames.replace(place, b"\xff" * len(place))])
    while line.unconfirmed:
        line.take_confirms(10)
    line.close()


async def test_headers_that_cant_be_decoded_make_a_dead_letter_and_harm_no_other(
    broker_url: str, namespace: str
) -> None:
    async with Stack(broker_url, namespace) as stack:
        stack.add_integration("shop", mappings=TWO_MAPPINGS)
        stack.start_worker()
        await stack.wait_until_consuming()
        bodies = []
        for number, (properties, place) in enumerate(UNREADABLE_HEADERS.values()):
            bodies.append(_choice(f"ev-{number}", news=True))
            _publish_with(broker_url, namespace, properties, place, bodies[-1])
        await stack.publish([_choice("ev-good", news=True)])
        await wait_until(lambda: _told(stack)["dead invalid-headers"] == len(bodies), "letters")
        await wait_until(lambda: stack.delivered("shop") == {LENA}, "the good one")
        assert stack.log_text().count("broker.connected") == 1, "no session ended"
        code, out, err = await stack.command("dead-letters", "list", "--json")
        assert code == 0, err
        letters = json.loads(out)
        assert {one["reason"] for one in letters} == {"invalid-headers"}
        assert all("can't be read" in one["detail"] for one in letters)
        assert sorted(one["body_bytes"] for one in letters) == sorted(len(one) for one in bodies)


@pytest.mark.parametrize(
    ("properties", "place"), UNREADABLE_OTHERS.values(), ids=UNREADABLE_OTHERS.keys()
)
async def test_another_property_that_cant_be_decoded_is_lost_and_the_event_is_not(
    broker_url: str, namespace: str, properties: Basic.Properties, place: bytes
) -> None:
    """Also when it is retried, which publishes it again."""
    async with Stack(broker_url, namespace, RETRY_BUDGET_SECONDS=10, LOG_LEVEL="debug") as stack:
        stack.add_integration("shop", mappings=TWO_MAPPINGS)
        stack.sandbox.state.inject(target="collection", kind="status", status=503, times=1)
        stack.start_worker()
        await stack.wait_until_consuming()
        _publish_with(broker_url, namespace, properties, place, _choice("ev", news=True))
        await wait_until(lambda: _told(stack)["delivered"], "the event")
        assert _told(stack) == {"retried adobe-unavailable": 1, "delivered": 1}
