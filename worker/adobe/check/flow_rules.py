"""Judges the flow, its inlet and its latest runs: does what is sent arrive there at all? Pure.

Adobe's pages "Monitor dataflows" and "Flow Service errors". Whether Adobe lists the runs of
streaming flows, and what merges look like in them, is in no page.

Adobe's page "Create a streaming connection for the HTTP API".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from yarl import URL

from worker.adobe.check.customer_setup import SetUp, at, objects_at, shown_name, text_at
from worker.adobe.check.platform_reads import Found, NotAsked, NotFound, not_judged
from worker.adobe.check.report_lines import CheckName, Line, ok, unclear, wrong
from worker.adobe.profile_lookup import sandbox_of
from worker.integrations.model import Integration, WrittenMode
from worker.integrations.told_mode import UnfitMode, in_mode

RECENT_SECONDS: Final = 86_400
"""What failed before that may have been mended since, and lies in the runs for ever."""
_CODE: Final = re.compile(r"[A-Z]{3,10}-\d{3,5}(?:-\d{3})?")
_MOST_CODES: Final = 5


def judge_runs(found: SetUp) -> Line:
    """Whether a run of the last 24 hours failed, or lost records."""
    if not isinstance(found.runs, Found):
        return not_judged("runs", found.runs, SOURCES)
    since = found.now_ms - RECENT_SECONDS * 1000
    recent = [one for one in objects_at(found.runs.document, "items") if _is_since(one, since)]
    failed = [one for one in recent if _lost(one) or _status(one) == "failed"]
    if not failed:
        if not recent:
            return ok("runs", "none is listed of the last 24 hours")
        return ok("runs", f"none of the last {len(recent)} failed, or lost records")
    lost = sum(_lost(one) for one in failed)
    codes = sorted({code for one in failed for code in _codes(one)})[:_MOST_CODES]
    said = f" ({', '.join(codes)})" if codes else ""
    text = f"{len(failed)} of the last {len(recent)} runs failed or lost records, {lost} in all"
    return wrong("runs", f"{text}{said}; see the dataflow's runs at Adobe")


def _is_since(run: dict[str, Any], since_ms: int) -> bool:
    created = at(run, "createdAt")
    return not isinstance(created, int | float) or created >= since_ms


def _lost(run: dict[str, Any]) -> int:
    count = at(run, "metrics", "recordSummary", "failedRecordCount")
    return int(count) if isinstance(count, int | float) and 0 < count < 1e15 else 0


def _status(run: dict[str, Any]) -> str:
    return text_at(run, "metrics", "statusSummary", "status").lower()


def _codes(run: dict[str, Any]) -> list[str]:
    """Codes of a known shape alone: the texts beside them may quote a record."""
    said = objects_at(run, "metrics", "statusSummary", "errors")
    said += objects_at(run, "metrics", "recordSummary", "failedInfo")
    return [code for one in said if _CODE.fullmatch(code := text_at(one, "code"))]


SOURCES: str = "View Sources"


def judge_sandbox(integration: Integration, found: SetUp) -> Line:
    """Whether the configured sandbox exists and is in use. Adobe lists those that the credential's
    role holds (its page "Available sandboxes"), so one that is not listed may exist all the same.
    """
    if not isinstance(found.sandboxes, Found):
        return not_judged("sandbox", found.sandboxes, "any permission of its product profile")
    name = sandbox_of(integration)
    sandboxes = objects_at(found.sandboxes.document, "sandboxes")
    if not sandboxes:
        return unclear("sandbox", "no sandbox is listed; give the credential a role with one")
    own = next((one for one in sandboxes if one.get("name") == name), None)
    if own is None:
        return _unlisted_sandbox(name, sandboxes)
    state = text_at(own, "state")
    if not state:
        return unclear("sandbox", f"the sandbox {name!r} does not tell its state")
    if state != "active":
        return wrong("sandbox", f"the sandbox {name!r} is {shown_name(state)}, not active")
    if text_at(own, "type") == "development":
        return ok("sandbox", f"{name} is active (a development sandbox, with 10 % of the capacity)")
    return ok("sandbox", f"{name} is active")


def _unlisted_sandbox(name: str, sandboxes: list[dict[str, Any]]) -> Line:
    for one in sandboxes:
        if name.casefold() in (text_at(one, "name").casefold(), text_at(one, "title").casefold()):
            meant = shown_name(text_at(one, "name"))
            text = f"sandbox_name {name!r} is a title, or differs in case; set it to {meant}"
            return wrong("sandbox", text)
    names = ", ".join(sorted(shown_name(text_at(one, "name")) for one in sandboxes)[:10])
    text = f"Adobe shows the credential no sandbox {name!r}: give its role that sandbox, or mend "
    return unclear("sandbox", f"{text}sandbox_name; it is shown {names}")


def judge_flow(integration: Integration, found: SetUp) -> Iterator[Line]:
    """Whether the flow exists, is enabled, and belongs to the configured organization."""
    flow_id = integration.properties.dataflow_id
    if not isinstance(found.flow, Found):
        if found.flow_of_inlet:
            other = shown_name(found.flow_of_inlet)
            text = f"dataflow_id {flow_id} is not found; the endpoint belongs to the flow {other}"
            yield wrong("flow", text)
        elif isinstance(found.flow, NotFound):
            # Adobe says the same of an id that does not exist and of a flow that is not shown.
            text = f"Adobe shows no flow {flow_id}: the credential's role lacks {SOURCES!r} or the "
            text += f"flow's access label, or dataflow_id is mistaken; {found.flow.detail}"
            yield unclear("flow", text)
        else:
            yield not_judged("flow", found.flow, SOURCES)
        yield not_judged("organization", NotAsked("the flow"), SOURCES)
        return
    flow = found.flow.document
    state = text_at(flow, "state")
    if state == "enabled":
        yield ok("flow", f"{flow_id} exists and is enabled")
    elif not state:
        yield unclear("flow", f"{flow_id} exists, and does not tell its state")
    else:
        yield wrong("flow", f"{flow_id} is {shown_name(state)}; enable the dataflow at Adobe")
    configured = integration.properties.organization_id
    organization = text_at(flow, "imsOrgId")
    if not organization:
        yield unclear("organization", "the flow does not say whose it is")
    elif organization == configured:
        yield ok("organization", "the flow is the configured organization's")
    else:
        text = f"the flow belongs to {shown_name(organization)}; set properties.organization_id"
        yield wrong("organization", text)


def judge_inlet(integration: Integration, found: SetUp) -> Iterator[Line]:
    """Whether the flow's inlet is the configured endpoint, of the configured kind."""
    if not isinstance(found.connection, Found):
        checks: tuple[CheckName, ...] = ("inlet", "payload-mode", "authentication")
        for check in checks:
            yield not_judged(check, found.connection, SOURCES)
        return
    parameters = at(found.connection.document, "auth", "params")
    yield _endpoint(integration, text_at(parameters, "inletUrl"))
    yield _mode(integration, found)
    yield _authentication(integration, at(parameters, "authenticationRequired"))


