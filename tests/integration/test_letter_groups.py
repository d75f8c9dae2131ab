"""Dead letters by their cause: listed by time and event, grouped, and replayed with canaries."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import aio_pika
import pytest

from devtools.stack import Stack, event
from worker.cli.command_act import RECEIPTS_OFF
from worker.events import open_envelope
from worker.evidence.receipt import body_id
from worker.ordering.user_digests import UserKeys

HOUR_MS = 3_600_000
LETTERS = 12


@pytest.fixture
async def stack(broker_url: str, namespace: str) -> AsyncIterator[Stack]:
    async with Stack(broker_url, namespace) as running:
        running.add_integration("shop")
        running.add_integration("press")
        code, _, err = await running.command("topology", "declare")
        assert code == 0, err
        yield running


async def _bury(stack: Stack, count: int = LETTERS, *, name: str = "ev-{}", **changes: Any) -> None:
    """Letters of the integration shop that Adobe has rejected, an hour apart, the last one now;
    `changes` to their headers.
    """
    now_ms = int(time.time() * 1000)
    async with await aio_pika.connect(stack.amqp_url) as connection:
        channel = await connection.channel(publisher_confirms=True)
        for number in range(count):
            body = event("org-shop", f"u{number}@a.example", event_id=name.format(number))
            headers: Any = {
                "consent-integration": "shop",
                "consent-dead-reason": "adobe-rejected",
                "consent-error": "adobe-rejected",
                "consent-http-status": 400,
                "consent-dead-at": now_ms - (count - 1 - number) * HOUR_MS,
            } | {header.replace("_", "-"): value for header, value in changes.items()}
            message = aio_pika.Message(
                json.dumps(body).encode(),
                delivery_mode=2,
                message_id=f"letter-{number}",
                headers=headers,
            )
            await channel.default_exchange.publish(message, f"{stack.namespace}.dead-letters")


async def _json(stack: Stack, *arguments: str) -> Any:
    code, out, err = await stack.command("dead-letters", *arguments, "--json")
    assert code == 0, err
    return json.loads(out)


async def test_letters_are_listed_by_time_error_and_event(stack: Stack) -> None:
    await _bury(stack)
    await _bury(
        stack, 1, consent_dead_reason="retries-exhausted", consent_error="adobe-unavailable"
    )
    for arguments, count in (
        (("--since", "150m"), 4),
        (("--until", "570m"), 2),
        (("--since", "570m", "--until", "150m"), 7),
        (("--since", "2020-01-01"), LETTERS + 1),
        (("--until", "2020-01-01T00:00:00+02:00"), 0),
        (("--error", "adobe-unavailable"), 1),
        (("--event", "ev-3"), 1),
        (("--event", "ev-0"), 2),
        (("--limit", "5"), 5),
    ):
        assert len(await _json(stack, "list", *arguments)) == count, arguments
    (letter,) = await _json(stack, "list", "--event", "ev-10")
    assert letter["id"] == "letter-10"
    assert letter["dead_at"].endswith("Z")
    assert 3_600 <= letter["dead_for_seconds"] < 3_700
    _, out, _ = await stack.command("dead-letters", "list", "--event", "ev-10")
    assert f"dead {letter['dead_at']} (60m ago)" in out


async def test_an_event_is_found_by_each_id_that_it_is_called_by(stack: Stack) -> None:
    """By Didomi's, by the digest that the log shows of one that may tell of a person, and by the
    name that receipts have.
    """
    secret = "a secret of thirty-two characters"
    stack.override("ORDERING_SECRET", secret)
    await _bury(stack, 2, name="evt-2024010112345{}")
    body = (await _json(stack, "show", "letter-1"))["body"].encode()
    logged = UserKeys(secret.encode()).without_person(open_envelope(body)).event_id
    assert "evt" not in logged
    for called in ("evt-20240101123451", logged, body_id(body)):
        letters = await _json(stack, "list", "--event", called)
        assert [one["id"] for one in letters] == ["letter-1"], called
        assert (await _json(stack, "replay", "--dry-run", "--event", called))["matched"] == 1
    assert await _json(stack, "list", "--event", body_id(b"another")) == []


async def test_an_integration_that_is_a_slip_of_the_pen_is_told(stack: Stack) -> None:
    await _bury(stack, 1)
    for verb in (("list",), ("groups",), ("export", "-"), ("replay",), ("discard", "--yes")):
        for said, meant in (("shpo", "shop"), ("pres", "press")):
            code, out, err = await stack.command("dead-letters", *verb, "--integration", said)
            assert (code, out.replace("replayed 0\n", "").replace("discarded 0\n", "")) == (2, "")
            assert f"did you mean {meant}?" in err
    code, out, _ = await stack.command("dead-letters", "list", "--integration", "press")
    assert (code, out) == (0, "0 dead letters\n"), "it is there, and has none"
    code, _, _ = await stack.command("dead-letters", "list", "--integration", "else")
    assert code == 0, "it may be gone"
    assert await stack.depth("dead-letters") == 1


async def test_letters_of_one_cause_are_a_group_with_what_to_do(stack: Stack) -> None:
    await _bury(stack)
    await _bury(
        stack,
        3,
        consent_dead_reason="retries-exhausted",
        consent_error="adobe-unavailable",
        consent_http_status=503,
    )
    larger, smaller = await _json(stack, "groups")
    assert (larger["count"], larger["reason"], larger["http_status"]) == (
        LETTERS,
        "adobe-rejected",
        400,
    )
    assert larger["first_dead_at"] < larger["last_dead_at"]
    assert (smaller["count"], smaller["error"]) == (3, "adobe-unavailable")
    assert smaller["meaning"].endswith("Adobe answers 5xx.")
    assert smaller["what_to_do"] == "Look at Adobe's status page. Replay when Adobe is back."
    _, out, _ = await stack.command("dead-letters", "groups", "--since", "90m")
    assert f"{larger['group']}  2 letters  adobe-rejected  integration shop" in out
    assert "Look at Adobe's status page." in out
    assert out.endswith("2 groups\n")
    assert "example" not in out
    assert {one["group"] for one in await _json(stack, "list", "--limit", "1")} == {larger["group"]}


async def test_a_group_is_replayed_and_discarded_alone(stack: Stack) -> None:
    await _bury(stack, 4)
    await _bury(stack, 3, consent_integration="press")
    shop, press = await _json(stack, "groups")
    of_shop = ("--group", shop["group"])
    code, out, _ = await stack.command("dead-letters", "replay", *of_shop, "--until", "30d")
    assert (code, out) == (0, "replayed 0\n"), "the group is there, and none of it is so old"
    code, out, _ = await stack.command("dead-letters", "replay", *of_shop)
    assert (code, out) == (0, "replayed 4\n")
    code, out, _ = await stack.command(
        "dead-letters", "discard", "--yes", "--group", press["group"]
    )
    assert (code, out) == (0, "discarded 3\n")
    code, out, _ = await stack.command("dead-letters", "replay", "--group", shop["group"])
    assert code == 1
    assert f"no dead letter is of the group {shop['group']}" in out


async def test_a_dry_run_says_what_canaries_and_a_rate_would_do(stack: Stack) -> None:
    await _bury(stack)
    options = ("--dry-run", "--canary", "2", "--wait", "30s", "--rate", "0.5")
    code, out, _ = await stack.command("dead-letters", "replay", *options)
    assert (code, out) == (
        0,
        f"would have replayed {LETTERS}: 2 as canaries, and 10 when none of these came back within "
        "30s, 0.5 a second, which takes 20s\n",
    )
    assert await stack.depth("dead-letters") == LETTERS


async def test_canaries_that_die_again_keep_the_others(stack: Stack) -> None:
    stack.sandbox.state.faults.inject(target="collection", kind="status", status=400)
    await _bury(stack)
    stack.start_worker()
    await stack.wait_until_consuming()
    (group,) = await _json(stack, "groups")
    arguments = ("replay", "--group", group["group"], "--canary", "2", "--json")
    code, out, err = await stack.command("dead-letters", *arguments)
    assert code == 1
    report = json.loads(out)
    assert (report["replayed"], report["canaries"]["sent"]) == (2, 2)
    assert report["canaries"]["came_back"] >= 1
    assert "the canaries failed, and the others stay" in err
    assert "adobe-rejected" in err
    await stack.wait_for_depth("dead-letters", LETTERS)
    replays = sorted(one["replays"] for one in await _json(stack, "list"))
    assert replays == [0] * (LETTERS - 2) + [1, 1]


async def test_the_others_follow_canaries_that_stay_away(stack: Stack) -> None:
    await _bury(stack)
    stack.start_worker()
    await stack.wait_until_consuming()
    arguments = ("replay", "--canary", "3", "--wait", "2s", "--rate", "50")
    code, out, err = await stack.command("dead-letters", *arguments)
    assert (code, err) == (0, f"{RECEIPTS_OFF}\n")
    assert out == f"canaries: 3 replayed, none came back within 2s\nreplayed {LETTERS}\n"
    assert await stack.depth("dead-letters") == 0


async def test_canaries_that_no_worker_takes_are_no_success(stack: Stack) -> None:
    await _bury(stack)
    code, out, err = await stack.command("dead-letters", "replay", "--canary", "2", "--wait", "1s")
    assert (code, out) == (1, "replayed 2\n")
    assert f"still wait in {stack.namespace}.retries" in err
    assert await stack.depth("dead-letters") == LETTERS - 2


async def test_a_wait_for_canaries_can_be_interrupted(stack: Stack) -> None:
    await _bury(stack)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "worker", "dead-letters", "replay", "--canary", "2"),
        env=stack.env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    await stack.wait_for_depth("retries", 2)
    process.terminate()
    out, _ = await process.communicate()
    assert (process.returncode, out) == (143, b"replayed 2\n")
    assert await stack.depth("dead-letters") == LETTERS - 2
