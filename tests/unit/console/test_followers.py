"""How many streams are open that say how the fleet does, and who has to give one up."""

from __future__ import annotations

from contextlib import AsyncExitStack, ExitStack

import aiohttp

from tests.unit.console.console_parts import VIEWER, RunningConsole
from worker.console.access import Role
from worker.console.followers import MOST_OF_SESSION, Followers
from worker.console.sessions import Session


def _session(session_id: str, name: str = "") -> Session:
    return Session(Role.VIEWER, name, session_id, 0)


async def test_who_opens_too_many_gives_up_its_own_oldest_and_nobody_elses(
    console: RunningConsole,
) -> None:
    await console.sign_in()
    jar = aiohttp.CookieJar(unsafe=True)
    async with AsyncExitStack() as stack:
        other = await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=jar))
        await other.post(console.url + "/login", data={"key": VIEWER})
        theirs = await stack.enter_async_context(other.get(console.url + "/live"))
        opened = []
        for _ in range(MOST_OF_SESSION + 2):
            one = await stack.enter_async_context(console.http.get(console.url + "/live"))
            assert await one.content.readline() == b"event: beat\n"
            opened.append(one)
        for one in opened[:2]:
            assert b"All well" in await one.content.read(), "it ends"
        for one in (theirs, *opened[2:]):
            assert not one.content.at_eof()


def test_of_all_together_the_session_with_the_most_gives_one_up() -> None:
    followers = Followers(most=4)
    with ExitStack() as stack:
        follow = stack.enter_context
        (first, greedy, *rest) = [
            follow(followers.following(_session(one))) for one in ("a", "b", "b", "c", "d")
        ]
        assert greedy.is_set()
        assert not any(one.is_set() for one in (first, *rest))
    with followers.following(_session("a")) as alone:
        assert not alone.is_set()


def test_of_a_proxy_without_names_many_browsers_are_one_session() -> None:
    with ExitStack() as stack:

        def opened(session: Session) -> int:
            followers = Followers()
            all_of = [stack.enter_context(followers.following(session)) for _ in range(20)]
            return sum(not one.is_set() for one in all_of)

        assert opened(_session("proxy:viewer:")) == 20
        assert opened(_session("proxy:viewer:lena", "lena")) == MOST_OF_SESSION
