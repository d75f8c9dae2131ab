"""An afternoon for the pages: the shop's Adobe is out, and travel's secret is refused."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from devtools.made_receipts import MadeWorker, made_now_ms, receipt, state
from tests.unit.console.console_parts import lane, write_integration
from tests.unit.ledger.ledger_file import LedgerFile
from worker.evidence.receipt import Receipt

_MINUTE_MS = 60_000


def stage(home: Path, ledger: LedgerFile) -> Callable[[], None]:
    """Files and receipts of the last hour. What it gives lets the worker tell of itself once more,
    as it does every few seconds.
    """
    now = made_now_ms()
    chance = random.Random(3)
    for name in ("shop", "travel", "museum"):
        write_integration(home, name, organization_id=f"org-{name}")
    (home / "integrations/telecom.json").write_text('{"id": "telecom"}')
    worker = MadeWorker("worker-5d7c9-2kx8p:1")
    ledger.take(worker.begin())
    for minute in range(60, -1, -1):
        at = now - minute * _MINUTE_MS
        some = [_museum(at, chance) for _ in range(6)]
        some += [_shop(at, minute, chance) for _ in range(8)]
        some += [_travel(at, minute) for _ in range(2)]
        ledger.take(worker.receipts(some))
    lanes = [
        lane(since=now - 11 * _MINUTE_MS, held=96),
        lane(
            "travel",
            state="blocked",
            error="token-refused",
            words="invalid_client: invalid client secret parameter",
            since=now - 22 * _MINUTE_MS,
            held=0,
        ),
        lane("museum", state="well", error="", words=""),
    ]
    told: dict[str, Any] = {"lanes": lanes, "cpu_percent": 34, "started_at": now - 525_600_000}

    def tell() -> None:
        # What was parked first is parked again and again, in bundles and without a receipt.
        parked_again = {"travel": made_now_ms() + 41_000}
        row = state(taken=1000, settled=904, parked_again=parked_again, **told)
        ledger.take(worker.state(row))

    tell()
    return tell


def _choice(chance: random.Random) -> Any:
    return "withdrawn" if chance.random() < 0.2 else "given"


def _museum(at: int, chance: random.Random) -> Receipt:
    lag = int(300 + chance.expovariate(1 / 900))
    outcome: Any = {"integration": "museum", "choice": _choice(chance)}
    if chance.random() < 0.1:
        outcome |= {"outcome": "skipped", "reason": "nothing-mapped", "status": None}
    return receipt(at=at, event_at=at - lag, organization="org-museum", **outcome)


def _shop(at: int, minute: int, chance: random.Random) -> Receipt:
    if minute > 11:
        return receipt(at=at, event_at=at - 1_100, choice=_choice(chance), organization="org-shop")
    return receipt(
        at=at,
        event_at=at - 300_000,
        choice=_choice(chance),
        outcome="dead",
        reason="retries-exhausted",
        status=503,
        xaction=None,
        attempt=6,
    )


def _travel(at: int, minute: int) -> Receipt:
    if minute > 22:
        return receipt(at=at, event_at=at - 900, integration="travel", organization="org-travel")
    return receipt(
        at=at,
        event_at=at - 500,
        integration="travel",
        organization="org-travel",
        choice="withdrawn",
        outcome="parked",
        reason="blocked",
        due_at=at + 41_000,
        status=400,
        xaction=None,
        attempt=0,
    )
