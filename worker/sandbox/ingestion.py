"""The emulator's two endpoints of streaming ingestion: one message, and many.

Adobe Experience Platform, "Stream record data" and "Send multiple messages in a single request".
"""

from __future__ import annotations

import time
from typing import Any

import orjson
from aiohttp import web

from worker.sandbox.collection import (
    MAX_REQUEST_BYTES,
    UNKNOWN_FORMAT,
    Refusal,
    check_authorization,
    check_values,
    message_refusal,
    refusal_body,
    transaction_id,
)
from worker.sandbox.dataflows import accept_for_inlet, check_for_inlet, check_values_for_flow
from worker.sandbox.emulator_state import STATE
from worker.sandbox.fault_playback import meet_fault, reset_if_staged
from worker.sandbox.faults import Fault
from worker.sandbox.journal import flow_ids, named_flow_id
from worker.sandbox.json_bodies import json_answer, parsed_or_text


async def collect(request: web.Request) -> web.Response:
    """POST /collection/{inlet}: 200 says received, neither validated nor stored.

    With `syncValidation=true` the values are checked before the answer, and a record that is valid
    is stored ("Stream record data" reads it back).
    """
    state, inlet = request.app[STATE], request.match_info["inlet"]
    met = await _meet_fault(request, inlet)
    if isinstance(met, web.Response):
        return met
    validates = request.query.get("syncValidation") == "true"
    try:
        document = await _open(request, inlet)
        flow = check_for_inlet(state, inlet, named_flow_id(request), document)
        if validates and flow is not None:
            check_values_for_flow(state, flow, document)
        elif validates:
            check_values(inlet, document)
    except Refusal as refusal:
        return json_answer(refusal_body(refusal), refusal.status)
    answer: dict[str, Any] = {
        "inletId": inlet,
        "xactionId": accept_for_inlet(state, flow, inlet, document),
        "receivedTimeMs": int(time.time() * 1000),
    }
    if validates:
        answer["syncValidation"] = {"status": "pass"}
    reset_if_staged(request, met)
    return json_answer(answer)


async def collect_many(request: web.Request) -> web.Response:
    """POST /collection/batch/{inlet}: 207 even when all pass or all fail, an item per message
    in their order; the accepted ones are kept."""
    state, inlet = request.app[STATE], request.match_info["inlet"]
    met = await _meet_fault(request, inlet)
    if isinstance(met, web.Response):
        return met
    try:
        document = await _open(request, inlet)
        messages = document.get("messages") if isinstance(document, dict) else None
        if not isinstance(messages, list):
            raise message_refusal(inlet, None, UNKNOWN_FORMAT)
    except Refusal as refusal:
        return json_answer(refusal_body(refusal), refusal.status)
    responses: list[dict[str, Any]] = []
    for number, message in enumerate(messages):
        try:
            if isinstance(met, Fault) and met.kind == "partial" and number % 2:
                raise Refusal(met.status, "staged")
            flow = check_for_inlet(state, inlet, named_flow_id(request), message)
            responses.append({"xactionId": accept_for_inlet(state, flow, inlet, message)})
        except Refusal as refusal:
            responses.append({state.batch_status_key: refusal.status, "message": refusal.message})
    reset_if_staged(request, met)
    return json_answer(
        {
            "inletId": inlet,
            "batchId": transaction_id(),
            "receivedTimeMs": int(time.time() * 1000),
            "responses": responses,
        },
        207,
    )


async def _meet_fault(request: web.Request, inlet: str) -> web.Response | Fault | None:
    keys = {inlet}
    if request.app[STATE].faults.active():
        keys.update(flow_ids(request, parsed_or_text(await request.read())))
    return await meet_fault(request, "collection", keys)


async def _open(request: web.Request, inlet: str) -> Any:
    """What both endpoints check before they look at a message. Raises `Refusal`."""
    check_authorization(request.app[STATE], inlet, request.headers.get("Authorization"))
    if request.content_type != "application/json":
        raise Refusal(415, "Content-Type must be application/json")
    body = await request.read()
    if len(body) > MAX_REQUEST_BYTES:
        raise Refusal(413, "The request is larger than 1 MB")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise message_refusal(inlet, None, UNKNOWN_FORMAT) from None
