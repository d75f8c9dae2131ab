"""Acts out the faults that are staged: what a call meets before it is handled, and requests that
are carried out after they were answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Set as AbstractSet
from typing import Any

from aiohttp import web

from worker.sandbox.collection import Refusal, refusal_body
from worker.sandbox.dataflows import accept_for_inlet, check_for_inlet
from worker.sandbox.emulator_state import STATE, SandboxState
from worker.sandbox.faults import Fault, FaultTarget
from worker.sandbox.journal import named_flow_id
from worker.sandbox.json_bodies import json_answer, parsed_or_text


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


INVALID_SECRET = {
    "error": "invalid_client",
    "error_description": "invalid client_secret parameter",
}
INVALID_TOKEN = {"error_code": "401013", "message": "Oauth token is not valid"}
"""What Adobe's API gateway says with 401; see the page "Platform troubleshooting guide"."""


async def meet_fault(
    request: web.Request, target: FaultTarget, keys: AbstractSet[str]
) -> web.Response | Fault | None:
    """The response to send instead, the fault that leaves the call to its handler, or None."""
    fault = request.app[STATE].faults.take(target, keys)
    if fault is None:
        return None
    applied_after_ms = fault.applied_after_ms if target == "collection" else None
    if applied_after_ms is not None:
        document = parsed_or_text(await request.read())
        inlet, seconds = request.match_info["inlet"], applied_after_ms / 1000
        take_in_later(request.app[STATE], inlet, named_flow_id(request), document, seconds)
    if fault.latency_ms:
        await asyncio.sleep(fault.latency_ms / 1000)
    match fault.kind:
        case "status":
            headers = {"Retry-After": str(fault.retry_after)} if fault.retry_after else {}
            if isinstance(fault.body, str):
                return web.Response(text=fault.body, status=fault.status, headers=headers)
            return json_answer({} if fault.body is None else fault.body, fault.status, headers)
        case "hang":
            await fault.released.wait()
        case "reset":
            reset(request)
            return web.Response()  # for nobody: the connection is gone
        case "refuse-token":
            return _refused_token(target)
        case _:
            pass
    return fault if applied_after_ms is None else json_answer({}, 504)


def _refused_token(target: FaultTarget) -> web.Response:
    match target:
        case "token":
            return json_answer(INVALID_SECRET, 400)
        case "collection":
            return json_answer(refusal_body(Refusal(403, "Ims service token is invalid")), 403)
        case _:
            return json_answer(INVALID_TOKEN, 401)


def reset(request: web.Request) -> None:
    """Drop the client's connection without a word."""
    if request.transport is not None:
        request.transport.abort()


def reset_if_staged(request: web.Request, met: Fault | None) -> None:
    """Drop the connection if the fault is `reset-after-processing`: the work is done, and the
    client does not get to know.
    """
    if met is not None and met.kind == "reset-after-processing":
        reset(request)
