"""Redis is away, stalls, restarts, or refuses: `StoreUnavailable` in time, and nothing secret."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from devtools.ports import free_port
from devtools.proxy import TcpProxy, through
from devtools.redis_server import running_redis
from devtools.waiting import wait_until
from tests.integration.tls import make_certificate, tls_line
from worker.ordering.redis_store import RedisStore
from worker.ordering.stamp import Stamp
from worker.ordering.store_protocol import (
    Claim,
    Contended,
    Granted,
    Settlement,
    StoreUnavailable,
    Timing,
)

TIMEOUT = 0.5
PASSWORD = "s3cret-Pass-w0rd"
TIMING = Timing(lease_seconds=60, retention_seconds=1_000)
STAMP = Stamp(1, 0, False, "e1")


@pytest.fixture
async def line(redis_url: str) -> AsyncIterator[TcpProxy]:
    address = urlsplit(redis_url)
    async with TcpProxy(address.hostname or "", address.port or 0) as proxy:
        yield proxy


@pytest.fixture
async def store(line: TcpProxy, redis_url: str, namespace: str) -> AsyncIterator[RedisStore]:
    url = through(redis_url, line.port)
    made = RedisStore(url, TIMING, namespace=namespace, timeout_seconds=TIMEOUT, max_connections=2)
    yield made
    line.restore()
    await made.close()


async def begin(store: RedisStore, user: str = "lena") -> Granted | Contended:
    (answer,) = await store.begin("shop", [Claim(user, ["news"])])
    return answer


async def settle(store: RedisStore, lease: int = 1, user: str = "lena") -> None:
    await store.settle("shop", [Settlement(user, lease, {"news": STAMP}, False)], 0)


async def is_usable(store: RedisStore) -> bool:
    try:
        await store.ping()
    except StoreUnavailable:
        return False
    return True


Call = Callable[[RedisStore, str], Awaitable[object]]
CALLS: dict[str, Call] = {
    "begin": begin,
    "settle": lambda store, user: settle(store, 1, user),
    "ping": lambda store, _: store.ping(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("is_connected", [True, False])
async def test_a_stalled_line_is_given_up_in_time(
    line: TcpProxy, store: RedisStore, is_connected: bool, call: Call
) -> None:
    if is_connected:
        await store.ping()
    line.stall()
    started = time.monotonic()
    # More calls than connections: those that wait for one are given up in the same time.
    results = await asyncio.gather(
        *(call(store, f"user-{i}") for i in range(5)), return_exceptions=True
    )
    assert time.monotonic() - started < TIMEOUT + 2
    assert [repr(one) for one in results] == [
        f"StoreUnavailable('Redis did not answer within {TIMEOUT:g} s')"
    ] * 5
    line.restore()
    await wait_until(lambda: is_usable(store), "Redis is used again")


async def test_calls_that_wait_for_each_other_do_not_blame_redis(
    line: TcpProxy, store: RedisStore
) -> None:
    await asyncio.gather(begin(store, "a"), begin(store, "b"))
    line.slow_answers(400)
    started = time.monotonic()
    answers = await asyncio.gather(*(begin(store, f"user-{i}") for i in range(60)))
    assert time.monotonic() - started > TIMEOUT, "or this shows nothing"
    assert all(isinstance(one, Granted) for one in answers)


async def test_answers_never_reach_the_wrong_call(line: TcpProxy, store: RedisStore) -> None:
    """A connection whose answer was not waited for must not serve another call."""
    for i in range(5):
        line.hold_answers()
        with pytest.raises(StoreUnavailable):
            await begin(store, f"late-{i}")
        line.restore()
        answer = await begin(store, f"next-{i}")
        assert isinstance(answer, Granted)
        await settle(store, answer.lease, f"next-{i}")
        again = await begin(store, f"next-{i}")
        assert isinstance(again, Granted)
        assert again.stored == {"news": STAMP}


async def test_a_lost_answer_does_not_lock_the_user_out(
    line: TcpProxy, store: RedisStore, redis_url: str, namespace: str
) -> None:
    other = RedisStore(redis_url, TIMING, namespace=namespace)
    await store.ping()  # else the answer that is held is the one to the password
    line.hold_answers()
    with pytest.raises(StoreUnavailable):
        await begin(store)

    async def is_held() -> bool:
        answer = await begin(other)
        return isinstance(answer, Contended) and answer.is_held

    assert await is_held(), "Redis has granted what it was asked"
    line.restore()
    assert isinstance(await begin(store), Granted)
    assert isinstance(await begin(store), Contended), "this time the answer has come"
    assert await is_held()
    await other.close()


async def test_a_settlement_whose_answer_was_lost_is_repeated(
    line: TcpProxy, store: RedisStore
) -> None:
    answer = await begin(store)
    assert isinstance(answer, Granted)
    line.hold_answers()
    with pytest.raises(StoreUnavailable):
        await settle(store, answer.lease)
    line.restore()
    assert isinstance(await begin(store), Contended), "held until it is known to be settled"
    await settle(store, answer.lease)
    again = await begin(store)
    assert isinstance(again, Granted)
    assert again.stored == {"news": STAMP}


async def test_a_cut_line_is_opened_again(line: TcpProxy, store: RedisStore) -> None:
    for _ in range(10):
        await wait_until(lambda: is_usable(store), "Redis is used again")
        line.cut()
        with pytest.raises(StoreUnavailable, match="can't be reached"):
            await store.ping()
        line.restore()


async def test_nobody_listens() -> None:
    store = RedisStore(f"redis://127.0.0.1:{free_port()}/0", TIMING, timeout_seconds=TIMEOUT)
    for call in CALLS.values():
        with pytest.raises(StoreUnavailable, match="can't be reached"):
            await call(store, "lena")
    await store.close()


async def test_closing_on_a_stalled_line_ends_in_time(line: TcpProxy, store: RedisStore) -> None:
    await store.ping()
    line.stall()
    hanging = asyncio.create_task(begin(store))
    await asyncio.sleep(0)
    started = time.monotonic()
    await store.close()
    assert time.monotonic() - started < TIMEOUT + 2
    with pytest.raises(StoreUnavailable):
        await hanging


async def test_redis_is_killed_and_started_again_and_keeps_its_password() -> None:
    with running_redis(PASSWORD) as server:
        store = RedisStore(server.url, TIMING, timeout_seconds=TIMEOUT)
        answer = await begin(store)
        assert isinstance(answer, Granted)
        server.kill()
        with pytest.raises(StoreUnavailable) as away:
            await settle(store, answer.lease)
        server.start()
        await wait_until(lambda: is_usable(store), "Redis is used again")
        await settle(store, answer.lease)
        again = await begin(store)
        assert isinstance(again, Granted)
        assert again.stored == {"news": STAMP}

        wrong = RedisStore(server.url.replace("-w0rd", "-wr0ng"), TIMING)
        with pytest.raises(StoreUnavailable, match="refuses the user or the password") as refused:
            await wrong.ping()
        for failed in (away, refused):
            told = "".join(traceback.format_exception(failed.value)) + repr(failed.value)
            assert "s3cret" not in told
        await store.close()
        await wrong.close()


@pytest.mark.parametrize(
    "url",
    [
        f"http://:{PASSWORD}@127.0.0.1:6379",
        f"redis://:{PASSWORD}/x@127.0.0.1:6379",
        f"redis://:{PASSWORD}@127.0.0.1:port",
        f"redis://:{PASSWORD}@127.0.0.1:6379?no_such_option={PASSWORD}",
        f"redis://:{PASSWORD}@127.0.0.1:6379?socket_timeout={PASSWORD}",
        f"redis://:{PASSWORD}@127.0.0.1:6379?protocol=9",
        PASSWORD,
    ],
)
def test_a_url_that_can_not_be_used_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="the URL of Redis must") as refused:
        RedisStore(url, TIMING)
    assert "s3cret" not in "".join(traceback.format_exception(refused.value))


def test_a_namespace_that_can_not_be_used_is_refused() -> None:
    with pytest.raises(ValueError, match="namespace"):
        RedisStore("redis://127.0.0.1", TIMING, namespace="{all}")


async def test_tls(redis_url: str, namespace: str, tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    async with tls_line(redis_url, certificate, key) as port, TcpProxy("127.0.0.1", port) as line:
        url = through(redis_url, line.port).replace("redis://", "rediss://")
        strict = RedisStore(url, TIMING, namespace=namespace)
        with pytest.raises(StoreUnavailable, match="Redis shows a certificate"):
            await strict.ping()
        await strict.close()
        trusting = RedisStore(
            f"{url}?ssl_ca_certs={certificate}",
            TIMING,
            namespace=namespace,
            timeout_seconds=TIMEOUT,
        )
        assert isinstance(await begin(trusting), Granted)
        # The end of TLS is itself said on the line, and waited for.
        line.stall()
        started = time.monotonic()
        await trusting.close()
        assert time.monotonic() - started < TIMEOUT + 2
