"""Missing configuration never acknowledges an event away."""

from __future__ import annotations

import asyncio
import json

import redis.asyncio

from devtools.redis_server import running_redis
from devtools.stack import Stack, event
from devtools.waiting import wait_until


def _event(organization: str, user: str) -> bytes:
    return json.dumps(event(organization, user)).encode()


async def test_without_an_integration_at_the_start_nothing_is_consumed(
    broker_url: str, namespace: str
) -> None:
    async with Stack(broker_url, namespace) as stack:
        assert (await stack.command("topology", "declare"))[0] == 0
        await stack.publish([_event("org-shop", "lena@a.example")])
        stack.start_worker()
        await wait_until(lambda: "integrations.none" in stack.log_text(), "the worker's word")
        await wait_until(stack.is_unready, "the worker to say that it is not ready")
        assert "integrations: none is valid" in (await stack.get("/readyz"))[1]
        assert await stack.depth("events") == 1
        stack.add_integration("shop")
        await wait_until(lambda: stack.delivered("shop"), "the event")
        await wait_until(stack.is_ready, "readiness")


async def test_an_emptied_directory_loses_nothing(broker_url: str, namespace: str) -> None:
    async with Stack(broker_url, namespace, INTEGRATION_GRACE_SECONDS=0.1) as stack:
        stack.add_integration("shop")
        stack.start_worker()
        await stack.wait_until_consuming()
        (stack.integrations / "shop.json").unlink()
        await wait_until(stack.is_unready, "the worker to notice")
        await stack.publish([_event("org-shop", "lena@a.example")])
        await stack.wait_for_depth("events", 0)
        stack.add_integration("shop")
        await wait_until(lambda: stack.delivered("shop"), "the event", 30)
        assert await stack.depth("dead-letters") == 0


async def test_a_half_written_file_loses_nothing_of_its_organization(
    broker_url: str, namespace: str
) -> None:
    async with Stack(broker_url, namespace) as stack:
        stack.add_integration("other")
        (stack.integrations / "shop.json").write_text('{"id": "shop", "organi')
        stack.start_worker()
        await stack.wait_until_consuming()
        assert "shop.json" in (await stack.get("/readyz"))[1]
        await stack.publish([_event("org-shop", "lena@a.example")])
        await stack.publish([_event("org-other", "ole@a.example")])
        await wait_until(lambda: stack.delivered("other"), "the other customer")
        await stack.wait_for_depth("events", 0)
        stack.add_integration("shop")
        await wait_until(lambda: stack.delivered("shop"), "the event", 30)


def _second(stack: Stack) -> None:
    stack.add_integration("second", organization_id="org-shop")


async def test_one_of_several_integrations_that_vanished_gets_all_when_it_is_back(
    broker_url: str, namespace: str
) -> None:
    async with Stack(broker_url, namespace, INTEGRATION_GRACE_SECONDS=0.1) as stack:
        stack.add_integration("shop")
        _second(stack)
        stack.start_worker()
        await stack.wait_until_consuming()
        (stack.integrations / "second.json").unlink()
        await wait_until(lambda: '"removed":["second"]' in stack.log_text(), "the worker's word")
        await stack.publish([_event("org-shop", "lena@a.example")])
        await wait_until(lambda: stack.delivered("shop"), "the other integration")
        await stack.wait_for_depth("events", 0)
        _second(stack)
        await wait_until(lambda: stack.delivered("second"), "the event", 30)
        assert len(stack.delivered("shop")) == 1
        assert await stack.depth("dead-letters") == 0


async def test_one_of_several_that_is_unreadable_after_a_restart_is_known_by_the_store(
    broker_url: str, namespace: str, redis_url: str
) -> None:
    async with Stack(broker_url, namespace, STATE_URL=redis_url, LOG_LEVEL="debug") as stack:
        stack.add_integration("shop")
        _second(stack)
        worker = stack.start_worker()
        await stack.wait_until_consuming()
        async with redis.asyncio.Redis.from_url(redis_url) as store:
            key = f"{namespace}:integrations"
            await wait_until(lambda: store.zcard(key), "the worker to tell the store")
        worker.terminate()
        await asyncio.to_thread(worker.wait, 30)
        (stack.integrations / "second.json").write_text('{"id": "sec')
        stack.start_worker()
        await stack.wait_until_consuming()
        await stack.publish([_event("org-shop", "lena@a.example")])
        await wait_until(lambda: stack.delivered("shop"), "the other integration")
        await stack.wait_for_depth("events", 0)
        _second(stack)
        await wait_until(lambda: stack.delivered("second"), "the event", 30)
        assert len(stack.delivered("shop")) == 1


async def test_before_the_store_has_said_what_was_in_force_nothing_is_consumed(
    broker_url: str, namespace: str
) -> None:
    with running_redis() as server:
        server.kill()
        async with Stack(broker_url, namespace, STATE_URL=server.url) as stack:
            stack.add_integration("shop")
            assert (await stack.command("topology", "declare"))[0] == 0
            await stack.publish([_event("org-shop", "lena@a.example")])
            stack.start_worker()
            await wait_until(lambda: "ordering.unavailable" in stack.log_text(), "its word")
            await wait_until(lambda: "worker.started" in stack.log_text(), "its port")
            await wait_until(stack.is_unready, "the worker to say that it is not ready")
            assert "ordering: " in (await stack.get("/readyz"))[1]
            assert "broker.connected" not in stack.log_text()
            assert await stack.depth("events") == 1
            server.start()
            await wait_until(lambda: stack.delivered("shop"), "the event")
            await wait_until(stack.is_ready, "readiness")


async def test_a_half_written_file_may_be_of_an_organization_that_has_others(
    broker_url: str, namespace: str
) -> None:
    async with Stack(broker_url, namespace) as stack:
        stack.add_integration("shop")
        (stack.integrations / "second.json").symlink_to(stack.integrations / "nowhere")
        stack.start_worker()
        await stack.wait_until_consuming()
        await stack.publish([_event("org-shop", "lena@a.example")])
        await wait_until(lambda: stack.delivered("shop"), "the other integration")
        await stack.wait_for_depth("events", 0)
        (stack.integrations / "second.json").unlink()
        _second(stack)
        await wait_until(lambda: stack.delivered("second"), "the event", 30)
        assert len(stack.delivered("shop")) == 1
        assert await stack.depth("dead-letters") == 0


async def test_an_unknown_organization_is_skipped_by_name(broker_url: str, namespace: str) -> None:
    async with Stack(broker_url, namespace, LOG_LEVEL="debug") as stack:
        stack.add_integration("other")
        stack.start_worker()
        await stack.wait_until_consuming()
        await stack.publish([_event("org-nobody", "lena@a.example")])
        await wait_until(lambda: "no-integration" in stack.log_text(), "the skip")
        metrics = (await stack.get("/metrics"))[1]
        assert 'outcome="skipped",reason="no-integration"} 1.0' in metrics
