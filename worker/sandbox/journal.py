"""Writes down every request that is not about the emulator itself, with what was answered."""

from __future__ import annotations

import time
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from worker.sandbox.emulator_state import STATE
from worker.sandbox.json_bodies import parsed_or_text

_NOT_WRITTEN_DOWN = ("/admin", "/healthz")
_MASKED_HEADERS = frozenset({"authorization", "x-api-key"})
_MASK = "***"


@web.middleware
async def journal(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Write a request down first, so that one which never gets an answer is kept too.

    `status` stays null for a call that was cut off or never answered.
    """
    if request.path.startswith(_NOT_WRITTEN_DOWN):
        return await handler(request)
    holds_secrets = request.path.startswith("/ims")
    body = parsed_or_text(await request.read())
    entry: dict[str, Any] = {
        "received_at": int(time.time() * 1000),
        "method": request.method,
        "path": request.path,
        "query": dict(request.query),
        "headers": {
            str(name): _MASK if name.lower() in _MASKED_HEADERS else value
            for name, value in request.headers.items()
        },
        "inlet": request.match_info.get("inlet"),
        "flow_id": next(iter(flow_ids(request, body)), None),
        "body": _MASK if holds_secrets else body,
        "status": None,
    }
    request.app[STATE].requests.append(entry)
    with request.app[STATE].counted(_organization(request, body)):
        response = await handler(request)
    if request.transport is not None and not request.transport.is_closing():
        entry["status"] = response.status
    return response


def named_flow_id(request: web.Request) -> str | None:
    """The flow id outside of the message: the header, or the query parameter of the same name.

    Adobe Experience Platform, "Create a streaming connection for the HTTP API".
    """
    return request.headers.get("x-adobe-flow-id") or request.query.get("x-adobe-flow-id")


def _organization(request: web.Request, body: Any) -> str:
    """Adobe's organization by the look-up's header or the first message; "" where none is said."""
    many = body.get("messages") if isinstance(body, dict) else None
    message = many[0] if isinstance(many, list) and many else body
    header = message.get("header") if isinstance(message, dict) else None
    said = header.get("imsOrgId") if isinstance(header, dict) else None
    return str(said or request.headers.get("x-gw-ims-org-id", ""))


def flow_ids(request: web.Request, body: Any) -> list[str]:
    """Every flow id that a call names, the one outside of the messages first."""
    found = [named_flow_id(request)]
    if isinstance(body, dict):
        many = body.get("messages")
        for message in many if isinstance(many, list) else [body]:
            header = message.get("header") if isinstance(message, dict) else None
            found.append(header.get("flowId") if isinstance(header, dict) else None)
    return [one for one in found if isinstance(one, str) and one]
