"""An organization's set-up as the emulator knows it: dataflows, datasets, schemas, and rights.

Given by one document, for which see docs/emulator.md. The shapes are those of Adobe's pages "Create
a streaming connection for the HTTP API", "Catalog Service API", "Schema Registry API".
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final, Literal, get_args

DataType = Literal["raw", "xdm"]
Right = Literal[
    "view-sources",
    "view-datasets",
    "view-schemas",
    "view-identity-namespaces",
    "view-profiles",
    "mapping-sets",
    "sandboxes",
]
"""Permissions of Adobe's page "Access control"; it names none for mapping sets and sandboxes."""

_RUN_MS: Final = 15 * 60_000
"""Adobe groups the runs of streaming dataflows by 15 minutes ("Monitor dataflows, Profile")."""
_MOST_RUNS: Final = 100
_STANDARD_NAMESPACES: Final = (
    (6, "Email", "EMAIL"),
    (11, "Email_LC_SHA256", "EMAIL"),
    (7, "Phone", "PHONE"),
    (4, "ECID", "COOKIE"),
)


@dataclass
class Dataflow:
    """A dataflow with its connections. What has a default need not be told.

    `authentication_required` None: the connection does not say it, as older ones. `inherits`: the
    flow repeats its connections' ids; `tells_schema`: its target connection has the schema.
    """

    id: str
    inlet: str
    dataset_id: str
    schema_id: str
    ims_org_id: str
    data_type: DataType = "raw"
    state: str = "enabled"
    sandbox: str = "prod"
    authentication_required: bool | None = True
    inlet_url: str = ""
    flow_spec: str = ""
    mappings: list[dict[str, Any]] = field(default_factory=list)
    mapping_version: int | str = 0
    inherits: bool = True
    tells_schema: bool = True


def _default_sandboxes() -> dict[str, dict[str, Any]]:
    return {"prod": {"name": "prod", "state": "active", "type": "production", "region": "VA7"}}


def _default_namespaces() -> dict[str, dict[str, Any]]:
    return {
        code: {"id": number, "code": code, "status": "ACTIVE", "idType": kind, "custom": False}
        for number, code, kind in _STANDARD_NAMESPACES
    }


