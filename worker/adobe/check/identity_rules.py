"""Judges whether records reach the right person: primary identity, namespace, look-up. Pure.

Adobe's pages "Descriptors endpoint" (primary identity), "Identity namespaces", "Basics of schema
composition" (identityMap), "Entities endpoint" (look-up).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from worker.adobe.check.customer_setup import SetUp, at, objects_at, shown_name, text_at
from worker.adobe.check.mapping_rules import MAPPING_SETS
from worker.adobe.check.mapping_set import rules_of
from worker.adobe.check.platform_reads import Found, not_judged
from worker.adobe.check.report_lines import Line, ok, unclear, wrong
from worker.adobe.check.resolved_schema import node_at
from worker.adobe.check.target_rules import SCHEMAS
from worker.adobe.replies import NoProfile, Permanent, Retryable
from worker.integrations.model import Integration
from worker.integrations.sections import IdentityRule, UserIdentifier
from worker.reasons import ErrorCode

NAMESPACES = "View Identity Namespaces"
PROFILES = "View Profiles"


@dataclass(frozen=True, slots=True)
class Primary:
    """The schema's primary identity: a dotted path, and the namespace's code ("" if not known)."""

    path: str
    namespace: str


def judge_identities(integration: Integration, found: SetUp) -> Iterator[Line]:
    """The check's lines for identities: for each identifier, and each namespace that is in use."""
    if not isinstance(found.descriptors, Found):
        for identifier, _ in integration.identity_rules:
            yield not_judged("identity", found.descriptors, SCHEMAS, identifier)
        primary = None
    else:
        primary = primary_of(found)
        for identifier, rule in integration.identity_rules:
            yield _identity(integration, identifier, rule, primary, found)
    for code in _namespaces_in_use(integration, primary, found):
        yield _namespace(code, found)


def primary_of(found: SetUp) -> Primary | None:
    """The schema's primary identity field; None where it has none."""
    if not isinstance(found.descriptors, Found):
        return None
    document = found.descriptors.document
    listed = objects_at(document, "results") or objects_at(document, "xdm:descriptorIdentity")
    for one in listed:
        is_identity = at(one, "@type") == "xdm:descriptorIdentity"
        if is_identity and at(one, "xdm:isPrimary") is True:
            path = text_at(one, "xdm:sourceProperty").strip("/").replace("/", ".")
            namespace = text_at(one, "xdm:namespace")
            if text_at(one, "xdm:property") == "xdm:id":
                namespace = _code_of(namespace, found)
            return Primary(path, namespace)
    return None


def _code_of(namespace_id: str, found: SetUp) -> str:
    for one in _namespaces(found):
        if text_at(one, "id") == namespace_id:
            return text_at(one, "code")
    return ""


def _namespaces(found: SetUp) -> list[dict[str, object]]:
    return objects_at(found.namespaces.document) if isinstance(found.namespaces, Found) else []


def _identity(
    integration: Integration,
    identifier: UserIdentifier,
    rule: IdentityRule,
    primary: Primary | None,
    found: SetUp,
) -> Line:
    if rule.location == "identity-map":
        return _in_map(identifier, primary, found)
    if primary is None:
        has_map = _has_identity_map(found)
        if has_map is None:
            return not_judged("identity", found.schema, SCHEMAS, identifier)
        text = "the schema has no primary identity field; mark one at Adobe"
        if has_map:
            text += f', or set identities.{identifier}.location to "identity-map"'
        return wrong("identity", text, identifier)
    return _in_field(integration, identifier, rule, primary, found)


def _in_map(identifier: UserIdentifier, primary: Primary | None, found: SetUp) -> Line:
    if primary is not None:
        path = shown_name(primary.path)
        text = f'the primary identity is the field {path}; set location to "field", path to {path}'
        return wrong("identity", f"identities.{identifier}: {text}", identifier)
    has_map = _has_identity_map(found)
    if has_map is None:
        return not_judged("identity", found.schema, SCHEMAS, identifier)
    if not has_map:
        return wrong("identity", "the schema has no identityMap; add it at Adobe", identifier)
    _, line = _written_path("identityMap", identifier, found)
    return line or ok("identity", "goes into the schema's identityMap", identifier)


def _has_identity_map(found: SetUp) -> bool | None:
    if not isinstance(found.schema, Found):
        return None
    return at(found.schema.document, "properties", "identityMap") is not None


