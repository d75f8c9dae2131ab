"""Files of integrations. Each is an integration that works, or sentences that say what is wrong."""

from __future__ import annotations

from pathlib import Path
from random import Random
from tempfile import TemporaryFile
from typing import IO, Any, Final

import orjson

from devtools.fuzz.target import Target
from devtools.fuzz.targets.events import NOW_MS, all_mapped
from devtools.fuzz.values import PERSON, Raw, below, json_bytes, pick, text
from worker.adobe.endpoints import EndpointPolicy
from worker.adobe.streaming import build_request, takes_batches
from worker.integrations.loading import is_usable_id, read_file
from worker.integrations.model import Integration
from worker.integrations.secret_references import SecretSource
from worker.transform.identity import possible_identities
from worker.transform.xdm_message import build_record, encode_message

_POLICY: Final = EndpointPolicy(("dcs.adobedc.net", "*.adobedc.net"))
_HIDDEN: Final = "hush-hush-hush"
_SECRETS: Final = SecretSource({"A": _HIDDEN, "EMPTY": ""}, directories=(".",))
_NAMES: Final = (
    *Integration.model_fields,
    *("client_id", "client_secret", "api_key", "second_client_secret", "scopes", "schema_id"),
    *("dataflow_endpoint", "dataflow_id", "dataset_id", "user_identifier", "value", "format"),
    *("path", "namespace", "location", "normalisation", "messages_per_request", "email", "paused_"),
)
_PATHS: Final = (
    *("_acme.news", "_acme", "_acme.news.val", "a..b", ".a", " a", "identityMap.x", "_id"),
    *("personalEmail.address", "personalEmail", "__proto__", "a." * 70 + "a", "İ.ß", "a\x00b"),
)
_SOURCES: Final = (
    *("consents_purposes_news_enabled", "consents_purposes__enabled", "metadata_tier", "country"),
    *("consents_purposes_a_b_values_c_d_value", "metadata_", "consents_channel_s_enabled", "x"),
)
_REFERENCES: Final = (
    *("${A}", "${EMPTY}", "${CONSENT_WORKER_AMQP_URL}", "x${A}y${A}", "${", "file:", "file:/etc"),
    *(
        "file:.",
        "file:\x00",
        "file:nowhere",
        "file:../../etc/hostname",
        _HIDDEN,
        "a b " + _HIDDEN,
        "",
    ),
)
_ENDPOINTS: Final = (
    *("https://dcs.adobedc.net/collection/1", "http://dcs.adobedc.net/", "https://[::1]/x"),
    *("https://a.adobedc.net:443/collection/x", "https://dcs.adobedc.net@evil.example/", "x"),
    "https://dcs.adobedc.net:99999/",
)


class _File:
    """One file without a name in any directory, which each case overwrites."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None

    def with_content(self, content: bytes) -> Path:
        if self._file is None:
            self._file = TemporaryFile()  # noqa: SIM115 - goes with the process
        file = self._file
        file.seek(0)
        file.truncate()
        file.write(content)
        file.flush()
        file.seek(0)
        return Path(f"/dev/fd/{file.fileno()}")


_FILE: Final = _File()


def make(r: Random) -> bytes:
    """A file."""
    changes: dict[str, Any] = {}
    for _ in range(below(r, 5)):
        changes |= _change(r)
    document = all_mapped(**changes)
    document["mappings"] = [_mapping(r) for _ in range(_count(r))]
    if r.random() < 0.4:
        document["properties"]["dataflow_endpoint"] = pick(r, _ENDPOINTS)
        document["authentication"]["client_secret"] = pick(r, _REFERENCES)
    if r.random() < 0.002:
        document["regulations"] = Raw("[" + ",".join(["1"] * pick(r, (1000, 9_000, 30_000))) + "]")
    if r.random() < 0.002:
        document |= {f"x{number}": 1 for number in range(pick(r, (1000, 9_000, 30_000)))}
    return json_bytes(r, document, 0.008, _NAMES)


def _change(r: Random) -> dict[str, Any]:
    identifiers = pick(r, (["email"], ["id"], ["email", "id"], "personID"))
    rule = {
        "path": pick(r, (None, *_PATHS)),
        "namespace": pick(r, (None, "Email", text(r, 50))),
        "location": pick(r, ("field", "identity-map")),
        "normalisation": pick(r, ("trim", "lower", "sha256")),
    }
    rule = {name: value for name, value in rule.items() if r.random() < 0.6}
    properties = all_mapped()["properties"]
    return pick(
        r,
        (
            {"events": "user", "payload_mode": "xdm"},
            {"payload_mode": "xdm"},
            {"upsert_mode": False},
            {"event_time_path": pick(r, _PATHS)},
            {"identities": {pick(r, ("email", "id", "personID")): rule}},
            {"properties": properties | {"user_identifier": identifiers}},
            {"limits": {"messages_per_request": pick(r, (0, 1, 200, 1001, 1.0))}},
            {"id": pick(r, ("shop", "", "a b", "x" * 129, "shop\n", PERSON))},
            {"regulations": pick(r, ([], ["gdpr"], [text(r)]))},
            {"sandbox_name": text(r), "source_name": text(r)},
            {"authenticated": False, "paused": True, "identity_dataset_id": "d"},
        ),
    )


def _mapping(r: Random) -> dict[str, Any]:
    path = pick(r, _PATHS) if r.random() < 0.3 else f"_acme.m{below(r, 10_000)}"
    value = pick(r, _SOURCES) if r.random() < 0.9 else text(r)
    mapping: dict[str, Any] = {"id": path, "value": value}
    if r.random() < 0.2:
        mapping["format"] = pick(r, ("as-is", "consent-val"))
    if r.random() < 0.1:
        mapping[pick(r, ("empty", "absent"))] = pick(r, ("none", False, {"val": "n"}, ""))
    return mapping


def _count(r: Random) -> int:
    return pick(r, (200, 1000, 1001, 3000)) if r.random() < 0.002 else 1 + below(r, 3)


def check(content: bytes) -> None:
    """See the module."""
    read = read_file(_FILE.with_content(content), _SECRETS, _POLICY.problem)
    if read.problem is not None:
        told = str(read.problem)
        assert "can't be understood" not in told, told
        assert _HIDDEN not in told, "a secret is quoted"
        assert told.isprintable() or "\n" in told
        named = read.problem.integration_id
        assert named is None or is_usable_id(named)
    else:
        assert read.integration is not None
        _check_works(read.integration)


def _check_works(integration: Integration) -> None:
    assert integration.id
    assert integration.content_digest
    assert _HIDDEN not in repr(integration), "a secret is quoted"
    values = (True, "gold")
    attributes = {one.id: values[index % 2] for index, one in enumerate(integration.mappings)}
    messages = []
    for identity in possible_identities(integration, "lena@northwind.example"):
        record = build_record(integration, attributes, identity, NOW_MS)
        messages.append(encode_message(integration, record))
        assert orjson.loads(messages[-1])["header"]
    if takes_batches(integration):
        request = build_request(integration, messages * 2)
        assert all(name.isprintable() for name in request.headers.values())


TARGETS: Final = (Target("files", make, check, share=8),)
