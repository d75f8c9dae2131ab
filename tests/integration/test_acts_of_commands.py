"""What operators do by commands is on record: who, what, when and what came of it, also where the
command is killed.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

import aio_pika
import pytest

from devtools.receipts_read import receipts_reader
from devtools.stack import Stack, event
from tests.integration.receipts import bodies_in
from worker.evidence.act import Act, read_act
from worker.evidence.heading import read_message
from worker.ledger.packing import life_key, pack_event

LETTERS = 2_000
LENA = "lena@a.example"


@pytest.fixture
async def stack(broker_url: str, namespace: str) -> AsyncIterator[Stack]:
    settings = {"RECEIPTS": "on", "RECEIPTS_SECRET": "a" * 32, "OPERATOR_NAME": "night-shift"}
    async with Stack(broker_url, namespace, **settings) as running:
        running.add_integration("shop")
        code, _, err = await running.command("topology", "declare")
        assert code == 0, err
        yield running


def _body(number: int) -> bytes:
    return json.dumps(event("org-shop", LENA, event_id=f"ev-{number}")).encode()


async def _bury(stack: Stack, count: int) -> None:
    async with await aio_pika.connect(stack.amqp_url) as connection:
        channel = await connection.channel(publisher_confirms=True)
        headers: Any = {"consent-integration": "shop", "consent-dead-reason": "no-identity"}
        letters = [
            aio_pika.Message(_body(n), delivery_mode=2, message_id=f"letter-{n}", headers=headers)
            for n in range(count)
        ]
        queue = f"{stack.namespace}.dead-letters"
        await asyncio.gather(*(channel.default_exchange.publish(one, queue) for one in letters))


async def _acts(stack: Stack) -> dict[str, list[Act]]:
    """All rows of each act, by its id, in the order of the stream."""
    found: dict[str, list[Act]] = defaultdict(list)
    for body in await bodies_in(stack):
        message = read_message(body)
        if message.heading.kind == "trail":
            for row in message.rows:
                act = read_act(row)
                found[act.id].append(act)
    return found


async def _only_act(stack: Stack) -> list[Act]:
    (rows,) = (await _acts(stack)).values()
    return rows


async def _is_chained(stack: Stack) -> None:
    code, out, err = await stack.command("receipts", "verify", "--json")
    assert code == 0, err
    report = json.loads(out)
    assert (report["findings"], report["unsigned"], report["unchecked"]) == ([], 0, 0)


async def _delete_stream(stack: Stack) -> None:
    async with await aio_pika.connect(stack.amqp_url) as connection:
        channel = await connection.channel()
        await channel.queue_delete(f"{stack.namespace}.receipts")


async def test_a_replay_and_a_discard_are_on_record_as_those_of_the_console(stack: Stack) -> None:
    await _bury(stack, 5)
    command = ("dead-letters", "replay", "--id", "letter-1")
    code, _, err = await stack.command(*command, "--dry-run")
    assert (code, err, await _acts(stack)) == (0, "", {})
    code, _, err = await stack.command(*command, "--as", "dora", "--why", "of lena@a.example")
    assert (code, err) == (0, "")
    begun, ended = await _only_act(stack)
    assert (begun.name, begun.stage, ended.stage) == ("replayed", "begun", "ended")
    assert (begun.who, begun.role, begun.about) == ("dora", "command", "letter letter-1")
    assert begun.why == "of <email>", "what a person has typed may tell of another"
    assert (ended.result, ended.counts["replayed"]) == ("done", 1)
    assert begun.at <= ended.at

    chosen = ("--integration", "shop", "--reason", "no-identity")
    code, out, err = await stack.command("dead-letters", "discard", *chosen, "--yes", "--json")
    assert (code, json.loads(out)["discarded"]) == (0, 4), err
    acts = await _acts(stack)
    begun, going, part, ended = acts[next(one for one in acts if one != begun.id)]
    assert (begun.who, begun.integration) == ("night-shift", "shop")
    assert begun.about == "reason no-identity, integration shop"
    assert [one.stage for one in (going, part, ended)] == ["going", "part", "ended"]
    assert set(going.lives) == set(part.lives) == {_life(n) for n in (0, 2, 3, 4)}
    assert ended.counts == {"letters": 4, "discarded": 4, "kept": 0, "held_back": 0}
    await _is_chained(stack)
    assert LENA not in b"".join(await bodies_in(stack)).decode()


@pytest.mark.parametrize("typed", [LENA, "lena meier", "+49 170 5550161"])
async def test_what_was_typed_as_an_id_and_is_none_is_not_on_record(
    stack: Stack, typed: str
) -> None:
    for verb in (["replay"], ["discard", "--yes"]):
        await stack.command("dead-letters", *verb, "--integration", typed, "--id", typed)
    acts = [one for rows in (await _acts(stack)).values() for one in rows]
    assert [one.stage for one in acts] == ["begun", "ended"] * 2
    assert {one.integration for one in acts} == {""}
    assert {one.about.partition(", also")[0] for one in acts} == {"a letter, an integration"}
    assert typed not in b"".join(await bodies_in(stack)).decode()


def _life(number: int) -> str:
    return life_key(pack_event(f"ev-{number}"), None, "shop", 0).hex()


async def test_what_a_killed_discard_has_taken_is_on_record(stack: Stack) -> None:
    await _bury(stack, LETTERS)
    arguments = ("dead-letters", "discard", "--reason", "no-identity", "--yes")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "worker", *arguments, env=stack.env
    )

    named_twice = 2
    async with receipts_reader(stack.amqp_url, stack.namespace) as reader:
        async for one in reader.read("first"):
            named_twice -= b'"stage":"going"' in one.body
            if not named_twice:
                break
    assert process.returncode is None, "it was killed before its end"
    process.send_signal(signal.SIGKILL)
    await process.wait()
    rows = await _only_act(stack)
    assert {one.stage for one in rows} == {"begun", "going", "part"}, "it has no end"
    named = {life for one in rows if one.stage == "going" for life in one.lives}
    told_gone = {life for one in rows if one.stage == "part" for life in one.lives}
    left = set()
    async with await aio_pika.connect(stack.amqp_url) as connection:
        channel = await connection.channel()
        queue = await channel.get_queue(f"{stack.namespace}.dead-letters", ensure=False)
        while (letter := await queue.get(fail=False, no_ack=True)) is not None:
            left.add(_life(int(str(letter.message_id).removeprefix("letter-"))))
    gone = {_life(n) for n in range(LETTERS)} - left
    assert gone
    assert told_gone <= gone <= named, "an auditor knows what is gone, and what may be"
    last = rows[-1]
    assert (last.stage, last.counts["discarded"]) == ("going", len(told_gone))
    assert len(gone - told_gone) <= last.counts["going"]
    await _is_chained(stack)


async def _discard_while_the_trail_goes(stack: Stack, *more: str) -> tuple[int, str, str]:
    """All letters are to go, and the stream is deleted once the first ones are named."""
    command = ("dead-letters", "discard", "--reason", "no-identity", "--yes", *more)
    running = asyncio.create_task(stack.command(*command))
    async with receipts_reader(stack.amqp_url, stack.namespace) as reader:
        async for one in reader.read("first"):
            if b'"stage":"going"' in one.body:
                break
    await _delete_stream(stack)
    return await running


async def test_a_discard_that_the_trail_has_stopped_says_how_many_are_gone(stack: Stack) -> None:
    await _bury(stack, LETTERS)
    code, out, err = await _discard_while_the_trail_goes(stack)
    assert (code, out) == (3, "")
    (said,) = re.findall(
        r"the trail can't be written: .*; discarded (\d+), and the rest stays in the dead letters",
        err,
    )
    assert 0 < int(said) < LETTERS
    await stack.wait_for_depth("dead-letters", LETTERS - int(said))


async def test_a_discard_goes_on_without_the_trail_where_that_was_asked_for(stack: Stack) -> None:
    await _bury(stack, LETTERS)
    code, out, err = await _discard_while_the_trail_goes(stack, "--unrecorded")
    assert (code, out) == (0, f"discarded {LETTERS}\n"), err
    assert err.count("from here it is not on record: the trail can't be written") == 1
    assert "that it began is on record, and its end is not" in err
    await stack.wait_for_depth("dead-letters", 0)


async def test_without_the_stream_nothing_is_done_unless_somebody_says_so(stack: Stack) -> None:
    await _bury(stack, 3)
    await _delete_stream(stack)
    for verb in (["replay"], ["discard", "--yes"]):
        code, _, err = await stack.command("dead-letters", *verb)
        assert code == 3
        assert f"there is no stream {stack.namespace}.receipts" in err
        assert "nothing was done. --unrecorded does it without a record" in err
    await stack.wait_for_depth("dead-letters", 3)
    code, out, err = await stack.command("dead-letters", "discard", "--yes", "--unrecorded")
    assert (code, out) == (0, "discarded 3\n"), err
    assert "this is not on record: the trail can't be written" in err


async def test_where_receipts_are_off_it_works_and_says_that_it_is_not_on_record(
    stack: Stack,
) -> None:
    await _bury(stack, 3)
    stack.override("RECEIPTS", "off")
    code, out, err = await stack.command("dead-letters", "replay")
    assert (code, out) == (0, "replayed 3\n")
    assert err == "this is not on record: CONSENT_WORKER_RECEIPTS is off\n"
    assert await _acts(stack) == {}


async def test_an_erasure_and_a_migration_are_on_record_and_tell_of_nobody(stack: Stack) -> None:
    await _bury(stack, 2)
    code, _, err = await stack.command("erase", "--as", "dpo", stdin=LENA.encode())
    assert code == 1, err  # with the state in memory
    begun, ended = await _only_act(stack)
    assert (begun.name, begun.who, begun.about) == ("erased", "dpo", "a person at all integrations")
    assert "2 dead letters removed" in ended.result
    assert LENA not in b"".join(await bodies_in(stack)).decode()
    stack.override("DELIVERY_LIMIT", 40)
    code, _, err = await stack.command("topology", "migrate", "--settle", "0s")
    assert code == 0, err
    acts = await _acts(stack)
    begun, ended = next(one for one in acts.values() if one[0].name == "migrated")
    assert f"{stack.namespace}.events" in begun.about
    assert (begun.who, ended.result) == ("night-shift", "done")
    code, _, err = await stack.command("topology", "migrate", "--settle", "0s")
    assert (code, len(await _acts(stack))) == (0, 2), "nothing to do is nothing done"


@pytest.mark.parametrize("name", ["dora@corp.example", "a b", "+49 170 1234567", "x" * 200])
async def test_a_name_that_tells_more_than_a_name_is_refused(stack: Stack, name: str) -> None:
    code, _, err = await stack.command("dead-letters", "replay", "--as", name)
    assert (code, "--as takes a short name" in err) == (2, True)
    assert name not in err
    stack.override("OPERATOR_NAME", name)
    code, _, err = await stack.command("dead-letters", "replay")
    assert (code, "CONSENT_WORKER_OPERATOR_NAME" in err) == (2, True)
    assert name not in err
