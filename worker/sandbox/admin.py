"""The emulator's own API: seed, register, stage faults, and read what came in. Not Adobe's."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler

from worker.sandbox.emulator_state import BATCH_STATUS_KEYS, NOT_FOUND_FORMS, STATE, Profile
from worker.sandbox.json_bodies import json_answer

MAX_SECRETS: Final = 2
"""Adobe Developer Console: a credential has at most two secrets at the same time."""


def admin_routes() -> list[web.RouteDef]:
    """All routes of the emulator's own API, below /admin."""
    return [
        web.get("/healthz", _health),
        web.get("/admin/profiles", _list_profiles),
        web.put("/admin/profiles", _seed_profile),
        web.put("/admin/credentials/{client_id}", _set_credential),
        web.put("/admin/inlets/{inlet}", _set_inlet),
        web.get("/admin/set-up", _show_set_up),
        web.put("/admin/set-up", _put_set_up),
        web.put("/admin/settings", _set_settings),
        web.get("/admin/tokens", _count_tokens),
        web.post("/admin/tokens/revoke", _revoke_tokens),
        web.get("/admin/requests", _list_requests),
        web.delete("/admin/requests", _clear_requests),
        web.get("/admin/failures", _list_failures),
        web.get("/admin/faults", _list_faults),
        web.post("/admin/faults", _inject_fault),
        web.delete("/admin/faults", _clear_faults),
        web.delete("/admin/faults/{fault_id}", _clear_faults),
    ]


@web.middleware
async def explain_mistakes(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A document that an admin call cannot use is answered with 400 and the reason."""
    if not request.path.startswith("/admin"):
        return await handler(request)
    try:
        return await handler(request)
    except ValueError as error:
        return json_answer({"error": str(error)}, 400)


async def _document(request: web.Request) -> dict[str, Any]:
    document = orjson.loads(await request.read())
    if not isinstance(document, dict):
        raise ValueError("a JSON object is expected")
    return document


async def _health(_request: web.Request) -> web.Response:
    return json_answer({"status": "ok"})


async def _list_profiles(request: web.Request) -> web.Response:
    return json_answer([asdict(one) for one in request.app[STATE].profiles.values()])


async def _seed_profile(request: web.Request) -> web.Response:
    try:
        profile = Profile(**await _document(request))
    except TypeError:
        raise ValueError("dataset_id, identity and record are expected") from None
    if not isinstance(profile.dataset_id, str) or not isinstance(profile.identity, str):
        raise ValueError("dataset_id and identity must be text")
    if not isinstance(profile.record, dict):
        raise ValueError("record must be an object")
    request.app[STATE].profiles[(profile.dataset_id, profile.identity)] = profile
    return json_answer(asdict(profile))


async def _set_credential(request: web.Request) -> web.Response:
    secrets = (await _document(request)).get("secrets")
    if not isinstance(secrets, list) or not 0 < len(secrets) <= MAX_SECRETS:
        raise ValueError("secrets must be a list of one or two")
    request.app[STATE].credentials[request.match_info["client_id"]] = secrets
    return json_answer({})


async def _set_inlet(request: web.Request) -> web.Response:
    document = await _document(request)
    request.app[STATE].inlets[request.match_info["inlet"]] = document
    return json_answer(document)


async def _show_set_up(request: web.Request) -> web.Response:
    return json_answer(request.app[STATE].organization.described())


async def _put_set_up(request: web.Request) -> web.Response:
    organization = request.app[STATE].organization
    organization.put(await _document(request))
    return json_answer(organization.described())


async def _set_settings(request: web.Request) -> web.Response:
    document, state = await _document(request), request.app[STATE]
    not_found = document.get("not_found", state.not_found)
    key = document.get("batch_status_key", state.batch_status_key)
    lifetime = document.get("token_lifetime_seconds", state.token_lifetime_seconds)
    if not_found not in NOT_FOUND_FORMS:
        raise ValueError(f"not_found must be one of {', '.join(NOT_FOUND_FORMS)}")
    if key not in BATCH_STATUS_KEYS:
        raise ValueError(f"batch_status_key must be one of {', '.join(BATCH_STATUS_KEYS)}")
    if not isinstance(lifetime, int):
        raise ValueError("token_lifetime_seconds must be a whole number")
    state.not_found, state.batch_status_key = not_found, key
    state.token_lifetime_seconds = lifetime
    return json_answer({})


async def _count_tokens(request: web.Request) -> web.Response:
    return json_answer({"issued": request.app[STATE].tokens_issued})


async def _revoke_tokens(request: web.Request) -> web.Response:
    request.app[STATE].tokens.clear()
    return json_answer({})


async def _list_requests(request: web.Request) -> web.Response:
    inlet = request.query.get("inlet")
    entries = request.app[STATE].requests
    return json_answer([one for one in entries if inlet is None or one["inlet"] == inlet])


async def _clear_requests(request: web.Request) -> web.Response:
    request.app[STATE].requests.clear()
    return json_answer({})


async def _list_failures(request: web.Request) -> web.Response:
    return json_answer(request.app[STATE].failures)


async def _list_faults(request: web.Request) -> web.Response:
    return json_answer([one.described() for one in request.app[STATE].faults.active()])


async def _inject_fault(request: web.Request) -> web.Response:
    fault = request.app[STATE].faults.inject(**await _document(request))
    return json_answer(fault.described(), 201)


async def _clear_faults(request: web.Request) -> web.Response:
    request.app[STATE].clear_faults(request.match_info.get("fault_id"))
    return json_answer({})
