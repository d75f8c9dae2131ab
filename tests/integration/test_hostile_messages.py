"""Messages made to do harm concern nobody but themselves: the worker and the commands go on."""

from __future__ import annotations

import json
import struct
import time
from collections import Counter
from typing import Any

import pytest

from devtools.stack import Stack, event
from devtools.waiting import wait_until
from tests.integration.raw_messages import HEADERS, entry, publish_raw, table

GOOD = {f"u{number}@a.example" for number in range(20)}


def _nested(depth: int, kind: bytes = b"F") -> bytes:
    """A header table with one value, nested so deep, of tables or lists."""
    value = b""
    for _ in range(depth):
        entry = kind + struct.pack(">I", len(value)) + value
        value = b"\x01a" + entry if kind == b"F" else entry
    if kind == b"A":
        value = b"\x01a" + value
    return struct.pack(">I", len(value)) + value


def _publish(stack: Stack, queue: str, flags: int, properties: bytes, body: bytes) -> None:
    publish_raw(stack.amqp_url, f"{stack.namespace}.{queue}", flags, properties, body)


_ID = 1 << 7
HOSTILE = {
    "tables nested 900 deep": (HEADERS, _nested(900)),
    "lists nested 2000 deep": (HEADERS, _nested(2000, b"A")),
    "tens of thousands of headers": (
        HEADERS,
        table(*(entry(b"h" + struct.pack(">H", number), b"V") for number in range(20_000))),
    ),
}


def _body(user: str, event_id: str) -> bytes:
    return json.dumps(event("org-shop", user, event_id=event_id)).encode()


def _told(stack: Stack) -> Counter[str]:
    return Counter(
        f"{one['event'].removeprefix('delivery.')} {one.get('reason', '')}".strip()
        for one in stack.log_entries()
        if one["event"].startswith("delivery.")
    )


async def _listed(stack: Stack) -> list[dict[str, Any]]:
    code, out, err = await stack.command("dead-letters", "list", "--json")
    assert code == 0, err
    letters: list[dict[str, Any]] = json.loads(out)
    return letters


async def test_hostile_headers_make_a_dead_letter_and_delay_nobody(
    broker_url: str, namespace: str
) -> None:
    async with Stack(broker_url, namespace) as stack:
        stack.add_integration("shop")
        stack.start_worker()
        await stack.wait_until_consuming()
        for number, (flags, properties) in enumerate(HOSTILE.values()):
            _publish(stack, "events", flags, properties, _body("bad@a.example", f"bad-{number}"))
        began = time.monotonic()
        await stack.publish([_body(user, f"ev-{user}") for user in GOOD])
        await wait_until(lambda: stack.delivered("shop") == GOOD, "the good ones", 5)
        assert time.monotonic() - began < 5
        await wait_until(lambda: _told(stack)["dead invalid-headers"] == len(HOSTILE), "letters")
        assert stack.log_text().count("broker.connected") == 1, "no session ended"
        assert [one["reason"] for one in await _listed(stack)] == ["invalid-headers"] * len(HOSTILE)


async def test_the_commands_work_beside_a_letter_that_cant_be_read(
    broker_url: str, namespace: str
) -> None:
    """As it is when the broker itself puts an original among the dead letters."""
    async with Stack(broker_url, namespace) as stack:
        stack.add_integration("shop")
        code, _, err = await stack.command("topology", "declare")
        assert code == 0, err
        hostile = [
            *HOSTILE.values(),
            (_ID, b"\x02\xff\xfe"),
            (HEADERS, table(entry(b"consent-replays", b"l\x7f" + b"\xff" * 7))),
            (HEADERS, table(entry(b"consent-replays", b"t\x01"))),
            (HEADERS, table(entry(b"consent-bundle", b"D\xff\xff\xff\xff\xff"))),
        ]
        bodies = [_body("bad@a.example", f"bad-{number}") for number in range(len(hostile))]
        for (flags, properties), body in zip(hostile, bodies, strict=True):
            _publish(stack, "dead-letters", flags, properties, body)
        letters = await _listed(stack)
        assert len(letters) == len(hostile)
        assert all(0 <= one["replays"] <= 10_000 for one in letters)
        target = letters[0]["id"]
        code, out, err = await stack.command("dead-letters", "show", target, "--json")
        assert code == 0, err
        assert json.loads(out)["body"].encode() in bodies
        code, out, err = await stack.command("dead-letters", "export", "-")
        assert code == 0, err
        assert {json.loads(line)["body"].encode() for line in out.splitlines()} == set(bodies)
        code, out, err = await stack.command("dead-letters", "discard", "--yes", "--id", target)
        assert (code, out) == (0, "discarded 1\n"), err
        code, out, err = await stack.command("dead-letters", "replay")
        assert (code, out) == (0, f"replayed {len(hostile) - 1}\n"), err
        await stack.wait_for_depth("events", len(hostile) - 1)
        await stack.wait_for_depth("dead-letters", 0)


