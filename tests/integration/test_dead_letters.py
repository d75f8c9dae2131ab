"""The dead-letter commands on a real broker: killed, interrupted, cut off, and finishing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aio_pika
import pytest
from pydantic import SecretStr

from devtools.proxy import TcpProxy, through
from devtools.stack import Stack, event
from devtools.waiting import wait_until
from worker.broker.broker_access import BrokerAway, broker_connection
from worker.cli.command_act import RECEIPTS_OFF
from worker.settings import WorkerSettings

LETTERS = 1_000
Depth = Callable[[str], Awaitable[int]]


@pytest.fixture
async def stack(broker_url: str, namespace: str) -> AsyncIterator[Stack]:
    async with Stack(broker_url, namespace) as running:
        running.add_integration("shop")
        code, _, err = await running.command("topology", "declare")
        assert code == 0, err
        yield running


@pytest.fixture
async def depth(stack: Stack) -> AsyncIterator[Depth]:
    """Asks for the messages that are ready in a queue, by one connection and so within ms."""
    async with await aio_pika.connect(stack.amqp_url) as connection:
        channel = await connection.channel()

        async def ready(queue: str) -> int:
            declared = await channel.declare_queue(f"{stack.namespace}.{queue}", passive=True)
            return declared.declaration_result.message_count or 0

        yield ready


def _body(number: int) -> bytes:
    return json.dumps(event("org-shop", f"u{number}@a.example", event_id=f"ev-{number}")).encode()


async def _bury(
    stack: Stack, count: int, reasons: tuple[str, ...] = ("retries-exhausted",)
) -> list[bytes]:
    """`count` dead letters of the integration shop, the reasons taking turns."""
    bodies = [_body(i) for i in range(count)]
    async with await aio_pika.connect(stack.amqp_url) as connection:
        channel = await connection.channel(publisher_confirms=True)
        await asyncio.gather(
            *(
                channel.default_exchange.publish(
                    aio_pika.Message(
                        body,
                        delivery_mode=2,
                        message_id=f"letter-{i}",
                        headers={
                            "consent-integration": "shop",
                            "consent-dead-reason": reasons[i % len(reasons)],
                            "consent-dead-at": 1_700_000_000_000,
                        },
                    ),
                    f"{stack.namespace}.dead-letters",
                )
                for i, body in enumerate(bodies)
            )
        )
    return bodies


async def _take_all(stack: Stack, queue: str) -> list[bytes]:
    """The bodies in a queue, which is emptied."""
    bodies = []
    async with await aio_pika.connect(stack.amqp_url) as connection:
        channel = await connection.channel()
        taken = await channel.get_queue(f"{stack.namespace}.{queue}", ensure=False)
        while (message := await taken.get(fail=False, no_ack=True)) is not None:
            bodies.append(message.body)
    return bodies


def _files(directory: Path) -> list[Path]:
    return sorted(directory.iterdir())


async def _start(stack: Stack, *arguments: str, **streams: Any) -> asyncio.subprocess.Process:
    pipes = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.PIPE} | streams
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "worker", *arguments, env=stack.env, **pipes
    )


async def _signal_when(
    process: asyncio.subprocess.Process,
    number: signal.Signals,
    is_half_way: Callable[[], Awaitable[bool]],
) -> tuple[int, str, str]:
    """Send the signal as soon as the command is half way; exit code and output."""
    while not await is_half_way():
        assert process.returncode is None, "the command ended before it was half way"
    process.send_signal(number)
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_a_killed_replay_loses_nothing_and_goes_on_where_it_stopped(
    stack: Stack, depth: Depth
) -> None:
    bodies = await _bury(stack, LETTERS)
    process = await _start(stack, "dead-letters", "replay")

    async def is_half_way() -> bool:
        return await depth("retries") >= 120

    code, _, _ = await _signal_when(process, signal.SIGKILL, is_half_way)
    assert code == -signal.SIGKILL
    replayed = await depth("retries")
    assert replayed < LETTERS, "it was killed half way"
    code, out, err = await stack.command("dead-letters", "replay", "--json")
    assert code == 0, err
    second = json.loads(out)["replayed"]
    assert second < LETTERS, "what was replayed before is not replayed again"
    assert await depth("dead-letters") == 0
    found = Counter(await _take_all(stack, "retries"))
    assert set(found) == set(bodies)
    # Killed between a confirm and its acknowledgement, a letter is there twice.
    assert sum(found.values()) - LETTERS <= 100


async def test_a_killed_discard_loses_none_that_was_not_chosen(stack: Stack, depth: Depth) -> None:
    bodies = await _bury(stack, LETTERS, ("no-identity", "retries-exhausted"))
    command = ("dead-letters", "discard", "--reason", "no-identity", "--yes")
    process = await _start(stack, *command)

    async def is_half_way() -> bool:
        return await depth("dead-letters") <= LETTERS - 60

    code, _, _ = await _signal_when(process, signal.SIGKILL, is_half_way)
    assert code == -signal.SIGKILL
    code, out, err = await stack.command(*command, "--json")
    assert code == 0, err
    assert 0 < json.loads(out)["discarded"] < LETTERS // 2
    assert await depth("dead-letters") == LETTERS // 2
    assert sorted(await _take_all(stack, "dead-letters")) == sorted(bodies[1::2])


async def test_a_killed_export_leaves_no_file_that_looks_complete(
    stack: Stack, depth: Depth, tmp_path: Path
) -> None:
    bodies = await _bury(stack, LETTERS)
    target = tmp_path / "letters.jsonl"
    process = await _start(stack, "dead-letters", "export", str(target))

    async def is_half_way() -> bool:
        return await depth("dead-letters") <= LETTERS - 60

    code, _, _ = await _signal_when(process, signal.SIGKILL, is_half_way)
    assert code == -signal.SIGKILL
    assert not target.exists()
    assert all(left.stat().st_mode & 0o077 == 0 for left in _files(tmp_path))
    code, out, err = await stack.command("dead-letters", "export", str(target))
    assert (code, out) == (0, f"exported {LETTERS} dead letters\n"), err
    exported = [json.loads(line)["body"].encode() for line in target.read_text().splitlines()]
    assert sorted(exported) == sorted(bodies)
    assert await depth("dead-letters") == LETTERS


@pytest.mark.parametrize(
    ("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"]
)
async def test_an_interrupted_replay_finishes_what_is_in_hand_and_says_so(
    stack: Stack, depth: Depth, number: signal.Signals, exit_code: int
) -> None:
    bodies = await _bury(stack, LETTERS)
    process = await _start(stack, "dead-letters", "replay")

    async def is_half_way() -> bool:
        return await depth("retries") >= 120

    code, out, err = await _signal_when(process, number, is_half_way)
    replayed = await depth("retries")
    assert code == exit_code
    assert out == f"replayed {replayed}\n"
    assert err.splitlines() == [
        RECEIPTS_OFF,
        "consent-worker: interrupted: what was not handled stays in the dead letters",
    ]
    assert await depth("dead-letters") == LETTERS - replayed
    both = await _take_all(stack, "dead-letters") + await _take_all(stack, "retries")
    assert sorted(both) == sorted(bodies), "nothing is lost, and nothing is there twice"


async def test_what_is_interrupted_does_not_look_complete(
    stack: Stack, depth: Depth, tmp_path: Path
) -> None:
    await _bury(stack, LETTERS)
    target = tmp_path / "letters.jsonl"

    async def is_at_work() -> bool:
        return await depth("dead-letters") < LETTERS

    address = urlsplit(stack.amqp_url)
    for command, said in (
        (("list", "--json"), "interrupted: listed"),
        (("groups", "--json"), "the groups are not complete"),
        (("export", str(target)), "the export is not complete"),
        (("show", "nothing"), "not found yet"),
    ):
        async with TcpProxy(address.hostname or "", address.port or 0) as line:
            stack.override("AMQP_URL", through(stack.amqp_url, line.port))
            line.slow_answers(100_000)
            process = await _start(stack, "dead-letters", *command)
            while not await is_at_work():
                assert process.returncode is None, command
            process.send_signal(signal.SIGINT)
            line.restore()
            out, err = await process.communicate()
            stack.override("AMQP_URL", stack.amqp_url)
        assert process.returncode == 130, command
        assert said in err.decode()
        with pytest.raises(json.JSONDecodeError):
            json.loads(out)
        assert _files(tmp_path) == []
        assert await depth("dead-letters") == LETTERS


async def test_the_line_breaks_during_a_replay(stack: Stack, depth: Depth) -> None:
    bodies = await _bury(stack, LETTERS)
    address = urlsplit(stack.amqp_url)
    async with TcpProxy(address.hostname or "", address.port or 0) as line:
        stack.override("AMQP_URL", through(stack.amqp_url, line.port))
        process = await _start(stack, "dead-letters", "replay")
        await wait_until(lambda: _is_at_least(depth, "retries", 120), "some replays")
        line.cut()
        out, err = await process.communicate()
    assert process.returncode == 3, err.decode()
    assert out == b""
    assert b"the connection to RabbitMQ was lost" in err
    assert b"and the rest stays in the dead letters" in err
    assert b"Traceback" not in err
    stack.override("AMQP_URL", stack.amqp_url)
    code, _, err_text = await stack.command("dead-letters", "replay")
    assert code == 0, err_text
    assert await depth("dead-letters") == 0
    assert set(await _take_all(stack, "retries")) == set(bodies)


async def _is_at_least(depth: Depth, queue: str, count: int) -> bool:
    return await depth(queue) >= count


async def test_a_letter_that_fails_again_is_not_replayed_twice_in_one_run(stack: Stack) -> None:
    stack.sandbox.state.faults.inject(target="collection", kind="status", status=400)
    await _bury(stack, 100)
    stack.start_worker()
    await stack.wait_until_consuming()
    code, out, err = await stack.command("dead-letters", "replay", "--json")
    assert code == 0, err
    assert json.loads(out)["replayed"] == 100
    await stack.wait_for_depth("dead-letters", 100, 60)
    _, out, _ = await stack.command("dead-letters", "list", "--json")
    letters = json.loads(out)
    assert {(one["reason"], one["replays"]) for one in letters} == {("adobe-rejected", 1)}


async def test_commands_one_after_the_other_see_every_letter(stack: Stack) -> None:
    """What one command held is back in the queue when it ends."""
    await _bury(stack, LETTERS)
    for command in (("list",), ("replay", "--dry-run"), ("show", "letter-999"), ("export", "-")):
        code, _, err = await stack.command("dead-letters", *command)
        assert code == 0, err
        assert await stack.depth("dead-letters") == LETTERS
    _, out, _ = await stack.command("dead-letters", "list", "--json")
    assert len(json.loads(out)) == LETTERS


@pytest.mark.parametrize("count", [900, 4_100])
async def test_letters_of_several_windows_are_told_and_all_put_back(
    stack: Stack, depth: Depth, count: int
) -> None:
    await _bury(stack, count)
    for command in (("list", "--json"), ("list", "--json", "--reason", "retries-exhausted")):
        code, out, err = await stack.command("dead-letters", *command)
        assert code == 0, err
        told = [one["id"] for one in json.loads(out)]
        if count > 1_000:  # a busy broker puts some of these back before others
            told.sort(key=lambda one: int(one.removeprefix("letter-")))
        assert told == [f"letter-{i}" for i in range(count)]
        assert await depth("dead-letters") == count


async def test_an_existing_file_is_only_replaced_when_told_so(stack: Stack, tmp_path: Path) -> None:
    await _bury(stack, 1)
    target = tmp_path / "letters.jsonl"
    target.write_text("precious")
    code, _, err = await stack.command("dead-letters", "export", str(target))
    assert code == 2
    assert "--force" in err
    assert target.read_text() == "precious"
    code, out, _ = await stack.command("dead-letters", "export", str(target), "--force")
    assert (code, out) == (0, "exported 1 dead letter\n")
    assert json.loads(target.read_text())["id"] == "letter-0"
    for impossible in (tmp_path, tmp_path / "missing" / "letters.jsonl"):
        code, _, _ = await stack.command("dead-letters", "export", str(impossible), "--force")
        assert code == 2
    assert _files(tmp_path) == [target]


async def test_what_is_not_there_is_exit_code_one_or_three(stack: Stack) -> None:
    for command in (("replay",), ("discard", "--yes")):
        code, out, _ = await stack.command("dead-letters", *command, "--id", "nothing")
        assert code == 1
        assert out.endswith("no dead letter has the id nothing\n")
    await _bury(stack, 1)
    code, out, _ = await stack.command(
        "dead-letters", "replay", "--id", "letter-0", "--reason", "poison"
    )
    assert code == 1
    assert "no dead letter has the id letter-0 and fits the other options" in out
    code, out, _ = await stack.command("dead-letters", "replay", "--id", "letter-0")
    assert (code, out) == (0, "replayed 1\n")
    assert await stack.command("dead-letters", "list", "--json") == (0, "[]\n", "")
    stack.namespace = f"{stack.namespace}-else"
    code, _, err = await stack.command("dead-letters", "list")
    assert code == 3
    assert "consent-worker topology declare" in err


async def test_a_replay_that_the_broker_refuses_keeps_the_letters(
    stack: Stack, depth: Depth
) -> None:
    await _bury(stack, 3)
    async with await aio_pika.connect(stack.amqp_url) as connection:
        await (await connection.channel()).queue_delete(f"{stack.namespace}.retries")
    code, _, err = await stack.command("dead-letters", "replay")
    assert code == 3
    assert "RabbitMQ did not take a message" in err
    assert "replayed 0, and the rest stays in the dead letters" in err
    await wait_until(lambda: _is_at_least(depth, "dead-letters", 3), "the letters")


async def test_discarding_asks_first(stack: Stack, depth: Depth) -> None:
    await _bury(stack, 1)
    code, _, err = await stack.command("dead-letters", "discard", stdin=b"n\n")
    assert code == 1
    assert "lost for good" in err
    assert await depth("dead-letters") == 1
    code, out, _ = await stack.command("dead-letters", "discard", stdin=b"y\n")
    assert (code, out.strip()) == (0, "discarded 1")
    assert await depth("dead-letters") == 0


async def test_show_prints_a_letter_and_list_prints_lines(stack: Stack) -> None:
    await _bury(stack, 2)
    _, out, _ = await stack.command("dead-letters", "show", "letter-1")
    assert "reason: retries-exhausted" in out
    assert "u1@a.example" in out
    _, out, _ = await stack.command("dead-letters", "list", "--newer-than", "1h")
    assert out == "0 dead letters\n"
    _, out, _ = await stack.command("dead-letters", "list", "--integration", "shop")
    assert out.splitlines()[-1] == "2 dead letters"
    assert "letter-0  retries-exhausted  integration shop" in out
    assert "a.example" not in out


async def test_two_operators_at_once_replay_each_letter_once(stack: Stack, depth: Depth) -> None:
    bodies = await _bury(stack, LETTERS)
    results = await asyncio.gather(
        *(stack.command("dead-letters", "replay", "--json") for _ in range(2))
    )
    assert [code for code, _, _ in results] == [0, 0]
    assert sum(json.loads(out)["replayed"] for _, out, _ in results) == LETTERS
    assert await depth("dead-letters") == 0
    assert sorted(await _take_all(stack, "retries")) == sorted(bodies)


async def test_a_letter_that_never_got_to_an_integration_is_replayed_as_an_event(
    stack: Stack, depth: Depth
) -> None:
    stack.start_worker()
    await stack.wait_until_consuming()
    await stack.publish([b"no json"])
    await stack.wait_for_depth("dead-letters", 1)
    _, out, _ = await stack.command("dead-letters", "list", "--json")
    (letter,) = json.loads(out)
    assert (letter["reason"], letter["integration"]) == ("invalid-json", "none")
    code, out, _ = await stack.command("dead-letters", "replay", "--id", letter["id"])
    assert (code, out) == (0, "replayed 1\n")
    await stack.wait_for_depth("dead-letters", 1)
    _, out, _ = await stack.command("dead-letters", "list", "--json")
    assert json.loads(out)[0]["replays"] == 1


async def test_a_repeat_that_is_replayed_is_one(stack: Stack) -> None:
    """Else it would be a duplicate, and Adobe might keep the older choice."""
    async with await aio_pika.connect(stack.amqp_url) as connection:
        channel = await connection.channel(publisher_confirms=True)
        for repeat in (1, True, 2):
            headers: aio_pika.abc.HeadersType = {
                "consent-integration": "shop",
                "consent-repeat": repeat,
                "consent-dead-reason": "retries-exhausted",
            }
            message = aio_pika.Message(_body(1), delivery_mode=2, headers=headers)
            await channel.default_exchange.publish(message, f"{stack.namespace}.dead-letters")
        code, out, err = await stack.command("dead-letters", "replay")
        assert (code, out) == (0, "replayed 3\n"), err
        queue = await channel.get_queue(f"{stack.namespace}.retries")
        replayed = [await queue.get(no_ack=True) for _ in range(3)]
        repeats = [one.headers.get("consent-repeat") for one in replayed if one]
        assert sorted(repeats, key=str) == [1, None, None]  # several are replayed at once


async def test_a_reader_that_has_seen_enough_is_no_fault_of_the_broker(stack: Stack) -> None:
    """As with `| head`: the other end of standard output is closed."""
    await _bury(stack, 3)
    reading, writing = os.pipe()
    os.close(reading)
    process = await _start(stack, "dead-letters", "list", stdout=writing)
    os.close(writing)
    _, err = await process.communicate()
    assert (process.returncode, err) == (1, b"")
    assert await stack.depth("dead-letters") == 3


async def test_a_request_that_the_lost_connection_cancelled_is_told_from_a_real_cancel(
    stack: Stack,
) -> None:
    """aiormq cancels what waits for an answer when its connection is lost."""
    settings = WorkerSettings(amqp_url=SecretStr(stack.amqp_url))

    async def work(waiting: asyncio.Future[None]) -> None:
        async with broker_connection(settings, "test", lambda: "did 3"):
            at_work.set()
            await waiting

    for lose in (True, False):
        at_work = asyncio.Event()
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(work(waiting))
        await at_work.wait()
        (waiting if lose else task).cancel()
        with pytest.raises(BrokerAway if lose else asyncio.CancelledError) as error:
            await task
        assert not lose or str(error.value).endswith("; did 3")


async def test_a_progress_bar_is_for_a_terminal_only(stack: Stack) -> None:
    await _bury(stack, 20)
    _, _, err = await stack.command("dead-letters", "list")
    assert err == ""
    terminal, slave = pty.openpty()
    try:
        process = await _start(stack, "dead-letters", "list", stderr=slave)
        out, _ = await process.communicate()
    finally:
        os.close(slave)
    shown = b""
    with contextlib.suppress(OSError):  # the end of a terminal
        while piece := os.read(terminal, 65_536):
            shown += piece
    os.close(terminal)
    assert b"listed" in shown
    assert b"20/20" in shown
    assert b"letter-0" in out


async def test_a_broker_that_answers_late_is_asked_again(stack: Stack) -> None:
    """The first connection is never answered; the next one gets through."""
    address = urlsplit(stack.amqp_url)
    async with TcpProxy(address.hostname or "", address.port or 0) as line:
        first = asyncio.Event()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if not first.is_set():
                first.set()
                await reader.read()
                writer.close()
                return
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", line.port)

            async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
                while piece := await source.read(65_536):
                    target.write(piece)
                target.close()

            await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))

        async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            stack.override("AMQP_URL", through(stack.amqp_url, port))
            code, out, err = await stack.command("topology", "declare")
    assert code == 0, err
    assert "declared" in out
