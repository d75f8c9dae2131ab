"""Reads are bounded, follow nobody, and believe only what is Adobe's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

from tests.unit.adobe.check.conftest import POLICY
from tests.unit.adobe.server import serving
from tests.unit.examples import integration
from worker.adobe.attempt import AdobeClient
from worker.adobe.check.platform_reads import (
    MOST_BYTES,
    Answer,
    Found,
    NotFound,
    PlatformReader,
    Refused,
    Unanswered,
)
from worker.adobe.http_client import open_session

Reply = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def read(answer: Reply) -> tuple[Answer, list[str]]:
    """What comes of one read, and the paths that were asked for."""
    asked: list[str] = []

    async def any_path(request: web.Request) -> web.StreamResponse:
        if request.path == "/token":
            return web.json_response({"access_token": "t", "expires_in": 100})
        asked.append(request.rel_url.raw_path)
        return await answer(request)

    async with serving(any_path) as url, open_session(POLICY, 2) as session:
        client = AdobeClient(session, POLICY, ims_url=f"{url}/token", platform_url=url)
        reader = PlatformReader(client, integration(), pauses_seconds=(0.0, 0.0))
        return await reader.get("/data/https%3A%2F%2Fns.adobe.com%2Fa"), asked


def saying(status: int, text: str, **headers: str) -> Reply:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=status, text=text, headers=headers)

    return answer


@pytest.mark.parametrize(
    ("status", "text", "expected", "times"),
    [
        (200, '{"a": 1}', Found, 1),
        (200, "[]", Found, 1),
        (200, "<html>", Unanswered, 1),
        (200, '"text"', Unanswered, 1),
        (302, "", Unanswered, 1),
        (400, '{"title": "Bad Request"}', Unanswered, 1),
        (401, "{}", Refused, 2),
        (403, "", Refused, 1),
        (404, '{"type": "http://ns.adobe.com/aep/errors/XDM-1010-404"}', NotFound, 1),
        (404, "<html>not found, says a proxy</html>", Unanswered, 1),
        (406, "", Unanswered, 1),
        (429, "", Unanswered, 3),
        (500, "", Unanswered, 3),
        (503, "", Unanswered, 3),
    ],
)
async def test_what_an_answer_is(
    status: int, text: str, expected: type[Answer], times: int
) -> None:
    answer, asked = await read(saying(status, text, Location="/elsewhere"))
    assert type(answer) is expected
    assert asked == ["/data/https%3A%2F%2Fns.adobe.com%2Fa"] * times


async def test_an_answer_that_is_too_large_is_not_read_to_its_end() -> None:
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"[")
        try:
            while True:
                await response.write(b"1," * 32_768)
                sent += 65_536
        except ConnectionError:
            return response

    answer, _ = await read(endless)
    assert answer == Unanswered(f"an answer of more than {MOST_BYTES} bytes")
    assert sent < 4 * MOST_BYTES
