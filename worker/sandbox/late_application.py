"""Requests that are carried out after they were answered, or given up by who asked."""

from __future__ import annotations

import asyncio
from typing import Any

from worker.sandbox.collection import Refusal
from worker.sandbox.dataflows import accept_for_inlet, check_for_inlet
from worker.sandbox.emulator_state import SandboxState


def take_in_later(
    state: SandboxState, inlet: str, flow_id: str | None, document: Any, seconds: float
) -> None:
    """Take the messages of a request in after so long, whatever becomes of its line meanwhile. What
    is refused then is left out, and nobody is told.
    """
    many = document.get("messages") if isinstance(document, dict) else None
    messages = many if isinstance(many, list) else [document]
    loop = asyncio.get_running_loop()
    loop.call_later(seconds, _take_in, state, inlet, flow_id, messages)


def _take_in(state: SandboxState, inlet: str, flow_id: str | None, messages: list[Any]) -> None:
    for message in messages:
        try:
            flow = check_for_inlet(state, inlet, flow_id, message)
            accept_for_inlet(state, flow, inlet, message)
        except Refusal:
            continue
