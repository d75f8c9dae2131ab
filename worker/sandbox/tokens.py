"""The emulator's token endpoint.

Adobe Developer Console, "Server to Server authentication": four mandatory form fields; a
credential has at most two secrets, both valid; issuing a token cancels no earlier one.
"""

from __future__ import annotations

from aiohttp import web

from worker.sandbox.emulator_state import STATE
from worker.sandbox.fault_playback import INVALID_SECRET, meet_fault, reset_if_staged
from worker.sandbox.json_bodies import json_answer


async def issue_token(request: web.Request) -> web.Response:
    """POST /ims/token/v3. A client that is not registered may use any secret."""
    form = await request.post()
    client_id, secret = str(form.get("client_id", "")), str(form.get("client_secret", ""))
    met = await meet_fault(request, "token", {client_id})
    if isinstance(met, web.Response):
        return met
    state = request.app[STATE]
    if form.get("grant_type") != "client_credentials":
        return json_answer({"error": "unsupported_grant_type"}, 400)
    if not client_id:
        text = "invalid client_id parameter"
        return json_answer({"error": "invalid_client", "error_description": text}, 400)
    if not secret or secret not in state.credentials.get(client_id, [secret]):
        return json_answer(INVALID_SECRET, 400)
    if not form.get("scope"):
        return json_answer({"error": "invalid_scope", "error_description": "scope is missing"}, 400)
    token = state.issue_token()
    reset_if_staged(request, met)
    return json_answer(
        {
            "access_token": token,
            "token_type": "bearer",
            "expires_in": state.token_lifetime_seconds,
        }
    )
