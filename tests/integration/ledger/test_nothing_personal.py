"""What was planted in events, headers, files, settings and replies is in none of the evidence."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from typing import Any, Final

import orjson
import pytest

from devtools.stack import Stack, event
from devtools.waiting import wait_until
from tests.integration.receipts import bodies_in, receipts_in

MARK: Final = "PlantedText"
EMAIL: Final = f"{MARK}.lena@northwind.example"
NUMBER: Final = "49170555016"
_SETTINGS: Final = {
    "ORDERING_SECRET": f"{MARK}-ordering",
    "RECEIPTS_SECRET": f"{MARK}-receipts",
    "RECEIPTS_SECRET_PREVIOUS": f"{MARK}-before",
}
_REPLY: Final = {
    "type": f"https://{MARK}.example/{EMAIL}",
    "title": f"Invalid {MARK} of {EMAIL}",
    "status": 400,
    "detail": f"the value {NUMBER} of {EMAIL} is wrong",
    "report": {"message": f"DCVS-1106-400: required key [{EMAIL}] not found"},
}


def _events() -> list[bytes]:
    """A choice of a person in every place that has one, of every fate."""
    consents = {
        "purposes": [
            {
                "id": "newsletter",
                "enabled": False,
                "metadata": {"text": f"{MARK} purpose"},
                "values": {"topic": {"value": f"{MARK} topic {NUMBER}"}},
            }
        ]
    }
    whole: dict[str, Any] = {
        "consents": consents,
        "metadata": {"email": EMAIL, "phone": NUMBER, "note": MARK},
        "delegate": {"id": f"{MARK}-agent", "name": EMAIL, "metadata": {"desk": MARK}},
        "domain": f"{MARK}.example",
    }
    user: dict[str, Any] = {"organization_user_id": EMAIL, "id": f"{MARK}-device"}
    user["metadata"] = {"phone": NUMBER, "first_name": MARK}
    whole["user"] = user

    def said(organization: str, event_id: str, **changes: Any) -> dict[str, Any]:
        return event(organization, EMAIL, event_id=event_id) | changes

    documents = [
        # Older than the next, whose id is the one that the state keeps.
        said("org-shop", "ev-1", **whole, created_at="2026-01-01T00:00:00Z"),
        said("org-shop", f"1+{MARK} {NUMBER}", **whole),
        said("org-shop", f"{MARK}-{NUMBER}", user={"organization_user_id": f"{MARK}-no-address"}),
        said("org-held", "ev-2", **whole),
        said("org-locked", "ev-3", **whole),
        said("org-refused", "ev-4", **whole),
        said("org-failing", "ev-5", **whole),
        said(f"org of {EMAIL}", "ev-6"),
        said("org-shop", "ev-7", consents={"purposes": [{"id": EMAIL}, MARK]}),
        said("org-shop", "ev-8", created_at=EMAIL),
    ]
    return [json.dumps(one).encode() for one in documents] + [
        f"{EMAIL} is no JSON".encode(),
        json.dumps({"type": MARK, "parameters": {"entity": {"id": EMAIL}}}).encode(),
    ]


async def _said(stack: Stack) -> dict[str, str]:
    """All that anybody is shown, by where it is."""
    commands = (
        ("receipts", "tail", "--json"),
        ("receipts", "verify", "--json"),
        ("receipts", "export", "-"),
        ("receipts", "find", "--integration", "shop"),
        ("status", "--json"),
        ("dead-letters", "list", "--from-ledger", "--json"),
        ("dead-letters", "groups", "--json"),
    )
    found = {}
    for words in commands:
        code, out, err = await stack.command(*words)
        assert out, (words, code, err)
        found[" ".join(words)] = out + err
    code, out, err = await stack.command("receipts", "find", "--user", stdin=EMAIL.encode())
    assert "ev-1 at integration shop" in out, err
    found["receipts find --user"] = out + err
    return found


@pytest.mark.timeout(180)
async def test_nothing_planted_is_in_the_evidence(broker_url: str, namespace: str) -> None:
    async with Stack(
        broker_url, namespace, RECEIPTS="on", RETRY_BUDGET_SECONDS=3, LOG_LEVEL="debug", **_SETTINGS
    ) as stack:
        stack.override("STATE_URL", f"sqlite://{stack.path}/state.sqlite")
        stack.override("LEDGER_URL", f"sqlite://{stack.path}/ledger.sqlite")
        mappings = [
            {"id": "_acme.newsletter", "value": "consents_purposes_newsletter_enabled"},
            {"id": "_acme.topic", "value": "consents_purposes_newsletter_values_topic_value"},
            {"id": "_acme.note", "value": "metadata_note"},
        ]
        secrets = {"client_id": f"{MARK}-client", "client_secret": MARK, "api_key": f"{MARK}-key"}
        for name in ("shop", "refused", "failing"):
            stack.add_integration(name, mappings=mappings, authentication=secrets)
        stack.add_integration("held", paused=True, mappings=mappings)
        stack.add_integration("locked", mappings=mappings)
        faults = stack.sandbox.state.faults
        faults.inject(target="token", key="client-locked", kind="refuse-token")
        faults.inject(target="collection", key="refused", kind="status", status=400, body=_REPLY)
        faults.inject(target="collection", key="failing", kind="status", status=503, body=_REPLY)
        worker = stack.start_worker()
        ledger = stack.start_ledger()
        await stack.wait_until_consuming()
        headers = {"note": EMAIL, "consent-integration-of": MARK, "phone": NUMBER}
        await stack.publish(_events(), message_id=EMAIL, headers=headers, correlation_id=EMAIL)

        async def all_told() -> bool:
            told = {(one.integration, one.outcome) for one in await receipts_in(stack)}
            return told >= {
                ("shop", "delivered"),
                ("shop", "dead"),
                ("held", "parked"),
                ("locked", "parked"),
                ("refused", "dead"),
                ("failing", "dead"),
                ("", "dead"),
                ("", "skipped"),
            }

        await wait_until(all_told, "every fate", 60)
        sent = json.dumps([message for _, message in stack.messages("shop")])
        assert all(one in sent for one in (MARK, NUMBER, EMAIL)), "Adobe has what was planted"
        seen: dict[str, str | bytes] = {}
        seen |= {f"message {n}": one for n, one in enumerate(await bodies_in(stack))}
        _, seen["metrics"] = await stack.get("/metrics")
        _, seen["readyz"] = await stack.get("/readyz")
        code, out, err = await stack.command("ledger", "--letters")
        assert (code, "dead letters in the queue" in out) == (0, True), err
        seen |= await _said(stack)
        worker.send_signal(signal.SIGTERM)
        ledger.send_signal(signal.SIGTERM)
        for process in (worker, ledger):
            await asyncio.to_thread(process.wait, 20)
        seen["log"] = stack.log_text()
        for file in sorted([*stack.path.glob("ledger*"), *stack.path.glob("state.sqlite*")]):
            seen[file.name] = file.read_bytes()
        planted = [MARK, NUMBER, *stack.sandbox.state.tokens, "northwind.example"]
        _assert_in_none(planted, seen)


def _assert_in_none(planted: list[str], seen: dict[str, str | bytes]) -> None:
    """As it is, in JSON's spelling, and whatever the case is."""
    pattern = b"|".join(re.escape(form) for one in planted for form in _forms(one))
    for where, said in seen.items():
        found = re.search(pattern, said.encode() if isinstance(said, str) else said, re.IGNORECASE)
        assert found is None, f"{where}: {found and found[0]!r}"


def _forms(text: str) -> set[bytes]:
    return {text.encode(), orjson.dumps(text)[1:-1], text.encode().hex().encode()}
