"""What goes wrong at an integration's inlet, and limits that make its events wait."""

from __future__ import annotations

import random
from typing import Any

LATEST_MS = 3000
"""Of a request that is carried out late: within the lease of a worker that dies meanwhile."""
_ODD_REPLIES: tuple[Any, ...] = (
    {"responses": []},
    {"responses": [{"status": "odd"}, {"statusCode": 7}]},
    {"responses": "none"},
    "<html>",
)


def draw_limits(chance: random.Random) -> dict[str, Any]:
    """Limits of an integration that make its events wait for each other, or not."""
    return {
        "messages_per_request": chance.choice((1, 3, 200, 200)),
        "requests_in_flight": chance.choice((1, 1, 8)),
        "requests_per_second": chance.choice((None, 2, 5)),
        "events_held": chance.choice((2, 1000, 1000, 1000)),
        "profile_gap_seconds": chance.choice((0, 0.05, 0.5)),
    }


def draw_fault(chance: random.Random, targets: list[str], *, looks_up: bool) -> dict[str, Any]:
    """A fault of one of the inlets, or of the token or look-up of its integration."""
    target = chance.choice(targets)
    times = chance.choice((1, 1, 2, 3, 6))
    kind = chance.choice(
        ("away", "away", "refused", "set-up", "odd", "hang", "reset", "half", "slow")
        + ("late",) * 3
        + ("partial",) * 3
        + ("token", "look-up") * looks_up
        + ("token",)
    )
    fault: dict[str, Any] = {"target": "collection", "key": target, "times": times}
    match kind:
        case "away":
            status = chance.choice((500, 500, 503, 429, 404, 302))
            return fault | {
                "kind": "status",
                "status": status,
                "times": chance.choice((times, times, 40)),
                "retry_after": chance.choice((None, None, "1")),
            }
        case "refused":
            return fault | {"kind": "status", "status": chance.choice((400, 413, 422))}
        case "set-up":
            return fault | {"kind": "refuse-token"}
        case "odd":
            return fault | {"kind": "status", "status": 207, "body": chance.choice(_ODD_REPLIES)}
        case "hang":
            return fault | {"kind": "hang", "times": chance.randint(1, 2)}
        case "late":
            kind_of_answer = chance.choice(("status", "status", "hang", "reset"))
            applied_after_ms = chance.randint(100, LATEST_MS)
            how = {"kind": kind_of_answer, "status": chance.choice((502, 504))}
            return fault | how | {"applied_after_ms": applied_after_ms}
        case "reset":
            return fault | {"kind": "reset"}
        case "half":
            return fault | {"kind": "reset-after-processing"}
        case "slow":
            return fault | {"kind": "latency", "latency_ms": chance.randint(20, 1300)}
        case "partial":
            status = chance.choice((400, 429, 500, 503))
            return fault | {"kind": "partial", "times": 20, "status": status}
        case "token":
            kind_of_token = chance.choice(("status", "refuse-token", "reset"))
            key = f"client-{target}"
            return {"target": "token", "key": key, "kind": kind_of_token, "times": 1}
        case _:
            status = chance.choice((400, 403, 429, 503))
            key = f"key-{target}"
            return {"target": "lookup", "key": key, "kind": "status", "status": status, "times": 1}
