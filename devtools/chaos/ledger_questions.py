"""What the commands of operators say about a ledger's evidence after a run."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any, Final

from devtools.stack import Stack

_PATIENCE_SECONDS: Final = 150.0
"""After so long a ledger has read all, and takes a silent worker for one that has ended."""


async def conservation(stack: Stack) -> dict[str, Any]:
    """What `status` says of conservation once the ledger has read what is written by now and
    nothing is missing, or after a while. Raises RuntimeError where it does not read.
    """
    now_ms, deadline = time.time() * 1000, time.monotonic() + _PATIENCE_SECONDS
    while True:
        _, out, said = await stack.command("status", "--json")
        told: dict[str, Any] = json.loads(out) if out else {"ledger": None}
        is_read = told["ledger"] is not None and told["ledger"]["read_to"] > now_ms
        is_late = time.monotonic() > deadline
        if is_read and (told["conservation"]["adds_up"] or is_late):
            found: dict[str, Any] = told["conservation"]
            return found
        if is_late:
            raise RuntimeError(f"after {_PATIENCE_SECONDS:g} s the ledger has not read all: {said}")
        await asyncio.sleep(1)


async def manipulations(stack: Stack) -> list[str]:
    """Those that the verification of the stream finds, or why it found no end."""
    code, out, said = await stack.command("receipts", "verify", "--json")
    if code == 0:
        return []
    findings = json.loads(out)["findings"] if out else []
    found = [f"receipts verify: {one}" for one in findings if one["manipulation"]]
    return found or [f"receipts verify ended with {code}: {said}"]
