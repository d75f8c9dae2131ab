"""`consent-worker publish` on a real broker: every form of input, bad lines, interruptions."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage

from devtools.proxy import TcpProxy, through
from devtools.stack import Stack, event
from devtools.waiting import wait_until


@pytest.fixture
async def stack(broker_url: str, namespace: str) -> AsyncIterator[Stack]:
    async with Stack(broker_url, namespace) as running:
        yield running


def _lines(count: int) -> list[bytes]:
    return [json.dumps(event("org-shop", f"u{i}@a.example")).encode() for i in range(count)]


async def _published(stack: Stack) -> list[bytes]:
    """The bodies in the queue of fresh events, which is emptied."""
    bodies: list[bytes] = []
    async with await aio_pika.connect(stack.amqp_url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(f"{stack.namespace}.events", passive=True)
        count = queue.declaration_result.message_count or 0

        async def take(message: AbstractIncomingMessage) -> None:
            bodies.append(message.body)

        await queue.consume(take, no_ack=True)
        await wait_until(lambda: len(bodies) == count, f"all of {count} messages")
    return bodies


async def _start(stack: Stack) -> tuple[asyncio.subprocess.Process, asyncio.StreamWriter]:
    """`publish -`, and its standard input."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "worker", "publish", "-"),
        env=stack.env,
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
    )
    assert process.stdin is not None
    return process, process.stdin


async def test_each_form_of_input_is_published(stack: Stack, tmp_path: Path) -> None:
    lines = _lines(3)
    forms = {
        "lines": b"\n".join(lines) + b"\n",
        "array": b"[" + b",".join(lines) + b"]",
        "pretty": json.dumps(json.loads(lines[0]), indent=2).encode(),
    }
    for name, content in forms.items():
        path = tmp_path / name
        path.write_bytes(content)
        code, out, err = await stack.command("publish", str(path))
        expected, said = (lines, "3 events") if name != "pretty" else (lines[:1], "1 event")
        assert (code, out) == (0, f"published {said}\n"), err
        found = [json.loads(body) for body in await _published(stack)]
        assert found == [json.loads(one) for one in expected]


async def test_a_long_stream_is_published_as_it_comes(stack: Stack) -> None:
    lines = _lines(1500)
    process, stdin = await _start(stack)
    stdin.write(b"\n".join(lines[:1000]) + b"\n")
    await stack.wait_for_depth("events", 1000)
    out, _ = await process.communicate(b"\n".join(lines[1000:]))
    assert (process.returncode, out) == (0, b"published 1500 events\n")
    assert sorted(await _published(stack)) == sorted(lines)


async def test_a_bad_line_in_a_file_is_named_before_anything_is_published(
    stack: Stack, tmp_path: Path
) -> None:
    await stack.command("topology", "declare")
    lines = _lines(4)
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join([*lines[:2], b'{"email": "u@a.example",', lines[3]]))
    code, out, err = await stack.command("publish", str(path))
    assert (code, out) == (1, "")
    assert "line 3 is not JSON" in err
    assert "published nothing" in err
    assert "a.example" not in err
    assert await stack.depth("events") == 0


async def test_a_bad_line_in_a_stream_is_named_with_what_was_published(stack: Stack) -> None:
    lines = _lines(4)
    code, _, err = await stack.command("publish", "-", stdin=b"\n".join([*lines[:2], b"[]"]))
    assert code == 1
    assert "line 3 is not a JSON object" in err
    assert "published 2 events; go on with --start 3" in err
    code, out, _ = await stack.command("publish", "-", "--start", "3", stdin=b"\n".join(lines))
    assert (code, out) == (0, "published 2 events\n")
    assert sorted(await _published(stack)) == sorted(lines)


async def test_a_pipe_by_name_is_a_stream(stack: Stack, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    publishing = asyncio.create_task(stack.command("publish", str(pipe)))
    await asyncio.to_thread(pipe.write_bytes, b"\n".join(_lines(5)))
    assert (await publishing)[:2] == (0, "published 5 events\n")


async def test_a_file_that_is_not_there_or_not_to_be_read_is_exit_code_one(
    stack: Stack, tmp_path: Path
) -> None:
    for path in (tmp_path / "nothing", tmp_path):
        code, _, err = await stack.command("publish", str(path))
        assert code == 1
        assert str(path) in err


async def test_an_interrupted_stream_says_where_to_go_on(stack: Stack) -> None:
    process, stdin = await _start(stack)
    stdin.write(b"\n".join(_lines(50)) + b"\n")
    await stack.wait_for_depth("events", 50)
    process.send_signal(signal.SIGINT)
    await process.wait()
    out, err = await process.communicate()
    assert process.returncode == 130
    assert out == b""
    assert b"interrupted: published 50 events; go on with --start 51\n" in err


async def test_an_interrupted_file_is_finished_by_a_second_run(
    stack: Stack, tmp_path: Path
) -> None:
    lines = _lines(2_000)
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join(lines))
    await stack.command("topology", "declare")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "worker", "publish", str(path)),
        env=stack.env,
        stderr=asyncio.subprocess.PIPE,
    )
    await wait_until(lambda: _is_begun(stack), "the first events")
    process.send_signal(signal.SIGTERM)
    _, err = await process.communicate()
    assert process.returncode == 143
    start = err.decode().split("--start ")[1].strip()
    code, _, _ = await stack.command("publish", str(path), "--start", start)
    assert code == 0
    assert sorted(await _published(stack)) == sorted(lines)


async def _is_begun(stack: Stack) -> bool:
    return await stack.depth("events") > 0


async def test_a_lost_connection_says_where_to_go_on(stack: Stack) -> None:
    await stack.command("topology", "declare")
    address = urlsplit(stack.amqp_url)
    async with TcpProxy(address.hostname or "", address.port or 0) as line:
        stack.override("AMQP_URL", through(stack.amqp_url, line.port))
        process, stdin = await _start(stack)
        stdin.write(b"\n".join(_lines(10)) + b"\n")
        stack.override("AMQP_URL", stack.amqp_url)
        await stack.wait_for_depth("events", 10)
        line.cut()
        _, err = await process.communicate(b"\n".join(_lines(10)))
    assert process.returncode == 3
    assert b"the connection to RabbitMQ was lost" in err
    assert b"published 10 events; go on with --start 11" in err
    assert b"Traceback" not in err
