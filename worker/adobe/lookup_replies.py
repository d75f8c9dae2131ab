"""Replies of the profile look-up, each classified once. Pure.

Status codes and bodies: Adobe's page "Entities endpoint (Profile Access)" in Experience Platform's
documentation, and the specification profile of AdobeDocs/experience-platform-apis.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from worker.adobe.failed_replies import MESSAGES_OWN_FAULT, asked_wait, failed, parsed
from worker.adobe.harmless_text import shown_words
from worker.adobe.replies import NoProfile, Permanent, Reply, Retryable
from worker.reasons import ErrorCode

_PROBLEM_TYPES: Final = ("http://ns.adobe.com/", "https://ns.adobe.com/")


def classify_lookup(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    key: bytes = b"",
    *,
    instead: str = "set upsert_mode to true",
) -> Reply | None:
    """The reply of the profile look-up; None means that the contact exists.

    "Not found" comes in three forms in Adobe's documents: 404 with `{"statusCode": "404"}`, `{}`,
    and an empty `entity`. A 404 or 200 that looks otherwise is somebody else's: that of a common
    gateway has the number 404 and a text beside it.

    `instead` says what else an operator can do where the look-up is refused. `key` is that of the
    fingerprints of what Adobe said.
    """
    document = parsed(body)
    if 200 <= status < 300 or status == 404:
        return _found(status, document)
    if status == 403:
        return Retryable(
            ErrorCode.LOOKUP_REFUSED,
            "the profile look-up was refused (it is licensed with Real-Time CDP Ultimate, and the "
            f"credential needs a role for it); grant it or {instead}. "
            + shown_words(status, document, key),
            status,
            asked_wait(headers, document),
        )
    if status in MESSAGES_OWN_FAULT:
        # 422 is said of a missing merge policy or of a graph with too many identities: settings.
        kind = Retryable if status == 422 else Permanent
        return kind(ErrorCode.LOOKUP_REJECTED, shown_words(status, document, key), status)
    return failed(status, headers, document, key, changes=False)


def _found(status: int, document: Any) -> NoProfile | Retryable | None:
    if isinstance(document, dict):
        if status == 404 and _is_adobes_not_found(document):
            return NoProfile()
        entities = [
            one.get("entity") if isinstance(one, dict) else None for one in document.values()
        ]
        if status == 200 and all(isinstance(one, dict) for one in entities):
            return None if any(entities) else NoProfile()
    return Retryable(
        ErrorCode.ADOBE_UNREADABLE, "the look-up's answer is not one of Adobe's", status
    )


def _is_adobes_not_found(document: dict[str, Any]) -> bool:
    if document.get("statusCode") == "404" or document == {"statusCode": 404}:
        return True
    # Adobe's problem form, common to its services: its `type` is a URL of Adobe's.
    said = document.get("type")
    is_adobes = isinstance(said, str) and said.startswith(_PROBLEM_TYPES)
    return is_adobes and str(document.get("status")) == "404"
