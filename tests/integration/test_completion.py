"""Single choices at an XDM-compatible inlet: records are whole, and nothing is erased unasked."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from devtools.stack import Stack, event
from devtools.waiting import wait_until
from tests.integration.test_auto_mode import ORG, SCHEMA, forms, put_flow, start, told

LENA, EMIL = "lena@northwind.example", "emil@northwind.example"
MAPPINGS = [
    {"id": "_acme.newsletter", "value": "consents_purposes_newsletter_enabled"},
    {"id": "_acme.profiling", "value": "consents_purposes_profiling_enabled"},
]
BY_ID = {"user_identifier": ["personID"]}


@pytest.fixture
async def stack(broker_url: str, namespace: str, tmp_path: Path) -> AsyncIterator[Stack]:
    settings = {
        "STATE_URL": f"sqlite://{tmp_path}/state.sqlite",
        "BLOCK_PROBE_SECONDS": 1,
        "WATCH_SECONDS": 0.3,
        "LOG_LEVEL": "debug",
    }
    async with Stack(broker_url, namespace, **settings) as running:
        put_flow(running, "xdm")
        acme = running.sandbox.state.organization.schemas[SCHEMA]["properties"]["_acme"]
        acme["properties"]["profiling"] = {"type": "boolean"}
        acme["properties"]["tier"] = {"type": "string"}
        yield running


def choice(user: str, purpose: str, *, enabled: bool = True) -> bytes:
    said = {"purposes": [{"id": purpose, "enabled": enabled}]}
    return json.dumps(event("org-shop", user, consents=said)).encode()


def record(stack: Stack, user: str = LENA) -> Any:
    profile = stack.sandbox.state.find(user)
    return None if profile is None else profile.record.get("_acme")


async def kill(stack: Stack) -> None:
    stack.workers[-1].send_signal(signal.SIGKILL)
    await asyncio.to_thread(stack.workers[-1].wait)


async def test_records_are_whole_over_a_restart(stack: Stack) -> None:
    stack.add_integration("shop", payload_mode="auto", dataset_starts_empty=True, mappings=MAPPINGS)
    await start(stack)
    await stack.publish([choice(LENA, "newsletter")])
    await wait_until(lambda: record(stack) == {"newsletter": True}, "the first choice")
    await kill(stack)
    await start(stack)
    await stack.publish([choice(LENA, "profiling")])
    both = {"newsletter": True, "profiling": True}
    await wait_until(lambda: record(stack) == both, "both choices")
    assert stack.sandbox.state.failures == []
    looked_up = [one for one in stack.sandbox.state.requests if "entities" in str(one)]
    assert looked_up == []


async def test_without_the_right_to_ask_one_choice_is_tried_and_completed(stack: Stack) -> None:
    stack.sandbox.state.organization.put({"refused": {"view-sources": 403}})
    stack.add_integration("shop", payload_mode="auto", dataset_starts_empty=True, mappings=MAPPINGS)
    await start(stack)
    await stack.publish([choice(LENA, "newsletter")])
    await wait_until(lambda: record(stack) == {"newsletter": True}, "the first choice")
    await stack.publish([choice(LENA, "profiling")])
    both = {"newsletter": True, "profiling": True}
    await wait_until(lambda: record(stack) == both, "both choices")
    assert forms(stack) == ["upsert", "xdm", "xdm"]
    assert [(one["mode"], one["by"]) for one in told(stack, "inlet.known")] == [("xdm", "answers")]


async def test_who_is_unknown_is_looked_up_first_and_keeps_what_was_there(stack: Stack) -> None:
    stack.sandbox.state.apply(
        "dataset-shop",
        LENA,
        {"_acme": {"newsletter": True, "profiling": True}, "personalEmail": {"address": LENA}},
        "create",
    )
    stack.sandbox.state.organization.put({"refused": {"view-profiles": 403}})
    stack.add_integration("shop", payload_mode="xdm", mappings=MAPPINGS)
    await start(stack)
    await stack.publish([choice(LENA, "profiling", enabled=False)])
    await wait_until(lambda: told(stack, "integration.blocked") != [], "a refused look-up to park")
    (blocked,) = told(stack, "integration.blocked")
    assert blocked["error"] == "lookup-refused"
    assert "dataset_starts_empty" in blocked["detail"]
    assert record(stack) == {"newsletter": True, "profiling": True}, "nothing was sent"

    stack.sandbox.state.organization.put({"refused": {}})
    kept = {"newsletter": True, "profiling": False}
    await wait_until(lambda: record(stack) == kept, "the choice, beside what was there", 60)
    await wait_until(lambda: told(stack, "request.accepted") != [], "the state to have it")
    await kill(stack)
    stack.sandbox.state.organization.put({"refused": {"view-profiles": 403}})
    await start(stack)
    await stack.publish([choice(LENA, "profiling")])
    again = {"newsletter": True, "profiling": True}
    await wait_until(lambda: record(stack) == again, "what was found is known from now on", 60)
    assert await stack.depth("dead-letters") == 0


def _remove_state(directory: Path) -> None:
    for one in directory.glob("state.sqlite*"):
        one.unlink()


async def _lose_state(stack: Stack, tmp_path: Path) -> None:
    """The file is gone, and an event that comes back tells of the state before."""
    fault = stack.sandbox.state.faults.inject(target="collection", kind="status", status=503)
    await stack.publish([choice(EMIL, "newsletter")])
    await wait_until(lambda: told(stack, "delivery.retried") != [], "a retry in the delay")
    stack.workers[-1].send_signal(signal.SIGTERM)  # so that the retry is in the delay for sure
    await asyncio.to_thread(stack.workers[-1].wait)
    _remove_state(tmp_path)
    stack.sandbox.state.faults.clear(fault.id)
    await start(stack)
    await wait_until(lambda: told(stack, "ordering.state_lost") != [], "the alarm", 60)


@pytest.mark.timeout(300)
async def test_after_a_loss_nothing_is_erased_until_an_operator_says_so(
    stack: Stack, tmp_path: Path
) -> None:
    primary = stack.sandbox.state.organization.descriptors[0]
    primary["xdm:sourceProperty"] = "/personID"
    properties = stack.sandbox.state.organization.schemas[SCHEMA]["properties"]
    properties["personID"] = {"type": "string"}
    stack.add_integration(
        "shop",
        payload_mode="auto",
        dataset_starts_empty=True,
        mappings=MAPPINGS,
        properties=BY_ID,
    )
    await start(stack)
    await stack.publish([choice(LENA, "newsletter")])
    await wait_until(lambda: record(stack) == {"newsletter": True}, "the first choice")
    await _lose_state(stack, tmp_path)
    await stack.publish([choice(LENA, "profiling")])
    blocked = "integration.blocked"
    await wait_until(
        lambda: any(one["error"] == "state-lost" for one in told(stack, blocked)), "the block"
    )
    assert record(stack) == {"newsletter": True}, "nothing is erased"

    code, _, err = await stack.command("state", "accept")
    assert code == 1
    assert "shop: its inlet is XDM-compatible" in err
    assert "nothing is accepted" in err
    code, out, err = await stack.command("state", "accept", "--may-erase")
    assert code == 0, err
    assert "shop: its inlet is XDM-compatible" in err
    assert "accepted: each worker ends its alarm" in out
    await wait_until(lambda: record(stack) == {"profiling": True}, "what was accepted", 90)


@pytest.mark.timeout(300)
async def test_after_a_loss_look_ups_go_on_by_themselves(stack: Stack, tmp_path: Path) -> None:
    stack.add_integration("shop", payload_mode="auto", dataset_starts_empty=True, mappings=MAPPINGS)
    await start(stack)
    await stack.publish([choice(LENA, "newsletter")])
    await wait_until(lambda: record(stack) == {"newsletter": True}, "the first choice")
    await _lose_state(stack, tmp_path)
    await stack.publish([choice(LENA, "profiling")])
    both = {"newsletter": True, "profiling": True}
    await wait_until(lambda: record(stack) == both, "both choices", 60)


async def test_what_was_accepted_after_its_file_was_lost_does_not_pass_for_all_that_there_is(
    stack: Stack, tmp_path: Path
) -> None:
    stack.add_integration("shop", payload_mode="xdm", dataset_starts_empty=True, mappings=MAPPINGS)
    await start(stack)
    await stack.publish([choice(LENA, "newsletter")])
    await wait_until(lambda: told(stack, "delivery.delivered") != [], "the first choice")
    slow = stack.sandbox.state.faults.inject(
        target="collection", kind="latency", latency_ms=2_000, times=1
    )
    await stack.publish([choice(LENA, "profiling")])
    await wait_until(slow.is_over, "a request that has come, and has no answer yet")
    _remove_state(tmp_path)
    await wait_until(lambda: len(told(stack, "delivery.delivered")) == 2, "its answer")
    await wait_until(lambda: told(stack, "ordering.state_lost") != [], "the alarm")
    await stack.publish([choice(LENA, "profiling", enabled=False)])
    kept = {"newsletter": True, "profiling": False}
    await wait_until(lambda: record(stack) == kept, "what was looked up goes along")


async def test_a_fleet_completes_by_redis(broker_url: str, namespace: str, redis_url: str) -> None:
    async with Stack(broker_url, namespace, STATE_URL=redis_url, LOG_LEVEL="debug") as stack:
        put_flow(stack, "xdm")
        acme = stack.sandbox.state.organization.schemas[SCHEMA]["properties"]["_acme"]
        acme["properties"]["profiling"] = {"type": "boolean"}
        stack.add_integration(
            "shop", payload_mode="auto", dataset_starts_empty=True, mappings=MAPPINGS
        )
        await start(stack)
        await start(stack)
        await stack.publish(
            [
                choice(one, purpose)
                for one in (LENA, EMIL)
                for purpose in ("newsletter", "profiling")
            ]
        )
        both = {"newsletter": True, "profiling": True}
        await wait_until(
            lambda: record(stack, LENA) == both and record(stack, EMIL) == both, "both", 60
        )
        assert {one["mode"] for one in told(stack, "inlet.known")} == {"xdm"}
        assert ORG in json.dumps(stack.messages("shop")[0][1])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"STATE_URL": "memory:"}, "set CONSENT_WORKER_STATE_URL to a file or to Redis"),
        ({"ORDERING_SECRET": ""}, "set CONSENT_WORKER_ORDERING_SECRET"),
    ],
)
async def test_validate_says_what_lacks(
    broker_url: str, namespace: str, tmp_path: Path, settings: dict[str, str], said: str
) -> None:
    own = {"STATE_URL": f"sqlite://{tmp_path}/state.sqlite"} | settings
    async with Stack(broker_url, namespace, **own) as stack:
        stack.add_integration("shop", payload_mode="xdm", dataset_starts_empty=True)
        code, _, err = await stack.command("integrations", "validate")
        assert code == 2
        assert "would erase the others" in err
        assert said in err