async def test_a_body_that_is_far_too_large_is_kept_whole_and_delays_nobody(
    broker_url: str, namespace: str
) -> None:
    async with Stack(broker_url, namespace) as stack:
        stack.add_integration("shop")
        stack.start_worker()
        await stack.wait_until_consuming()
        large = b"x" * (12 * 1024 * 1024)
        for _ in range(2):
            _publish(stack, "events", _ID, b"\x05large", large)
        await stack.publish([_body(user, f"ev-{user}") for user in GOOD])
        await wait_until(lambda: stack.delivered("shop") == GOOD, "the good ones", 5)
        await stack.wait_for_depth("dead-letters", 2)
        assert stack.log_text().count("broker.connected") == 1, "no session ended"
        assert "consent_messages_refused_total 2.0" in (await stack.get("/metrics"))[1]
        letters = await _listed(stack)
        assert {(one["id"], one["reason"], one["body_bytes"]) for one in letters} == {
            ("large", "too-large", len(large))
        }
        code, out, err = await stack.command("dead-letters", "replay", "--id", "large")
        assert (code, out) == (1, "replayed 0\n")
        assert "CONSENT_WORKER_MAX_EVENT_BYTES" in err
        await stack.wait_for_depth("dead-letters", 2)
        # What was settled after them is settled: nothing comes back when the worker stops.
        assert await stack.depth("events") == 0


@pytest.mark.parametrize(
    "hostile",
    [
        *("\x1b[2J\x1b[H", "a\nb", "\u202eabc", "\x9b2J", "id  poison  integration other"),
        "lena@northwind.example",
    ],
)
async def test_nothing_that_a_producer_chose_reaches_the_terminal_as_it_is(
    broker_url: str, namespace: str, hostile: str
) -> None:
    async with Stack(broker_url, namespace) as stack:
        code, _, err = await stack.command("topology", "declare")
        assert code == 0, err
        text = hostile.encode()
        value = b"S" + struct.pack(">I", len(text)) + text
        of_strings = b"consent-integration consent-dead-reason consent-error consent-error-detail"
        long_name = entry(text + b"n" * 200, value)
        headers = table(long_name, *(entry(name, value) for name in of_strings.split()))
        properties = headers + entry(text, b"")
        _publish(stack, "dead-letters", HEADERS | _ID, properties, text)
        code, out, err = await stack.command("dead-letters", "list")
        assert (code, len(out.splitlines())) == (0, 2), err
        line = out.splitlines()[0]
        assert line.isprintable()
        assert len(line.split("  ")) == 7
        code, out, err = await stack.command("dead-letters", "show", line.split("  ")[0])
        assert code == 0, err
        assert all(one.isprintable() for one in out.splitlines())
        (letter,) = await _listed(stack)
        assert letter["id"].startswith("nameless-")
        told = (letter["integration"], letter["reason"], letter["error"], letter["detail"])
        assert told == ("none", "unknown", "unknown", None)
        code, out, err = await stack.command("dead-letters", "export", "-")
        assert code == 0, err
        assert all(one.isprintable() for one in out.splitlines())
        assert json.loads(out)["body"] == hostile, "JSON is exact"
        code, out, err = await stack.command("dead-letters", "replay")
        assert (code, out) == (0, "replayed 1\n")
        assert err == "this is not on record: CONSENT_WORKER_RECEIPTS is off\n"
