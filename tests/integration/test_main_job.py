"""The main job on real parts: a RabbitMQ, worker processes, and the emulator of Adobe."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator

import pytest

from devtools.stack import Stack, event
from devtools.waiting import wait_until

BUDGET = 10


@pytest.fixture
async def stack(broker_url: str, namespace: str) -> AsyncIterator[Stack]:
    async with Stack(broker_url, namespace, RETRY_BUDGET_SECONDS=BUDGET) as running:
        running.add_integration("shop")
        yield running


async def _letters(stack: Stack) -> list[dict[str, object]]:
    code, out, err = await stack.command("dead-letters", "list", "--json")
    assert code == 0, err
    letters: list[dict[str, object]] = json.loads(out)
    return letters


async def test_published_events_become_profiles(stack: Stack) -> None:
    stack.start_worker()
    await stack.wait_until_consuming()
    lines = b"\n".join(
        json.dumps(event("org-shop", f"u{i}@acme.example", enabled=i % 2 == 0)).encode()
        for i in range(20)
    )
    code, out, err = await stack.command("publish", "-", stdin=lines)
    assert (code, out) == (0, "published 20 events\n"), err
    await wait_until(lambda: len(stack.delivered("shop")) == 20, "20 profiles")
    record = stack.sandbox.state.profiles[("dataset-shop", "u1@acme.example")].record
    assert record == {
        "_acme": {"newsletter": False},
        "personalEmail": {"address": "u1@acme.example"},
    }


async def test_a_dead_letter_is_shown_and_replayed(stack: Stack) -> None:
    stack.sandbox.state.inject(target="collection", kind="status", status=400)
    stack.start_worker()
    await stack.wait_until_consuming()
    body = json.dumps(event("org-shop", "late@acme.example")).encode()
    await stack.publish([body], message_id="mine", headers={"traceparent": "00-x"})
    await stack.wait_for_depth("dead-letters", 1)
    (letter,) = await _letters(stack)
    assert letter["reason"] == "adobe-rejected"
    assert letter["http_status"] == 400
    code, out, _ = await stack.command("dead-letters", "show", str(letter["id"]), "--json")
    assert code == 0
    assert json.loads(out)["body"].encode() == body
    stack.sandbox.state.clear_faults()
    _, out, _ = await stack.command("dead-letters", "replay", "--dry-run")
    assert out == "would have replayed 1\n"
    await stack.wait_for_depth("dead-letters", 1)
    _, out, _ = await stack.command("dead-letters", "replay", "--integration", "shop")
    assert out == "replayed 1\n"
    await wait_until(lambda: stack.delivered("shop") == {"late@acme.example"}, "the replayed one")
    assert await stack.depth("dead-letters") == 0


@pytest.mark.parametrize(
    ("body", "headers", "reason"),
    [
        pytest.param(b"not json", {}, "invalid-json", id="not JSON"),
        pytest.param("{}".encode("utf-16"), {}, "invalid-json", id="wrong encoding"),
        pytest.param(b"[]", {}, "invalid-event", id="wrong shape"),
        pytest.param(b"x" * 10_000_000, {}, "too-large", id="10 MB"),
        pytest.param(b'{"type": "party.started"}', {}, "unknown-type", id="unknown type"),
        pytest.param(b'{"user": {}, "consents": {}}', {}, "invalid-event", id="no organization"),
        pytest.param(
            json.dumps(event("org-shop", "no-mail-here")).encode(), {}, "no-identity", id="no mail"
        ),
        pytest.param(
            json.dumps(event("org-shop", "a@b.example")).encode(),
            {"consent-integration": "nobody"},
            "unknown-integration",
            id="unknown integration",
        ),
        pytest.param(
            json.dumps(event("org-shop", "a@b.example")).encode(),
            {"consent-integration": "shop", "consent-attempts": -3},
            "invalid-headers",
            id="tampered header",
        ),
    ],
)
async def test_bad_input_becomes_a_dead_letter_with_its_body(
    stack: Stack, body: bytes, headers: dict[str, object], reason: str
) -> None:
    worker = stack.start_worker()
    await stack.wait_until_consuming()
    await stack.publish([body], headers=headers)
    await stack.wait_for_depth("dead-letters", 1)
    (letter,) = await _letters(stack)
    assert letter["reason"] == reason
    assert letter["body_bytes"] == len(body)
    assert worker.poll() is None, "the worker goes on"


async def test_a_clean_stop_delivers_nothing_twice(stack: Stack) -> None:
    worker = stack.start_worker()
    await stack.wait_until_consuming()
    bodies = [json.dumps(event("org-shop", f"u{i}@a.example")).encode() for i in range(300)]
    await stack.publish(bodies)
    await wait_until(lambda: len(stack.messages("shop")) >= 50, "some deliveries")
    worker.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(worker.wait, 30) == 0
    stack.start_worker()
    await wait_until(lambda: len(stack.delivered("shop")) == 300, "all profiles")
    assert len(stack.messages("shop")) == 300


async def test_secrets_and_people_appear_nowhere(stack: Stack) -> None:
    planted = ("planted-client-secret", "planted-api-key", "who@acme.example", "no-mail-here")
    stack.sandbox.state.faults.inject(
        target="collection",
        kind="status",
        status=400,
        body={"title": "bad", "report": {"message": "for who@acme.example"}},
    )
    stack.start_worker()
    await stack.wait_until_consuming()
    await stack.publish(
        [
            json.dumps(event("org-shop", user)).encode()
            for user in ("who@acme.example", "no-mail-here")
        ]
    )
    await stack.wait_for_depth("dead-letters", 2)
    listed = json.dumps(await _letters(stack))
    _, metrics = await stack.get("/metrics")
    assert 'consent_integration_outcomes_total{integration="shop",outcome="dead"} 2.0' in metrics
    for one in planted:
        assert one not in listed
        assert one not in stack.log_text()
        assert one not in metrics
    assert "adobe-rejected" in listed
    assert "no-identity" in listed
