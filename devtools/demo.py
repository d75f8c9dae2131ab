"""`make demo`: the main job end to end, on a real RabbitMQ and the emulator of Adobe."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter

from rich.console import Console
from rich.table import Table

from devtools.broker import RunningBroker, running_broker
from devtools.native_rabbitmq import BrokerUnavailable
from devtools.stack import Stack, event
from devtools.waiting import wait_until

BUDGET = 10
console = Console()


def _outcomes(stack: Stack) -> Counter[tuple[str, str, str]]:
    """Outcomes that the worker has logged: integration, outcome, reason."""
    counted: Counter[tuple[str, str, str]] = Counter()
    for line in stack.log_text().splitlines():
        entry = json.loads(line)
        kind, _, outcome = entry["event"].partition(".")
        if kind == "delivery":
            integration = entry["integration"] or "(none)"
            counted[(integration, outcome, entry.get("reason", ""))] += 1
    return counted


async def _show(broker: RunningBroker) -> None:
    async with Stack(broker.url, "demo", RETRY_BUDGET=BUDGET, LOG_LEVEL="debug") as stack:
        stack.add_integration("shop")
        stack.add_integration("press", upsert_mode=False)
        console.print(f"[bold]RabbitMQ[/] ({broker.kind}), the emulator of Adobe, and one worker")
        stack.start_worker()
        await stack.wait_until_consuming()

        console.print("\n[bold]1.[/] Events of every sort are published")
        events = [
            event("org-shop", f"person-{i}@shop.example", enabled=i % 3 > 0) for i in range(12)
        ]
        events += [
            event("org-shop", "silent@shop.example", enabled=None),
            event("org-shop", "waiting@shop.example", status="pending_approval"),
            event("org-shop", "crm-4711"),
            event("org-press", "stranger@press.example"),
            event("org-unknown", "somebody@example.com"),
        ]
        await stack.publish([*(json.dumps(one).encode() for one in events), b"not json"])
        await wait_until(lambda: sum(_outcomes(stack).values()) >= len(events) + 1, "the outcomes")

        console.print(
            f"[bold]2.[/] Adobe is away for 3 s (the retry budget is {BUDGET} s here, not 300 s)"
        )
        faults = stack.sandbox.state.faults
        faults.inject(target="collection", key="shop", kind="status", status=503, seconds=3)
        await stack.publish([json.dumps(event("org-shop", "patient@shop.example")).encode()])
        await wait_until(lambda: "patient@shop.example" in stack.delivered("shop"), "the retry")
        console.print("   delivered after the outage")

        console.print("[bold]3.[/] Adobe stays away for longer than the budget")
        faults.inject(target="collection", key="shop", kind="status", status=503)
        before = await stack.depth("dead-letters")
        await stack.publish([json.dumps(event("org-shop", "late@shop.example")).encode()])
        await stack.wait_for_depth("dead-letters", before + 1, BUDGET * 3)
        _, listed, _ = await stack.command("dead-letters", "list")
        console.print("   $ consent-worker dead-letters list")
        console.print(listed, style="dim", end="")

        console.print("[bold]4.[/] Adobe is back; an operator replays")
        faults.clear()
        _, said, _ = await stack.command("dead-letters", "replay", "--reason", "retries-exhausted")
        console.print(
            f"   $ consent-worker dead-letters replay --reason retries-exhausted: {said}", end=""
        )
        await wait_until(lambda: "late@shop.example" in stack.delivered("shop"), "the replay")

        table = Table("integration", "outcome", "reason", "count", title="\nSummary")
        for (integration, outcome, reason), count in sorted(_outcomes(stack).items()):
            table.add_row(integration, outcome, reason, str(count))
        console.print(table)
        profiles = Table("identity", "record at Adobe", title="Final profiles")
        for profile in stack.sandbox.state.profiles.values():
            profiles.add_row(profile.identity, json.dumps(profile.record.get("_acme")))
        console.print(profiles)


def main() -> int:
    """0 when everything was shown; 1 with a sentence when something is missing."""
    try:
        with running_broker() as broker:
            asyncio.run(_show(broker))
    except (BrokerUnavailable, AssertionError) as error:
        console.print(f"[red]demo failed:[/] {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
