"""A person who is erased is gone from the ledger too, and no chain breaks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aio_pika
import pytest

from devtools.stack import Stack, event
from devtools.waiting import wait_until
from tests.integration.receipts import bodies_in, receipts_in
from worker.evidence.heading import read_message

LENA, EMIL = "lena@northwind.example", "emil@northwind.example"
OLD, LATER = "2026-03-02T08:15:30Z", "2026-03-02T08:15:31Z"
SECRET = "planted-secret-of-the-receipts"


def _body(user: str, event_id: str, **changes: Any) -> bytes:
    return json.dumps(event("org-shop", user, event_id=event_id, **changes)).encode()


@pytest.fixture
def state_url(request: pytest.FixtureRequest, tmp_path: Path, redis_url: str) -> str:
    """A state that outlives its worker: on Redis, unless a test asks for a file."""
    is_file = getattr(request, "param", "redis") == "sqlite"
    return f"sqlite://{tmp_path}/state.sqlite" if is_file else redis_url


@pytest.fixture
async def stack(
    broker_url: str, namespace: str, state_url: str, tmp_path: Path
) -> AsyncIterator[Stack]:
    """Two integrations of one organization, to which two persons' choices were delivered."""
    settings = {
        "RECEIPTS": "on",
        "STATE_URL": state_url,
        "LEDGER_URL": f"sqlite://{tmp_path}/ledger.sqlite",
        "RECEIPTS_SECRET": SECRET,
    }
    async with Stack(broker_url, namespace, **settings) as running:
        running.add_integration("shop")
        running.add_integration("news", organization_id="org-shop")
        running.start_worker()
        await running.wait_until_consuming()
        first = [_body(LENA, "ev-1", created_at=OLD), _body(EMIL, "ev-2", created_at=OLD)]
        await running.publish(first)
        await _wait_for_receipts(running, 4)
        yield running


async def _wait_for_receipts(stack: Stack, count: int) -> None:
    async def there() -> bool:
        return len(await receipts_in(stack)) >= count

    await wait_until(there, f"{count} receipts", 60)


async def _find(stack: Stack, *which: str, person: str = "") -> tuple[int, list[dict[str, Any]]]:
    """What `receipts find` says of a ledger that has read everything."""
    code, out, err = await stack.command("ledger", "--once")
    assert code == 0, out + err
    code, out, err = await stack.command(
        "receipts", "find", *which, "--json", stdin=person.encode()
    )
    events: list[dict[str, Any]] = json.loads(out)["events"]
    assert LENA not in out + err
    return code, events


async def _assert_whole(stack: Stack) -> None:
    code, out, err = await stack.command("receipts", "verify", "--json")
    assert code == 0, err
    assert json.loads(out)["findings"] == []


@pytest.mark.parametrize("state_url", ["redis", "sqlite"], indirect=True)
async def test_a_ledger_has_nothing_of_an_erased_person(stack: Stack) -> None:
    code, before = await _find(stack, "--user", person=LENA)
    assert (code, {one["integration"] for one in before}) == (0, {"shop", "news"})
    code, out, err = await stack.command("erase", stdin=f" {LENA} \n".encode())
    assert code == 0, err
    assert "wrote " in out
    assert "until their retention ends" in out
    assert LENA not in out + err
    assert (await _find(stack, "--user", person=LENA)) == (1, [])
    _, stories = await _find(stack, "--event", "ev-1")
    assert [one["event"] for one in stories] == ["", ""]
    for step in (one for story in stories for one in story["steps"]):
        told = (step["event"], step["user"], step["attributes"], step["xaction"], step["choice"])
        assert told == ("", None, {}, None, None)
        assert (step["event_at"], step["updated_at"]) == (None, None)
    assert len((await _find(stack, "--user", person=EMIL))[1]) == 2
    await _assert_whole(stack)
    _, out, _ = await stack.command("status")
    assert "everything adds up" in out