def _endpoint(integration: Integration, url: str) -> Line:
    if not url:
        return unclear("inlet", "the flow's connection tells no endpoint")
    if same_endpoint(url, integration.properties.dataflow_endpoint):
        return ok("inlet", "the flow's endpoint is the configured one")
    shown = shown_name(url.partition("?")[0])  # a query may hold a key
    return wrong("inlet", f"the flow's endpoint is {shown}; set properties.dataflow_endpoint")


def same_endpoint(one: str, other: str) -> bool:
    """Whether two URLs lead to the same inlet: the batch endpoint is that of the single one."""
    return _endpoint_key(one) == _endpoint_key(other)


def _endpoint_key(url: str) -> tuple[str, int | None, str]:
    try:
        parsed = URL(url)
        path = parsed.path.rstrip("/").replace("/collection/batch/", "/collection/", 1)
        return parsed.host or "", parsed.port, path
    except ValueError:
        return "", None, url


def _mode(integration: Integration, found: SetUp) -> Line:
    mode = integration.payload_mode
    kind = found.inlet_kind
    if kind is None:
        return unclear("payload-mode", "the flow does not tell whether its inlet is raw")
    is_called = "raw" if kind == "raw" else "XDM-compatible"
    if mode == "auto":
        return _found_by_auto(integration, "upsert" if kind == "raw" else "xdm", is_called)
    if (mode == "xdm") == (kind == "xdm"):
        return ok("payload-mode", f"the inlet is {is_called}, as {mode} needs it")
    needed = "xdm" if kind == "xdm" else "upsert"
    text = f'the inlet is {is_called}; set payload_mode to "{needed}"'
    if kind == "xdm":
        text += ", or make a dataflow with XDM compatible switched off"
    return wrong("payload-mode", text)


def _found_by_auto(integration: Integration, mode: WrittenMode, is_called: str) -> Line:
    """It is judged as if the file said it."""
    try:
        in_mode(integration, mode)
    except UnfitMode as unfit:
        return wrong("payload-mode", f"auto finds that the inlet is {is_called}, and so: {unfit}")
    return ok("payload-mode", f"auto finds that the inlet is {is_called}")


def _authentication(integration: Integration, required: object) -> Line:
    if required is None and integration.authenticated:
        # Older connections don't say; then none is wanted, as far as is known, and one is ignored.
        return ok("authentication", "the inlet does not say; a token does no harm")
    if bool(required) == integration.authenticated:
        wants = "wants a token" if required else "wants no token"
        return ok("authentication", f"the inlet {wants}, as configured")
    if required:
        return wrong("authentication", "the inlet wants a token; set authenticated to true")
    text = "the inlet wants no token; set authenticated to false, or switch authentication on there"
    return wrong("authentication", text)
