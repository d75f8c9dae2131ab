"""What every call of the emulated platform meets before its service: gateway, faults, rights.

The refusals of the gateway: "Experience Platform troubleshooting guide". Those of Flow Service for
want of a permission: "Flow Service errors" and "Access control labels". What the other services say
then is in no page, so they answer a bare 403.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Final

from aiohttp import web

from worker.sandbox.customer_organization import Right
from worker.sandbox.emulator_state import STATE, SandboxState
from worker.sandbox.fault_playback import INVALID_TOKEN, meet_fault, reset_if_staged
from worker.sandbox.faults import Fault
from worker.sandbox.json_bodies import json_answer

_PROBLEMS: Final = "https://ns.adobe.com/aep/errors/"
Handler = Callable[[web.Request], Awaitable[web.Response]]


def guarded(right: Right) -> Callable[[Handler], Handler]:
    """A handler that answers only who has a token and `right`."""

    def decorate(handler: Handler) -> Handler:
        @wraps(handler)
        async def answer(request: web.Request) -> web.Response:
            state = request.app[STATE]
            keys = {request.headers.get("x-gw-ims-org-id", ""), request.path, right}
            met = await meet_fault(request, "platform", keys)
            if isinstance(met, web.Response):
                return met
            refusal = refused_by_gateway(state, request) or _refused_by_right(state, right)
            response = refusal or await handler(request)
            reset_if_staged(request, met if isinstance(met, Fault) else None)
            return response

        return answer

    return decorate


def problem(code: str, title: str, status: int, detail: str) -> web.Response:
    """An error in the problem form of Adobe's services."""
    return json_answer(
        {
            "type": f"{_PROBLEMS}{code}",
            "title": title,
            "status": status,
            "report": {"detailed-message": detail},
            "detail": detail,
        },
        status,
    )


def refused_by_gateway(state: SandboxState, request: web.Request) -> web.Response | None:
    """The gateway's refusal of a call without valid credentials."""
    token = request.headers.get("Authorization", "").removeprefix("Bearer").strip()
    if not token:
        return json_answer({"error_code": "403010", "message": "Oauth token is missing"}, 403)
    if not state.token_is_valid(token):
        return json_answer(INVALID_TOKEN, 401)
    if not request.headers.get("x-api-key"):
        return json_answer({"error_code": "403000", "message": "Api Key is required"}, 403)
    if not request.headers.get("x-gw-ims-org-id"):
        return json_answer({"error_code": "403027", "message": "Region is missing"}, 403)
    return None


def _refused_by_right(state: SandboxState, right: Right) -> web.Response | None:
    status = state.organization.refused.get(right)
    if status is None:
        return None
    if right != "view-sources":
        return json_answer({}, status)
    if status == 404:
        text = "The requested flows resource is not found."
        return problem("FLOW-1439-404", "Resource not found", 404, text)
    text = "The permissions are not sufficient. Please contact the administrator."
    return problem(f"FLOW-2120-{status}", "Forbidden", status, text)


def sandbox_of(request: web.Request) -> str:
    """The sandbox that a call names; without a name Adobe takes the default one."""
    return request.headers.get("x-sandbox-name", "prod")
