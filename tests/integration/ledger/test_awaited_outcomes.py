"""A real door and real workers call an event the same, and what has no outcome is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from devtools.made_receipts import MadeWorker, made_now_ms, receipt
from devtools.stack import Stack
from devtools.waiting import wait_until
from tests.integration.door.door_parts import running_door, webhook
from tests.integration.ledger.ledger_parts import ledger_stack
from worker.ledger.awaited_outcomes import CHECKED_AT_ONCE

HOUR_MS = 3_600_000
_USER = Path(__file__).parents[3] / "examples/user.json"


def _webhooks() -> dict[str, Any]:
    """One of each kind that a door takes and workers treat differently."""
    snapshot = json.loads(_USER.read_text())
    snapshot["parameters"]["new_entity"]["organization_id"] = "org-shop"
    guest = webhook()
    del guest["parameters"]["entity"]["user"]["organization_user_id"]
    odd = webhook()
    odd["parameters"]["entity"]["created_at"] = "yesterday"
    updated = webhook(kind="event.updated")
    entity = updated["parameters"].pop("entity")
    entity["updated_at"] = entity["created_at"]
    updated["parameters"] = {"old_entity": entity, "new_entity": entity}
    return {
        "delivered": webhook(),
        "of two integrations": webhook(organization="org-press"),
        "of nobody": webhook(organization="org-of-nobody"),
        "of a guest": guest,
        "a dead letter": odd,
        "without an id that may be shown": webhook("lena@northwind.example"),
        "updated": updated,
        "deleted": webhook(kind="event.deleted"),
        "a snapshot": snapshot,
    }


async def _conservation(stack: Stack) -> dict[str, Any]:
    """What `status` says; nothing while the ledger has no tables."""
    _, out, _ = await stack.command("status", "--json")
    return dict(json.loads(out)["conservation"]) if out else {"received": 0, "awaited": None}


@pytest.mark.timeout(240)
async def test_whatever_comes_in_by_a_door_has_an_outcome(
    broker_url: str, redis_url: str, namespace: str, tmp_path: Path
) -> None:
    settings = {
        "RECEIPTS": "on",
        "STATE_URL": redis_url,
        "LEDGER_URL": f"sqlite://{tmp_path}/ledger.sqlite",
    }
    webhooks = _webhooks()
    async with Stack(broker_url, namespace, **settings) as stack:
        stack.add_integration("shop")
        stack.add_integration("press")
        stack.add_integration("echo", organization_id="org-press")
        changes: dict[str, Any] = {"receipts": "on", "ordering_secret": SecretStr("of-this-stack")}
        stack.start_ledger()
        async with running_door(broker_url, namespace, **changes) as door:
            for name, body in webhooks.items():
                assert await door.code(json.dumps(body)) == (202, "accepted"), name
            assert await door.code(json.dumps(webhooks["delivered"])) == (202, "accepted")

            async def all_came() -> bool:
                said = await _conservation(stack)
                return bool(said["received"] == len(webhooks) + 1 and said["awaited"]["events"])

            await wait_until(all_came, "the door's count", 90)
            said = await _conservation(stack)
            assert said["awaited"] == {"events": len(webhooks), "overtaken": []}, "no worker yet"
            assert said["adds_up"]
            stack.start_worker()

            async def all_ended() -> bool:
                return bool((await _conservation(stack))["awaited"]["events"] == 0)

            await wait_until(all_ended, "an outcome of each", 90)
        assert (await _conservation(stack))["adds_up"]


async def test_what_later_events_have_overtaken_is_missed(
    broker_url: str, namespace: str, tmp_path: Path
) -> None:
    door, worker = MadeWorker("door:1"), MadeWorker("host:1")
    now = made_now_ms()
    came = {"outcome": "received", "integration": "", "organization": "org-acme"}
    async with ledger_stack(broker_url, namespace, tmp_path) as stack:
        await stack.publish(
            [
                door.receipts(
                    [
                        receipt("ev-lost", at=now - HOUR_MS, **came),
                        receipt("ev-1", at=now - 1, **came),
                        receipt("ev-2", at=now, **came),
                    ]
                ),
                worker.receipts([receipt("ev-1", organization="org-acme")]),
            ]
        )
        assert (await stack.read_once())[0] == 0
        said = (await stack.status())["conservation"]
        assert said["awaited"]["events"] == 2
        (missing,) = said["missing"]
        assert (missing["events"], missing["where"]) == (1, "organization org-acme")
        assert missing["since"] == now - HOUR_MS
        code, out, _ = await stack.command("status")
        assert code == 1
        assert "MISSING: 1 event of organization org-acme, since" in out
        assert "the first ones of organization org-acme: ev-lost" in out


async def test_a_ledger_that_reads_once_has_looked_at_all_that_it_read(
    broker_url: str, namespace: str, tmp_path: Path
) -> None:
    door, worker = MadeWorker("door:1"), MadeWorker("host:1")
    now = made_now_ms()
    came = {"outcome": "received", "integration": "", "organization": "org-acme"}
    events = [f"ev-{number}" for number in range(CHECKED_AT_ONCE + 200)]
    async with ledger_stack(broker_url, namespace, tmp_path) as stack:
        await stack.publish(
            [
                worker.receipts([receipt(one, organization="org-acme") for one in events]),
                door.receipts([receipt(one, at=now - HOUR_MS, **came) for one in events]),
                door.receipts(
                    [
                        receipt("ev-lost", at=now - HOUR_MS + 1, **came),
                        receipt("ev-later", at=now, **came),
                    ]
                ),
                worker.receipts([receipt("ev-later", organization="org-acme")]),
            ]
        )
        assert (await stack.read_once())[0] == 0
        (missing,) = (await stack.status())["conservation"]["missing"]
        assert (missing["events"], missing["since"]) == (1, now - HOUR_MS + 1)
