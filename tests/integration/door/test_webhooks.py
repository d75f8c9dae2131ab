"""What comes to the door, by a real client: who may come in, what goes on the queue, what never."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from devtools.stack import Stack
from devtools.waiting import wait_until
from tests.integration.door.door_parts import (
    CLIENT_ID,
    CLIENT_SECRET,
    HEADER_NAME,
    HEADER_SECRET,
    KEY,
    RunningDoor,
    bodies_on_the_queue,
    messages_on_the_queue,
    running_door,
    webhook,
    webhook_bytes,
)
from worker.door.answers import TOKEN_PATH, WEBHOOK_PATH
from worker.door.attempt_limits import BURST_ATTEMPTS
from worker.door.token_requests import BODY_SECONDS
from worker.serving.http_connections import MOST_LINES

MOST_BYTES = 4096
ANSWER_SECONDS = 3.0
FEW_SECONDS = 3.0
"""Beside that, on a machine that has other work."""


@pytest.fixture
async def door(broker_url: str, namespace: str) -> AsyncIterator[RunningDoor]:
    async with running_door(
        broker_url, namespace, max_event_bytes=MOST_BYTES, door_answer_seconds=ANSWER_SECONDS
    ) as running:
        yield running


async def test_a_webhook_with_a_token_is_on_the_queue_byte_for_byte(
    door: RunningDoor, broker_url: str, namespace: str
) -> None:
    status, token = await door.token()
    assert (status, token["token_type"]) == (200, "Bearer")
    assert 0 < token["expires_in"] <= 900
    body = json.dumps(webhook(), indent=1).encode()
    bearer = {"Authorization": f"Bearer {token['access_token']}"}
    assert await door.code(body, bearer) == (202, "accepted")
    (message,) = await messages_on_the_queue(broker_url, namespace)
    assert message.body == body
    assert (message.delivery_mode, message.content_type) == (2, "application/json")
    assert message.message_id


async def test_a_webhook_that_comes_twice_ends_as_one_profile_at_adobe(
    broker_url: str, namespace: str
) -> None:
    async with Stack(broker_url, namespace) as stack, running_door(broker_url, namespace) as door:
        stack.add_integration("shop")
        stack.start_worker()
        body = webhook_bytes()
        assert [await door.code(body) for _ in range(2)] == [(202, "accepted")] * 2
        await wait_until(lambda: stack.delivered("shop") == {"lena@a.example"}, "the profile", 30)

        async def is_skipped() -> bool:
            metrics = (await stack.get("/metrics"))[1]
            return 'outcome="skipped",reason="duplicate"} 1.0' in metrics

        await wait_until(is_skipped, "the end of the second one")
        assert len(stack.messages("shop")) == 1


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(KEY, id="secret header"),
        pytest.param({HEADER_NAME.lower(): HEADER_SECRET}, id="name in small letters"),
        pytest.param(KEY | {"Authorization": "Bearer of-somebody-else"}, id="beside a wrong token"),
    ],
)
async def test_a_webhook_with_the_secret_header_comes_in(
    door: RunningDoor, headers: dict[str, str], broker_url: str, namespace: str
) -> None:
    assert await door.code(webhook_bytes(), headers) == (202, "accepted")
    assert len(await bodies_on_the_queue(broker_url, namespace)) == 1


async def test_a_token_is_taken_by_another_door_and_not_with_another_secret(
    door: RunningDoor, broker_url: str, namespace: str
) -> None:
    _, token = await door.token()
    bearer = {"Authorization": f"bearer {token['access_token']}"}
    async with running_door(broker_url, namespace) as second:
        assert await second.code(webhook_bytes(), bearer) == (202, "accepted")
    other = "another-secret-of-the-tests-0123456789"
    async with running_door(broker_url, namespace, door_client_secret=other) as third:
        assert await third.code(webhook_bytes(), bearer) == (401, "credentials-wrong")


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        pytest.param({}, "credentials-missing", id="none"),
        pytest.param({HEADER_NAME: "x" * 40}, "credentials-wrong", id="wrong header"),
        pytest.param({"Authorization": "Bearer x"}, "credentials-wrong", id="no token of ours"),
        pytest.param({"Authorization": f"Bearer cw1.99999999999.{'0' * 64}"}, "credentials-wrong",
                     id="forged"),
        pytest.param({"Authorization": "Basic eDp5"}, "credentials-wrong", id="other scheme"),
    ],
)  # fmt: skip
async def test_who_shows_no_credentials_or_wrong_ones_is_told_so(
    door: RunningDoor, headers: dict[str, str], code: str, broker_url: str, namespace: str
) -> None:
    status, document, answered = await door.post(webhook_bytes(), headers)
    assert (status, document["error"]) == (401, code)
    assert answered["WWW-Authenticate"].startswith("Bearer")
    assert await bodies_on_the_queue(broker_url, namespace) == []


async def test_no_number_of_wrong_attempts_locks_out_who_knows_the_secret(
    door: RunningDoor,
) -> None:
    wrong = {HEADER_NAME: "x" * 40}
    codes = [await door.code(webhook_bytes(), wrong) for _ in range(BURST_ATTEMPTS + 3)]
    assert codes[BURST_ATTEMPTS - 1] == (401, "credentials-wrong")
    assert codes[-1] == (429, "too-many-attempts")
    status, document, headers = await door.post(webhook_bytes(), wrong)
    assert (status, int(headers["Retry-After"]) > 0) == (429, True)
    assert "secret" not in json.dumps(document)
    assert (await door.token(client_secret="x" * 40))[0] == 429
    assert await door.code(webhook_bytes()) == (202, "accepted")
    assert (await door.token())[0] == 200


async def test_behind_a_known_proxy_attempts_count_for_who_made_them(
    broker_url: str, namespace: str
) -> None:
    guesses = {HEADER_NAME: "x" * 40, "X-Forwarded-For": "203.0.113.9, 198.51.100.1"}
    other = guesses | {"X-Forwarded-For": "198.51.100.1, 203.0.113.9"}
    async with running_door(broker_url, namespace, door_trusted_proxies=("127.0.0.1",)) as door:
        for _ in range(BURST_ATTEMPTS + 1):
            status, _ = await door.code(webhook_bytes(), guesses)
        assert status == 429
        assert await door.code(webhook_bytes(), other) == (401, "credentials-wrong")


@pytest.mark.parametrize(
    ("fields", "status", "error"),
    [
        pytest.param({"client_secret": "x" * 40}, 401, "invalid_client", id="wrong secret"),
        pytest.param({"client_id": "somebody"}, 401, "invalid_client", id="wrong id"),
        pytest.param({"grant_type": "password"}, 400, "unsupported_grant_type", id="grant"),
        pytest.param({"grant_type": ""}, 400, "unsupported_grant_type", id="no grant"),
    ],
)
async def test_a_token_is_refused_in_the_words_of_oauth(
    door: RunningDoor, fields: dict[str, str], status: int, error: str
) -> None:
    answered = await door.token(**fields)
    assert (answered[0], answered[1]["error"]) == (status, error)
    assert CLIENT_SECRET not in json.dumps(answered[1])


async def test_a_token_may_be_asked_for_with_the_scheme_basic(door: RunningDoor) -> None:
    basic = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
    status, document, headers = await door.post(
        {"grant_type": "client_credentials"}, {"Authorization": f"Basic {basic}"}, TOKEN_PATH
    )
    assert (status, headers["Cache-Control"]) == (200, "no-store")
    assert document["access_token"].startswith("cw1.")


def _flattened() -> Any:
    return {"type": "event.created", "parameters__entity__id": "ev-1"}


@pytest.mark.parametrize(
    ("body", "status", "code", "said"),
    [
        pytest.param(b"", 400, "invalid-json", "one JSON object", id="empty"),
        pytest.param(b'{"type": "event.cre', 400, "invalid-json", "near byte", id="cut JSON"),
        pytest.param(webhook_bytes() * 2, 400, "invalid-json", "one JSON object", id="doubled"),
        pytest.param(b"\xff\xfe{}", 400, "invalid-json", "UTF-8", id="not UTF-8"),
        pytest.param(json.dumps([webhook()]), 422, "invalid-event", "JSON object", id="a list"),
        pytest.param(b"7", 422, "invalid-event", "JSON object", id="a number"),
        pytest.param(json.dumps(_flattened()), 422, "flattened", 'Switch "Flatten" off', id="flat"),
        pytest.param(json.dumps(webhook(kind="consent.given")), 422, "unknown-type",
                     "event types", id="kind"),
        pytest.param(json.dumps(webhook(organization="")), 422, "invalid-event",
                     "organization_id: is required", id="no organization"),
        pytest.param(b"x" * (MOST_BYTES + 1), 413, "too-large", "more bytes", id="too large"),
    ],
)  # fmt: skip
async def test_what_never_will_be_an_event_is_refused_in_didomis_terms(
    door: RunningDoor,
    body: bytes | str,
    status: int,
    code: str,
    said: str,
    broker_url: str,
    namespace: str,
) -> None:
    answered, document, _ = await door.post(body)
    assert (answered, document["error"]) == (status, code)
    assert said in document["detail"]
    assert "a.example" not in document["detail"]
    assert await bodies_on_the_queue(broker_url, namespace) == []
    assert await door.code(webhook_bytes()) == (202, "accepted")


async def test_the_example_of_the_page_comes_in(door: RunningDoor) -> None:
    example = Path(__file__).parents[3] / "examples/event.json"
    assert await door.code(example.read_bytes()) == (202, "accepted")


@pytest.mark.parametrize("kind", ["event.deleted", "user.created", "User.Deleted"])
async def test_every_kind_that_workers_know_comes_in(door: RunningDoor, kind: str) -> None:
    assert await door.code(webhook_bytes(kind=kind)) == (202, "accepted")
    metrics = (await door.get("/metrics"))[1]
    assert f'consent_door_events_total{{kind="{kind.lower()}"}} 1.0' in metrics


async def test_a_compressed_body_is_refused_unread(door: RunningDoor) -> None:
    bomb = gzip.compress(b"0" * 10_000_000)
    headers = KEY | {"Content-Encoding": "gzip"}
    assert await door.code(bomb[:MOST_BYTES], headers) == (415, "encoded")


async def test_other_paths_and_methods_are_named(door: RunningDoor) -> None:
    status, document, _ = await door.post(webhook_bytes(), path="/")
    assert (status, WEBHOOK_PATH in document["detail"]) == (404, True)
    reply = await _raw(door, b"GET " + WEBHOOK_PATH.encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert reply.startswith(b"HTTP/1.1 405 ")
    assert b"Allow: POST" in reply
    assert b"aiohttp" not in reply


async def _raw(door: RunningDoor, *parts: bytes, until: bytes = b"\r\n\r\n") -> bytes:
    """What the door says to these parts, sent one after the other."""
    reader, writer = await asyncio.open_connection("127.0.0.1", door.door.port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)
        async with asyncio.timeout(10):
            said = b""
            while until not in said and (data := await reader.read(65_536)):
                said += data
            return said
    finally:
        writer.close()


def _head(length: int | str, *more: str) -> bytes:
    lines = [f"POST {WEBHOOK_PATH} HTTP/1.1", "Host: x", f"{HEADER_NAME}: {HEADER_SECRET}", *more]
    lines.append(f"Content-Length: {length}" if length else "Transfer-Encoding: chunked")
    return "\r\n".join((*lines, "", "")).encode()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param((_head(100), b"{"), 408, id="a body that stands still"),
        pytest.param((b"POST /webhooks/didomi HTTP/1.1\r\nHost: x\r\nX-Slow: ",), 408,
                     id="headers that stand still"),
        pytest.param((_head(10_000_000_000), b"{"), 413, id="a length of ten gigabytes"),
        pytest.param((_head(0), b"2000\r\n" + b"x" * 8192 + b"\r\n"), 413, id="chunks without end"),
        pytest.param((_head(0), b"zz\r\n"), 400, id="chunks that are none"),
        pytest.param((_head(0).replace(b": chunked", b": gzip, chunked"), b"0\r\n\r\n"), 415,
                     id="chunks of something packed"),
        pytest.param((_head("1\r\nContent-Length: 2"), b"{}"), 400, id="two lengths"),
        pytest.param((_head(5, "X: " + "y" * 10_000),), 400, id="a header without end"),
        pytest.param((b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",), 400, id="TLS"),
    ],
)  # fmt: skip
async def test_what_is_slow_huge_or_broken_gets_an_answer_in_time_and_harms_nobody(
    door: RunningDoor, sent: tuple[bytes, ...], status: int, broker_url: str, namespace: str
) -> None:
    began = asyncio.get_running_loop().time()
    waiting = asyncio.create_task(_raw(door, *sent))
    assert await door.code(webhook_bytes("ev-1")) == (202, "accepted")
    said = await waiting
    assert int(said.split()[1]) == status, said
    assert b"aiohttp" not in said
    assert b"yyy" not in said, "nothing is quoted"
    assert asyncio.get_running_loop().time() - began < ANSWER_SECONDS + FEW_SECONDS
    assert len(await bodies_on_the_queue(broker_url, namespace)) == 1


def _token_head(length: int) -> bytes:
    return f"POST {TOKEN_PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode()


async def test_token_requests_without_their_body_lock_nobody_out(
    broker_url: str, namespace: str
) -> None:
    async with running_door(broker_url, namespace, door_answer_seconds=60.0) as door:
        writers = []
        for _ in range(MOST_LINES + 1):
            _, writer = await asyncio.open_connection(
                "127.0.0.1", door.door.port, local_addr=("127.0.0.2", 0)
            )
            writer.write(_token_head(100))
            writers.append(writer)
        assert await door.code(webhook_bytes()) == (202, "accepted")
        assert (await door.token())[0] == 200
        for writer in writers:
            writer.close()


async def test_a_body_that_is_read_before_credentials_has_a_second(
    broker_url: str, namespace: str
) -> None:
    async with running_door(broker_url, namespace, door_answer_seconds=60.0) as door:
        began = asyncio.get_running_loop().time()
        said = await _raw(door, _token_head(100), b"grant_type=")
        assert said.split()[1] == b"408"
        assert asyncio.get_running_loop().time() - began < BODY_SECONDS + FEW_SECONDS


async def test_a_door_without_tokens_says_so_before_a_body_comes(
    broker_url: str, namespace: str
) -> None:
    async with running_door(
        broker_url, namespace, door_client_id="", door_client_secret=SecretStr("")
    ) as door:
        said = await _raw(door, _token_head(100), until=b"client id")
        assert said.split()[1] == b"404"
        assert b"Cache-Control: no-store" in said
        assert (await door.token())[1]["error"] == "invalid_request"


async def test_a_body_that_is_cut_short_leaves_nothing_behind(
    door: RunningDoor, broker_url: str, namespace: str
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", door.door.port)
    writer.write(_head(200) + webhook_bytes()[:100])
    await writer.drain()
    writer.close()

    async def is_counted() -> bool:
        return 'answer="cut-short"} 1.0' in (await door.get("/metrics"))[1]

    await wait_until(is_counted, "the end of the request")
    assert await door.code(webhook_bytes()) == (202, "accepted")
    assert len(await bodies_on_the_queue(broker_url, namespace)) == 1


async def test_who_asks_before_sending_the_body_is_told_to_go_on(door: RunningDoor) -> None:
    body = webhook_bytes()
    reader, writer = await asyncio.open_connection("127.0.0.1", door.door.port)
    writer.write(_head(len(body), "Expect: 100-continue"))
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
    writer.write(body)
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 202 ")
    writer.close()


async def test_requests_that_are_sent_ahead_are_answered_in_order(door: RunningDoor) -> None:
    body = webhook_bytes()
    ahead = _head(len(body)) + body + _head(2) + b"[]" + _head(len(body)) + body
    last = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
    said = await _raw(door, ahead + last, until=b"not-found")
    assert re.findall(rb"HTTP/1\.1 ([0-9]+)", said) == [b"202", b"422", b"202", b"404"]


async def test_the_port_of_health_tells_of_the_door_and_the_door_nothing_of_itself(
    door: RunningDoor,
) -> None:
    await door.code(webhook_bytes())
    status, text = await door.get("/readyz")
    assert (status, json.loads(text)["problems"]) == (200, [])
    metrics = (await door.get("/metrics"))[1]
    assert "consent_door_ready 1.0" in metrics
    assert 'consent_door_answers_total{answer="accepted"} 1.0' in metrics
    assert 'consent_door_confirms_total{when="in-time"} 1.0' in metrics
    assert "consent_door_events_in_hand 0.0" in metrics
    assert "a.example" not in metrics
    assert (await door.post(b"", path="/metrics"))[0] == 404