async def test_the_receipts_have_the_hash_and_nothing_else(stack: Stack) -> None:
    code, out, err = await stack.command("erase", "--json", stdin=f"{LENA}\n1234".encode())
    assert code == 0, err
    report = json.loads(out)
    bodies = await bodies_in(stack)
    assert not any(LENA.encode() in one for one in bodies)
    receipts = await receipts_in(stack)
    hashes = {one.user for one in receipts if one.outcome == "delivered"}
    erased = [one for one in receipts if one.outcome == "erased"]
    assert report["receipts_written"] == len(erased) >= 2
    assert len({one.event for one in erased}) == len(erased)
    assert len(hashes & {one.user for one in erased}) == 1
    for one in erased:
        empty = (one.integration, one.organization, one.choice, one.attributes, one.xaction)
        assert empty == ("", "", None, {}, None)
    chains: dict[str, list[str]] = {}
    for body in bodies:
        heading = read_message(body).heading
        assert heading.mac
        chains.setdefault(heading.chain, []).append(heading.kind)
    assert ["begin", "receipts", "receipts", "end"] in chains.values(), "a message for each id"


async def test_what_comes_back_after_it_leaves_nothing_of_the_person(stack: Stack) -> None:
    assert (await stack.command("erase", stdin=LENA.encode()))[0] == 0
    await stack.publish([_body(LENA, "ev-3", created_at=LATER)])

    async def receipted() -> bool:
        return sum(one.reason == "erased" for one in await receipts_in(stack)) == 2

    await wait_until(receipted, "receipts of both")
    skipped = [one for one in await receipts_in(stack) if one.reason == "erased"]
    assert {(one.event, one.user, one.choice) for one in skipped} == {("ev-3", None, None)}
    assert all(one.attributes == {} for one in skipped)
    assert (await _find(stack, "--user", person=LENA)) == (1, [])


async def test_at_one_integration_the_others_keep_theirs(stack: Stack) -> None:
    code, _, err = await stack.command("erase", "--integration", "shop", stdin=LENA.encode())
    assert code == 0, err
    _, stories = await _find(stack, "--user", person=LENA)
    assert {one["integration"] for one in stories} == {"news"}
    erased = [one for one in await receipts_in(stack) if one.outcome == "erased"]
    assert {(one.integration, one.organization) for one in erased} == {("shop", "org-shop")}
    await _assert_whole(stack)


async def test_a_dry_run_writes_none(stack: Stack) -> None:
    code, out, err = await stack.command("erase", "--dry-run", "--json", stdin=LENA.encode())
    assert (code, json.loads(out)["receipts_written"]) == (0, 0), err
    assert all(one.outcome != "erased" for one in await receipts_in(stack))


async def test_a_stream_that_is_missing_is_told_and_all_else_is_erased(stack: Stack) -> None:
    assert (await _find(stack, "--user", person=LENA))[0] == 0
    worker = stack.workers.pop()
    worker.terminate()
    worker.wait(20)
    async with await aio_pika.connect(stack.amqp_url) as connection:
        channel = await connection.channel()
        await channel.queue_delete(f"{stack.namespace}.receipts")
        letter = aio_pika.Message(_body(LENA, "ev-3"), delivery_mode=2, message_id="letter")
        await channel.default_exchange.publish(letter, f"{stack.namespace}.dead-letters")
    await stack.wait_for_depth("dead-letters", 1)
    for options in ([], ["--json"]):
        code, out, err = await stack.command("erase", *options, stdin=LENA.encode())
        assert code == 1
        assert f"there is no stream {stack.namespace}.receipts" in err
        assert "run the command again" in err
    assert json.loads(out)["erased_before"]
    await stack.wait_for_depth("dead-letters", 0)
    async with await aio_pika.connect(stack.amqp_url) as connection:
        channel = await connection.channel()
        refuses: dict[str, Any] = {"x-max-length": 0, "x-overflow": "reject-publish"}
        queue = await channel.declare_queue(f"{stack.namespace}.receipts", arguments=refuses)
        code, _, err = await stack.command("erase", stdin=LENA.encode())
        assert (code, "RabbitMQ did not take a message" in err) == (1, True)
        await queue.delete()
    stack.start_worker()
    await wait_until(lambda: stack.log_text().count("broker.connected") >= 2, "a worker")

    async def is_there() -> bool:
        return await stack.depth("receipts") >= 0

    await wait_until(is_there, "the stream")
    assert (await stack.command("erase", stdin=LENA.encode()))[0] == 0
    assert (await _find(stack, "--user", person=LENA)) == (1, [])


async def test_where_receipts_are_off_it_says_so(stack: Stack) -> None:
    stack.override("RECEIPTS", "off")
    code, out, err = await stack.command("erase", stdin=LENA.encode())
    assert (code, "CONSENT_WORKER_RECEIPTS is off" in out) == (0, True), err
