"""Whether a request that got no answer was written, by real servers that fail in every way."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from devtools.examples import integration_document
from devtools.waiting import wait_until
from tests.unit.adobe.server import serving
from tests.unit.examples import integration
from worker.adobe.attempt import AdobeClient
from worker.adobe.attempt_deadline import Deadline, until, watched
from worker.adobe.endpoints import EndpointPolicy
from worker.adobe.http_client import open_session
from worker.adobe.replies import Accepted, Retryable
from worker.adobe.streaming import OutgoingMessage

LOCAL = EndpointPolicy(("127.0.0.1",), True)
MESSAGE = OutgoingMessage(b"{}", {})
ACCEPTED = b'{"xactionId": "1:2:3"}'
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(serve: Serve) -> AsyncIterator[str]:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def send(url: str, *, limit: float = 5, **changes: Any) -> Any:
    """The reply to one message, or to each."""
    properties = integration_document()["properties"] | {"dataflow_endpoint": f"{url}/collection/i"}
    shop = integration(properties=properties, **({"authenticated": False} | changes))
    async with open_session(LOCAL, limit) as session:
        client = AdobeClient(session, LOCAL, ims_url=f"{url}/token", platform_url=url)
        reply = await client.send(shop, [MESSAGE])
        return reply[0] if isinstance(reply, list) else reply


async def _ends(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.close()


async def _resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.transport.abort()


async def _ends_within_the_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + ACCEPTED)
    writer.close()


@pytest.mark.parametrize("serve", [_ends, _resets, _ends_within_the_body])
async def test_a_line_that_ends_after_the_request_was_written_is_unclear(serve: Serve) -> None:
    async with listening(serve) as url:
        reply = await send(url)
    assert (reply.error, reply.is_unclear) == ("connection-failed", True)


async def test_no_answer_in_time_to_what_was_written_is_unclear() -> None:
    async def never(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async with serving(never) as url:
        reply = await send(url, limit=0.3)
    assert (reply.error, reply.is_unclear) == ("timeout", True)


async def test_a_connection_that_is_refused_or_never_opened_is_clear() -> None:
    reply = await send("http://127.0.0.1:1")
    assert (reply.error, reply.is_unclear) == ("connection-failed", False)
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        others = [socket.socket() for _ in range(4)]  # the queue of those who wait is full
        for one in others:
            one.setblocking(False)
            one.connect_ex(address)
        reply = await send(f"http://127.0.0.1:{address[1]}", limit=0.3)
        for one in others:
            one.close()
    assert (reply.error, reply.is_unclear) == ("timeout", False)


async def test_a_failed_tls_handshake_is_clear() -> None:
    async def no_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 no TLS\r\n\r\n")
        writer.close()

    async with listening(no_tls) as url:
        reply = await send(url.replace("http:", "https:"))
    assert (reply.error, reply.is_unclear) == ("connection-failed", False)


async def test_what_is_not_written_because_its_time_is_over_is_clear() -> None:
    async with listening(_ends) as url:
        with until(Deadline(0, lambda: 1)):
            reply = await send(url)
    assert (reply.error, reply.is_unclear) == ("timeout", False)


async def test_a_token_call_that_hangs_or_fails_is_clear() -> None:
    async def no_token(request: web.Request) -> web.Response:
        assert request.path == "/token"
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with serving(no_token) as url:
        with watched() as writing:
            reply = await send(url, authenticated=True)
    assert not reply.is_unclear
    assert not writing.awaits_answer


async def test_a_refused_token_and_then_no_line_is_clear() -> None:
    """The answer to the first request was a valid one, and the second was never written."""
    tokens = 0

    async def answer(request: web.Request) -> web.Response:
        nonlocal tokens
        if request.path != "/token":
            return web.Response(status=401, body=b"{}")
        tokens += 1
        if tokens > 1:
            await asyncio.Event().wait()
        return web.json_response({"access_token": "t", "expires_in": 3600})

    async with serving(answer) as url:
        with watched() as writing:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await send(url, authenticated=True)
            assert not writing.awaits_answer
    assert tokens == 2


async def test_who_gives_a_request_up_learns_whether_it_was_written() -> None:
    asked = asyncio.Event()

    async def never(_: web.Request) -> web.Response:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with serving(never) as url:
        with watched() as writing:
            sending = asyncio.create_task(send(url))
            await asked.wait()
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
        assert writing.awaits_answer


async def test_an_answer_makes_it_clear_again() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=ACCEPTED)

    async with serving(answer) as url:
        with watched() as writing:
            assert isinstance(await send(url), Accepted)
    assert not writing.awaits_answer
    assert not writing.was_repeated


async def test_of_what_is_written_again_on_a_new_line_the_first_may_be_carried_out_too() -> None:
    requests = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        for turn in range(2):
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            requests += 1
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            if turn == 0:
                head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(ACCEPTED)
                writer.write(head + ACCEPTED)
                await writer.drain()
        writer.close()

    async with listening(serve) as url, open_session(LOCAL, 5) as session:
        properties = integration_document()["properties"] | {
            "dataflow_endpoint": f"{url}/collection/i"
        }
        shop = integration(properties=properties, authenticated=False)
        client = AdobeClient(session, LOCAL, ims_url=f"{url}/token", platform_url=url)
        doubts = []
        for _ in range(2):
            with watched() as writing:
                reply = await client.send(shop, [MESSAGE])
            assert isinstance(reply, list)
            assert not isinstance(reply[0], Retryable)
            doubts.append(writing.was_repeated)
    assert (doubts, requests) == ([False, True], 3)


async def test_what_was_repeated_stays_so_though_its_answer_refuses_the_token() -> None:
    """The first request may be carried out yet, while another token is waited for."""
    posts = tokens = 0

    async def answer(request: web.Request) -> web.Response:
        nonlocal posts, tokens
        if request.path == "/token":
            tokens += 1
            if tokens > 1:
                await asyncio.Event().wait()
            return web.json_response({"access_token": "t", "expires_in": 3600})
        posts += 1
        if posts == 2:
            assert request.transport is not None
            request.transport.abort()
        return web.Response(body=ACCEPTED) if posts < 3 else web.Response(status=401, body=b"{}")

    async with serving(answer) as url, open_session(LOCAL, 30) as session:
        properties = integration_document()["properties"] | {
            "dataflow_endpoint": f"{url}/collection/i"
        }
        shop = integration(properties=properties)
        client = AdobeClient(session, LOCAL, ims_url=f"{url}/token", platform_url=url)
        replies = await client.send(shop, [MESSAGE])
        assert isinstance(replies, list)
        assert isinstance(replies[0], Accepted)
        with watched() as writing:
            sending = asyncio.create_task(client.send(shop, [MESSAGE]))
            await wait_until(lambda: tokens == 2, "another token to be asked for")
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
        assert (writing.was_repeated, writing.awaits_answer, posts) == (True, False, 3)
