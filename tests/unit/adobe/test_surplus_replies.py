"""What an endpoint says unasked is never taken for the reply to a request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from devtools.examples import integration_document
from devtools.waiting import wait_until
from tests.unit.adobe.test_written import ACCEPTED, LOCAL, MESSAGE, listening
from tests.unit.examples import integration
from worker.adobe.attempt import AdobeClient
from worker.adobe.attempt_deadline import Deadline, until, watched
from worker.adobe.http_client import ExchangeFailed, exchange, open_session
from worker.adobe.replies import Accepted
from worker.integrations.model import Integration

SEVERAL = json.dumps({"responses": [{"xactionId": "1:2:3"}] * 2}).encode()
TOKEN = b'{"access_token": "t", "expires_in": 3600}'


def reply(body: bytes, status: int = 200) -> bytes:
    return b"HTTP/1.1 %d OK\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body


class Endpoint:
    """Answers each request with `said`, and keeps the lines and what it was asked on them."""

    def __init__(self, said: bytes) -> None:
        self.said = said
        self.url = ""
        self.asked: list[bytes] = []
        self.lines: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.lines.append(writer)
        while head := await reader.read(65_536):
            self.asked.append(head)
            writer.write(self.said)

    def repeat(self) -> None:
        """Say the last reply once more on each line. The system has it when this returns."""
        for line in self.lines:
            line.write(self.said)


@asynccontextmanager
async def endpoint(said: bytes) -> AsyncIterator[Endpoint]:
    one = Endpoint(said)
    async with listening(one.serve) as one.url:
        yield one


async def turns_of_the_loop() -> None:
    """Enough of them for what the system has to be read."""
    for _ in range(5):
        await asyncio.sleep(0)


async def no_turn() -> None:
    """The line is taken before the loop has read what came on it."""


@pytest.mark.parametrize("then", [turns_of_the_loop, no_turn])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_reply_that_is_said_twice_is_no_reply_to_the_next_request(
    method: str, then: Callable[[], Any]
) -> None:
    data = b"{}" if method == "POST" else None
    async with endpoint(reply(b"first")) as one, open_session(LOCAL, 5) as session:
        assert (await exchange(session, method, one.url, data=data)).body == b"first"
        one.repeat()
        one.said = reply(b"second")
        await then()
        with watched() as writing:
            second = await exchange(session, method, one.url, data=data, changes=True)
    assert second.body == b"second"
    assert len(one.asked) == 2
    assert not writing.was_repeated, "the request was written once"


@pytest.mark.parametrize(("status", "said", "many"), [(200, ACCEPTED, 1), (207, SEVERAL, 2)])
async def test_no_event_counts_as_delivered_by_the_reply_to_another(
    status: int, said: bytes, many: int
) -> None:
    async with endpoint(reply(said, status)) as one, open_session(LOCAL, 5) as session:
        shop = shop_at(one.url, authenticated=False)
        client = AdobeClient(session, LOCAL, ims_url=one.url, platform_url=one.url)
        for requests in (1, 2):
            replies = await client.send(shop, [MESSAGE] * many)
            assert isinstance(replies, list)
            assert [type(each) for each in replies] == [Accepted] * many
            assert len(one.asked) == requests
            one.repeat()
            await turns_of_the_loop()


async def test_no_credential_gets_the_token_of_another() -> None:
    async with endpoint(reply(TOKEN)) as one, open_session(LOCAL, 5) as session:
        client = AdobeClient(session, LOCAL, ims_url=one.url, platform_url=one.url)
        credential = integration_document()["authentication"]
        tokens = []
        for client_id in ("a", "b"):
            shop = shop_at(one.url, authentication=credential | {"client_id": client_id})
            tokens.append((await client.token(shop)).value)
            one.repeat()
            one.said = reply(TOKEN.replace(b'"t"', b'"other"'))
            await turns_of_the_loop()
    assert tokens == ["t", "other"]


async def test_a_part_of_a_reply_that_nobody_asked_for_ends_its_line() -> None:
    async with endpoint(reply(b"first")) as one, open_session(LOCAL, 5) as session:
        await exchange(session, "POST", one.url, data=b"{}")
        one.lines[0].write(b"HTTP/1.1 ")
        await turns_of_the_loop()
        await exchange(session, "POST", one.url, data=b"{}")
    assert len(one.lines) == 2


async def test_a_reply_that_comes_with_the_end_of_another_is_no_reply_to_the_next_request() -> None:
    async with endpoint(reply(b"first")[:-1]) as one, open_session(LOCAL, 5) as session:
        asking = asyncio.create_task(exchange(session, "POST", one.url, data=b"{}"))
        await wait_until(lambda: bool(one.asked), "the request to come")
        await turns_of_the_loop()
        one.lines[0].write(b"t" + reply(b"first"))
        assert (await asking).body == b"first"
        one.said = reply(b"second")
        assert (await exchange(session, "POST", one.url, data=b"{}")).body == b"second"
    assert len(one.asked) == 2


async def test_what_comes_between_the_taking_of_a_line_and_the_writing_is_no_reply() -> None:
    async with endpoint(reply(b"first")) as one, open_session(LOCAL, 5) as session:
        await exchange(session, "POST", one.url, data=b"{}")
        looks = 0

        def clock() -> float:
            nonlocal looks
            looks += 1
            if looks == 2:  # when the line is taken, and right before the writing
                one.repeat()
                one.said = reply(b"second")
            return 0

        with until(Deadline(1, clock)):
            second = await exchange(session, "POST", one.url, data=b"{}")
    assert second.body == b"second"
    assert len(one.asked) == 2


async def test_what_an_endpoint_says_before_it_is_asked_is_no_reply(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[bytes] = []

    async def speaks_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(reply(ACCEPTED))
        spoken.set()
        asked.append(await reader.read(65_536))

    loop, spoken = asyncio.get_running_loop(), asyncio.Event()
    connect = loop.create_connection

    async def slowly(*args: Any, **changes: Any) -> Any:
        opened = await connect(*args, **changes)
        await spoken.wait()
        await turns_of_the_loop()
        return opened

    monkeypatch.setattr(loop, "create_connection", slowly)
    async with listening(speaks_first) as url, open_session(LOCAL, 5) as session:
        with pytest.raises(ExchangeFailed) as failed:
            await exchange(session, "POST", url, data=b"{}", changes=True)
        await wait_until(lambda: asked == [b""], "the line to be closed")
    assert (failed.value.error, failed.value.is_unclear) == ("connection-failed", False)


def shop_at(url: str, **changes: Any) -> Integration:
    properties = integration_document()["properties"] | {"dataflow_endpoint": f"{url}/collection/i"}
    return integration(properties=properties, **changes)