def _in_field(
    integration: Integration,
    identifier: UserIdentifier,
    rule: IdentityRule,
    primary: Primary,
    found: SetUp,
) -> Line:
    path = rule.path or ""
    setting = f"identities.{identifier}"
    written, line = _written_path(path, identifier, found)
    if line is not None:
        return line
    if written != primary.path:
        text = f"goes to {shown_name(written)}, but the primary identity is the field"
        change = f"set {setting}.path" if found.inlet_kind != "raw" else "mend the mapping set"
        return wrong("identity", f"{text} {shown_name(primary.path)}; {change}", identifier)
    if not _is_text(found, primary.path):
        text = f"{shown_name(written)} is no text in the schema, as an identity must be"
        return wrong("identity", f"{text}; mark another field as primary identity", identifier)
    if _counts(integration, identifier, found) and primary.namespace != rule.namespace:
        if not primary.namespace:
            return not_judged("identity", found.namespaces, NAMESPACES, identifier)
        text = f"the primary identity's namespace is {shown_name(primary.namespace)}"
        return wrong("identity", f"{text}; set {setting}.namespace", identifier)
    return ok("identity", f"goes to the primary identity {shown_name(written)}", identifier)


def _is_text(found: SetUp, path: str) -> bool:
    """Whether the field may be an identity, as far as the schema could be read."""
    node = node_at(found.schema.document, path) if isinstance(found.schema, Found) else None
    return not isinstance(node, dict) or node.get("type") in (None, "string")


def _written_path(path: str, identifier: str, found: SetUp) -> tuple[str, Line | None]:
    """Where the identity ends in the schema; or the line that says why that is not known."""
    if found.inlet_kind != "raw":
        return path, None
    if not isinstance(found.mapping_set, Found):
        return path, not_judged("identity", found.mapping_set, MAPPING_SETS, identifier)
    rules = rules_of(found.mapping_set.document)
    reached = [goes for rule in rules if (goes := rule.reaches(path))]
    if reached:
        return reached[0], None
    if any(not rule.is_plain and not rule.sources for rule in rules):
        text = f"no plain field of the mapping set reads {path}; look at the calculated ones"
        return path, unclear("identity", text, identifier)
    text = f"the dataflow's mapping set does not read {path}; map it to the primary identity"
    return path, wrong("identity", text, identifier)


def _counts(integration: Integration, identifier: UserIdentifier, found: SetUp) -> bool:
    """Whether the namespace of an identifier has any effect, or somebody wrote one down."""
    own = integration.identities.get(identifier)
    return found.needs_look_ups(integration) or (own is not None and own.namespace is not None)


def _namespaces_in_use(
    integration: Integration, primary: Primary | None, found: SetUp
) -> list[str]:
    codes = {primary.namespace} if primary is not None else set()
    for identifier, rule in integration.identity_rules:
        if rule.location == "identity-map" or _counts(integration, identifier, found):
            codes.add(rule.namespace or "")
    return sorted(codes - {""})


def _namespace(code: str, found: SetUp) -> Line:
    if not isinstance(found.namespaces, Found):
        return not_judged("namespace", found.namespaces, NAMESPACES, shown_name(code))
    of = shown_name(code)
    listed = {text_at(one, "code"): one for one in _namespaces(found)}
    if code in listed:
        status = text_at(listed[code], "status")
        if status in ("", "ACTIVE"):
            return ok("namespace", "exists and is active", of)
        return wrong("namespace", f"is {shown_name(status)}; activate it at Adobe", of)
    text = "there is no such identity namespace"
    other = next((one for one in listed if one.casefold() == code.casefold()), None)
    if other is not None:
        text += f"; did you mean {shown_name(other)}?"
    return wrong("namespace", f"{text}; mend identities.<identifier>.namespace", of)


def judge_look_ups(integration: Integration, found: SetUp) -> Iterator[Line]:
    """The look-up that deliveries need, asked for somebody who does not exist."""
    if not found.needs_look_ups(integration):
        return
    if not found.look_ups:
        yield unclear("look-up", "could not be asked: no identifier takes an invented address")
    for one in found.look_ups:
        match one.reply:
            case NoProfile():
                text = "is permitted, and knows nobody of an invented id"
                yield ok("look-up", text, one.identifier)
            case None:
                text = "Adobe claims to know an invented id, so everybody would be found"
                change = "mend merge_policy_id, or CONSENT_WORKER_PLATFORM_URL"
                yield wrong("look-up", f"{text}; {change}", one.identifier)
            case Permanent(_, detail, _, _) | Retryable(ErrorCode.LOOKUP_REJECTED, detail, _, _):
                text = f"mend identities.{one.identifier}.namespace, or merge_policy_id"
                yield wrong("look-up", f"{text}; {detail}", one.identifier)
            case Retryable(ErrorCode.LOOKUP_REFUSED | ErrorCode.ADOBE_REFUSED, detail, _, _):
                text = f"grant the credential's role {PROFILES!r}"
                yield unclear("look-up", f"{text}; {detail}", one.identifier)
            case Retryable(_, detail, _, _):
                yield unclear("look-up", f"no usable answer of Adobe's; {detail}", one.identifier)
            case _:
                yield unclear("look-up", "no usable answer of Adobe's", one.identifier)