@dataclass
class Organization:
    """An organization's set-up, by the ids that Adobe's APIs take. `refused`: right → status it is
    refused with.
    """

    dataflows: dict[str, Dataflow] = field(default_factory=dict)
    datasets: dict[str, dict[str, Any]] = field(default_factory=dict)
    schemas: dict[str, dict[str, Any]] = field(default_factory=dict)
    descriptors: list[dict[str, Any]] = field(default_factory=list)
    namespaces: dict[str, dict[str, Any]] = field(default_factory=_default_namespaces)
    sandboxes: dict[str, dict[str, Any]] = field(default_factory=_default_sandboxes)
    runs: dict[str, deque[dict[str, Any]]] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    knows_namespaces: bool = False
    """Whether a document has told namespaces, so that look-ups with others are refused."""

    def put(self, document: dict[str, Any]) -> None:
        """Add to the set-up what `document` tells, in place of what has the same id. Raises
        ValueError.
        """
        parts = ("dataflows", "schemas", "namespaces", "sandboxes", "descriptors")
        known = {*parts, "datasets", "runs", "refused"}
        if unknown := sorted(set(document) - known):
            raise ValueError(f"unknown: {', '.join(unknown)}; known: {', '.join(sorted(known))}")
        listed = {name: _objects(document, name) for name in parts}
        flows = [_dataflow(one) for one in listed["dataflows"]]
        refused = _refused(_object(document, "refused"))
        datasets, runs = _object(document, "datasets"), _object(document, "runs")
        self.dataflows |= {one.id: one for one in flows}
        self.datasets |= datasets
        self.schemas |= {_key(one, "$id"): one for one in listed["schemas"]}
        self.namespaces |= {_key(one, "code"): one for one in listed["namespaces"]}
        self.sandboxes |= {_key(one, "name"): one for one in listed["sandboxes"]}
        self.descriptors += listed["descriptors"]
        self.runs |= {flow: deque(of, maxlen=_MOST_RUNS) for flow, of in runs.items()}
        self.knows_namespaces = self.knows_namespaces or bool(listed["namespaces"])
        if "refused" in document:
            self.refused = refused

    def described(self) -> dict[str, Any]:
        """What the admin API shows of the set-up; a document for `put`."""
        return {
            "dataflows": [asdict(one) for one in self.dataflows.values()],
            "datasets": self.datasets,
            "schemas": list(self.schemas.values()),
            "descriptors": self.descriptors,
            "namespaces": list(self.namespaces.values()),
            "sandboxes": list(self.sandboxes.values()),
            "runs": {flow: list(runs) for flow, runs in self.runs.items()},
            "refused": self.refused,
        }

    def flow_of_inlet(self, inlet: str) -> Dataflow | None:
        return next((one for one in self.dataflows.values() if one.inlet == inlet), None)

    def primary_path(self, schema_id: str) -> list[str] | None:
        """The primary identity field, by the schema's descriptor."""
        for one in self.descriptors:
            is_primary = one.get("@type") == "xdm:descriptorIdentity" and one.get("xdm:isPrimary")
            if is_primary and one.get("xdm:sourceSchema") == schema_id:
                return str(one["xdm:sourceProperty"]).strip("/").split("/")
        return None

    def is_for_profile(self, flow: Dataflow) -> bool:
        """Whether Profile takes the flow's records: dataset and schema must be enabled for it."""
        tags = self.datasets.get(flow.dataset_id, {}).get("tags", {}).get("unifiedProfile", [])
        is_tagged = "enabled:true" in [str(one).replace(" ", "") for one in tags]
        return is_tagged and "union" in self.schemas.get(flow.schema_id, {}).get(
            "meta:immutableTags", []
        )

    def note_record(self, flow_id: str, problem: dict[str, Any] | None) -> None:
        """Count a record in the flow's run of now; `problem` is why it was dropped, None if not."""
        now_ms = int(time.time() * 1000)
        runs = self.runs.setdefault(flow_id, deque(maxlen=_MOST_RUNS))
        if not runs or now_ms - runs[-1]["createdAt"] >= _RUN_MS:
            runs.append(_new_run(flow_id, now_ms))
        metrics = runs[-1]["metrics"]
        summary = metrics["recordSummary"]
        summary["inputRecordCount"] += 1
        if problem is None:
            summary["createdRecordCount"] += 1
            return
        summary["failedRecordCount"] += 1
        summary["failedInfo"].append(problem)
        metrics["statusSummary"]["errors"].append(problem)


def _new_run(flow_id: str, now_ms: int) -> dict[str, Any]:
    return {
        "id": f"run-{flow_id}-{now_ms}",
        "flowId": flow_id,
        "createdAt": now_ms,
        "metrics": {
            "recordSummary": {
                "inputRecordCount": 0,
                "createdRecordCount": 0,
                "failedRecordCount": 0,
                "failedInfo": [],
            },
            "statusSummary": {"status": "success", "errors": []},
        },
    }


def _objects(document: dict[str, Any], name: str) -> list[dict[str, Any]]:
    listed = document.get(name, [])
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise ValueError(f"{name} must be a list of objects")
    return listed


def _object(document: dict[str, Any], name: str) -> dict[str, Any]:
    said = document.get(name, {})
    if not isinstance(said, dict):
        raise ValueError(f"{name} must be an object")
    return said


def _key(one: dict[str, Any], name: str) -> str:
    if not isinstance(one.get(name), str):
        raise ValueError(f"{name} must be text")
    return str(one[name])


def _dataflow(said: dict[str, Any]) -> Dataflow:
    try:
        flow = Dataflow(**said)
    except TypeError as error:
        names = ", ".join(one.name for one in fields(Dataflow))
        text = str(error).replace("Dataflow.__init__() ", "")
        raise ValueError(f"a dataflow: {text}; known: {names}") from None
    if flow.data_type not in get_args(DataType):
        raise ValueError(f"data_type must be one of {', '.join(get_args(DataType))}")
    return flow


def _refused(said: dict[str, Any]) -> dict[str, int]:
    for right, status in said.items():
        if right not in get_args(Right):
            raise ValueError(f"refused: must be some of {', '.join(get_args(Right))}")
        statuses = (401, 403, 404) if right == "view-sources" else (401, 403)
        if status not in statuses:
            raise ValueError(f"refused: the status of {right} must be one of {statuses}")
    return said
