"""The commands, as an operator or a script calls them."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from pydantic import SecretStr
from yarl import URL

from devtools.stack import Stack, event
from devtools.waiting import wait_until
from worker.adobe.endpoints import INSECURE
from worker.broker.broker_access import BrokerAway, broker_connection
from worker.settings import WorkerSettings


@pytest.fixture
async def stack(broker_url: str, namespace: str) -> AsyncIterator[Stack]:
    async with Stack(broker_url, namespace) as running:
        running.add_integration("shop")
        yield running


async def test_explain_says_what_would_be_sent_and_masks_the_token(stack: Stack) -> None:
    body = json.dumps(event("org-shop", "lena@a.example")).encode()
    code, out, _ = await stack.command(
        "explain", "-", "--integration", "shop", "--json", stdin=body
    )
    explained = json.loads(out)
    assert code == 0
    assert explained["outcome"] == "deliver"
    assert explained["identity"] == {"email": "lena@a.example"}
    assert explained["attributes"] == {"_acme.newsletter": True}
    assert explained["unmatched"] == []
    assert explained["request"]["method"] == "POST"
    assert explained["request"]["headers"]["Authorization"] == "Bearer ***"
    assert explained["request"]["body"]["body"]["_acme"] == {"newsletter": True}
    assert "planted" not in out
    assert not stack.sandbox.state.requests, "nothing is sent"


@pytest.mark.parametrize(
    ("body", "outcome", "reason"),
    [
        (b"no json", "dead", "invalid-json"),
        (json.dumps(event("org-shop", "crm")).encode(), "dead", "no-identity"),
        (json.dumps(event("org-shop", "")).encode(), "skip", "guest"),
        (json.dumps(event("org-else", "a@b.example")).encode(), "skip", "no-integration"),
    ],
)
async def test_explain_of_what_is_not_delivered(
    stack: Stack, body: bytes, outcome: str, reason: str
) -> None:
    config = str(stack.integrations / "shop.json")
    code, out, _ = await stack.command("explain", "-", "--config", config, "--json", stdin=body)
    explained = json.loads(out)
    assert (code, explained["outcome"], explained["reason"]) == (0, outcome, reason)
    code, out, _ = await stack.command("explain", "-", "--config", config, stdin=body)
    assert f"reason: {reason}" in out


async def test_explain_says_that_a_look_up_would_decide(stack: Stack) -> None:
    stack.add_integration("press", upsert_mode=False)
    body = json.dumps(event("org-press", "lena@a.example")).encode()
    _, out, _ = await stack.command("explain", "-", "--integration", "press", stdin=body)
    assert "a profile look-up would decide" in out


async def test_integrations_are_listed_validated_and_checked(stack: Stack) -> None:
    assert (await stack.command("integrations", "validate"))[0] == 0
    _, out, _ = await stack.command("integrations", "list", "--json")
    assert json.loads(out)[0]["id"] == "shop"
    code, out, _ = await stack.command("integrations", "check", "shop")
    assert (code, out.count("shop  flow: can't be judged")) == (4, 1), "the emulator has no flow"
    stack.sandbox.state.faults.inject(target="token", kind="refuse-token")
    code, out, _ = await stack.command("integrations", "check")
    assert code == 1
    assert "shop  token: wrong" in out
    (stack.integrations / "bad.json").write_text("{")
    code, _, err = await stack.command("integrations", "validate")
    assert code == 2
    assert "bad.json" in err


async def test_wrong_settings_are_named(stack: Stack) -> None:
    stack.override("RETRY_BUDGET_SECONDS", "-1")
    code, _, err = await stack.command("topology", "show")
    assert code == 2
    assert "CONSENT_WORKER_RETRY_BUDGET_SECONDS" in err


async def test_a_broker_that_is_away_is_exit_code_three(stack: Stack) -> None:
    stack.amqp_url = "amqp://someone:hush@127.0.0.1:1/"
    code, _, err = await stack.command("topology", "declare")
    assert code == 3
    assert "hush" not in err


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda url: url.with_password("wr0ng"), "refuses the user or the password"),
        (lambda url: url.with_path("/nowhere"), "the virtual host is not there"),
        (lambda url: url.with_host("no-such-host.invalid"), "the name of the host is not known"),
    ],
)
async def test_a_wrong_address_of_the_broker_is_named(
    stack: Stack, broker_url: str, change: Callable[[URL], URL], text: str
) -> None:
    stack.amqp_url = str(change(URL(broker_url)))
    code, out, err = await stack.command("dead-letters", "list")
    assert (code, out) == (3, "")
    assert text in err
    assert "wr0ng" not in err


async def test_topology_is_shown_and_declared_twice(stack: Stack) -> None:
    _, out, _ = await stack.command("topology", "show", "--json")
    assert f"{stack.namespace}.dead-letters" in [one["name"] for one in json.loads(out)["queues"]]
    _, out, _ = await stack.command("topology", "show")
    assert f"queue    {stack.namespace}.dead-letters" in out
    assert f"exchange {stack.namespace}.retry (fanout)" in out
    assert f"binding  {stack.namespace}.retry -> {stack.namespace}.retries" in out
    for _ in range(2):
        code, _, err = await stack.command("topology", "declare")
        assert code == 0, err


async def test_dead_letters_are_exported_filtered_and_discarded(
    stack: Stack, tmp_path: Path
) -> None:
    stack.start_worker()
    await stack.wait_until_consuming()
    await stack.publish([b"\xff\xfe", json.dumps(event("org-shop", "crm")).encode()])
    await stack.wait_for_depth("dead-letters", 2)
    target = tmp_path / "letters.jsonl"
    code, out, _ = await stack.command("dead-letters", "export", str(target))
    assert (code, out) == (0, "exported 2 dead letters\n")
    exported = [json.loads(line) for line in target.read_text().splitlines()]
    assert {one.get("body_base64") for one in exported} == {"//4=", None}
    assert target.stat().st_mode & 0o077 == 0
    code, out, _ = await stack.command("dead-letters", "list", "--older-than", "1h")
    assert out == "0 dead letters\n"
    code, out, _ = await stack.command(
        "dead-letters", "discard", "--reason", "no-identity", "--yes", "--json"
    )
    assert json.loads(out) == {"discarded": 1, "matched": 1, "kept": 0, "dry_run": False}
    assert await stack.depth("dead-letters") == 1
    code, _, _ = await stack.command("dead-letters", "show", "nothing")
    assert code == 1


async def test_health_readiness_and_metrics(stack: Stack) -> None:
    stack.start_worker()
    await stack.wait_until_consuming()
    await stack.publish([json.dumps(event("org-shop", "lena@a.example")).encode()])
    await wait_until(lambda: stack.delivered("shop"), "the event")
    started = next(
        entry
        for line in stack.log_text().splitlines()
        if (entry := json.loads(line))["event"] == "worker.started"
    )
    base = f"http://127.0.0.1:{started['http_port']}"

    def get(path: str) -> str:
        with urllib.request.urlopen(base + path, timeout=5) as response:
            return str(response.read().decode())

    assert "ok" in get("/healthz")
    assert json.loads(get("/readyz")) == {"ready": True, "problems": [], "notes": [INSECURE]}
    metrics = get("/metrics")
    assert 'consent_outcomes_total{outcome="delivered",reason=""} 1.0' in metrics
    assert (
        'consent_integration_outcomes_total{integration="shop",outcome="delivered"} 1.0' in metrics
    )
    assert "lena" not in metrics


async def test_a_changed_integration_is_used_without_a_restart(stack: Stack) -> None:
    stack.start_worker()
    await stack.wait_until_consuming()
    stack.add_integration("late")
    await wait_until(lambda: "integrations.reloaded" in stack.log_text(), "the reload")
    await stack.publish([json.dumps(event("org-late", "lena@a.example")).encode()])
    await wait_until(lambda: stack.delivered("late"), "a delivery for the new integration")


async def _open_a_channel_of_what_has_ended(settings: WorkerSettings) -> None:
    async with broker_connection(settings, "test") as connection:
        await connection.close()
        await connection.channel()


async def test_who_opens_a_channel_when_the_connection_has_ended_hears_that(
    broker_url: str, namespace: str
) -> None:
    settings = WorkerSettings(amqp_url=SecretStr(broker_url), namespace=namespace)
    with pytest.raises(BrokerAway, match="the connection to RabbitMQ was lost"):
        await _open_a_channel_of_what_has_ended(settings)
