"""A staged outage and a refused secret, seen on the pages of a console beside a real fleet."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import aiohttp
import pytest

from devtools.live_console import KEYS, LiveConsole
from devtools.stack import event
from devtools.waiting import wait_until

pytestmark = pytest.mark.timeout(180)
PLANTED = ("planted-client-secret", "planted-api-key", "person-0@shop.example")


def _bodies(customer: str, count: int) -> list[bytes]:
    return [
        json.dumps(event(f"org-{customer}", f"person-{n}@{customer}.example")).encode()
        for n in range(count)
    ]


async def test_an_outage_is_seen_within_five_seconds_and_a_mended_customer_is_well_again(
    broker_url: str, namespace: str
) -> None:
    settings = {"BLOCK_PROBE_SECONDS": 1, "RETRY_BUDGET_SECONDS": 60}
    async with LiveConsole(broker_url, namespace, **settings) as live:
        for name in ("shop", "travel"):
            live.stack.add_integration(name)
        live.stack.start_worker()
        await live.stack.wait_until_consuming()
        await live.start()
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(live.url, cookie_jar=jar) as http:

            async def page(path: str) -> str:
                async with http.get(path) as answer:
                    assert answer.status == 200
                    text = await answer.text()
                    for secret in PLANTED:
                        assert secret not in text
                    return text

            async def says(path: str, told: Callable[[str], bool], what: str) -> float:
                began = time.monotonic()

                async def is_told() -> bool:
                    return told(await page(path))

                await wait_until(is_told, what, 30)
                return time.monotonic() - began

            async with http.post("/login", data={"key": KEYS["operator"]}) as answer:
                assert answer.status == 200
            await live.stack.publish(_bodies("shop", 20))
            await says("/", lambda text: "All well." in text, "a fleet that does well")

            fault = {"target": "collection", "key": "shop", "kind": "status", "status": 503}
            live.stack.sandbox.state.faults.inject(**fault)
            await live.stack.publish(_bodies("shop", 20))
            took = await says("/", lambda text: "shop is failing" in text, "the outage")
            assert took <= 7.0, "five seconds between two words of a worker, and the page"
            live.stack.sandbox.state.faults.clear()

            live.refuse_secret("travel")
            await live.stack.publish(_bodies("travel", 5))
            blocked = "travel</bdi> is blocked: <bdi>Adobe refuses the client id or its secret"
            await says("/integrations/travel", lambda text: blocked in text, "the refused secret")
            live.mend_secret("travel")
            well = "travel</bdi> is well"
            await says("/integrations/travel", lambda text: well in text, "the mended customer")
        assert '"ledger.started"' in live.log, "its metrics are served"
        for secret in PLANTED:
            assert secret not in live.log
