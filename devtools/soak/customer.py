"""A customer of the soak: what its integration maps, on which kind of inlet, and its set-up.

The records are those of docs/mappings.md and Didomi's documents; nothing here is the worker's.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

Kind = Literal["raw-events", "raw-snapshots", "xdm-snapshots", "xdm-events"]
"""The kind of inlet (raw: merges; XDM-compatible: replaces the record), and what is taken there."""
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

ADOBE_ORGANIZATION: Final = "ABC@AdobeOrg"
SCHEMA: Final = "https://ns.adobe.com/acme/schemas/soak"
ATTRIBUTES: Final = ("news", "offers", "topics", "country")
PREFERENCE: Final = "topics"
"""The one of the attributes that is a V2 preference."""
_VALUES: Final = {
    "news": "consents_purposes_news_enabled",
    "offers": "consents_purposes_offers_enabled",
    "topics": "consents_purposes_interests_values_topics_value",
    "country": "country",
}
_PATHS: Final = ("personalEmail.address", *(f"_acme.{one}" for one in ATTRIBUTES))
_TIMES: Final = ("_acme.offersSince", "_acme.asOf")


@dataclass(frozen=True)
class Customer:
    """`empty`: what an emptied preference becomes, None where its mapping does not say it.
    `absent`: attribute → what it becomes when a newer snapshot does not name it any more.
    """

    kind: Kind
    empty: str | None
    absent: dict[str, Any]

    @property
    def takes_snapshots(self) -> bool:
        return self.kind.endswith("snapshots")

    @property
    def replaces_record(self) -> bool:
        """Whether a message replaces the whole record at Adobe."""
        return self.kind.startswith("xdm")

    @classmethod
    def draw(cls, chance: random.Random, kind: Kind) -> Customer:
        """One of this kind, as its options may be."""
        empty = chance.choice((None, "none"))
        absent: dict[str, Any] = {"news": False, "offers": {"val": "u"}, "topics": "gone"}
        if chance.random() < 0.5:
            absent["country"] = "unknown"
        match kind:
            case "raw-events" | "xdm-events":
                absent = {}
            case "raw-snapshots":
                if empty is not None and chance.random() < 0.5:
                    del absent["topics"]
            case "xdm-snapshots":
                absent = {name: said for name, said in absent.items() if chance.random() < 0.3}
        return cls(kind, empty, absent)

    def integration(self) -> dict[str, Any]:
        """What its integration says beside identity, credentials and limits."""
        entries: dict[str, dict[str, Any]] = {
            name: {"id": f"_acme.{name}", "value": value} for name, value in _VALUES.items()
        }
        entries["offers"] |= {"format": "consent-val", "time_path": "_acme.offersSince"}
        if self.empty is not None:
            entries[PREFERENCE]["empty"] = self.empty
        for name, said in self.absent.items():
            entries[name]["absent"] = said
        return {
            "mappings": list(entries.values()),
            "upsert_mode": True,
            "payload_mode": "xdm" if self.replaces_record else "upsert",
            "events": "user" if self.takes_snapshots else "event",
            "event_time_path": "_acme.asOf",
            "dataset_starts_empty": self.replaces_record and not self.takes_snapshots,
        }

    def set_up(self, inlet: str) -> dict[str, Any]:
        """Its dataflow and dataset at the emulator, see docs/emulator.md; both have the inlet's
        name.
        """
        flow: dict[str, Any] = {
            "id": f"flow-{inlet}",
            "inlet": inlet,
            "data_type": "xdm" if self.replaces_record else "raw",
            "ims_org_id": ADOBE_ORGANIZATION,
            "dataset_id": inlet,
            "schema_id": SCHEMA,
        }
        if not self.replaces_record:
            read = (*_PATHS, *_TIMES)
            flow["mappings"] = [{"source": one, "destination": one} for one in read]
        return {"dataflows": [flow], "datasets": {inlet: _DATASET}}

    def __str__(self) -> str:
        return f"{self.kind} with empty {self.empty!r} and absent {self.absent}"


_DATASET: Final = {
    "name": "Soak",
    "imsOrg": ADOBE_ORGANIZATION,
    "schemaRef": {"id": SCHEMA, "contentType": "application/vnd.adobe.xed-full+json;version=1"},
    "tags": {"unifiedProfile": ["enabled:true"], "unifiedIdentity": ["enabled:true"]},
}
_TEXT: Final = {"type": "string"}
SHARED_SET_UP: Final[dict[str, Any]] = {
    "schemas": [
        {
            "$id": SCHEMA,
            "type": "object",
            "meta:class": "https://ns.adobe.com/xdm/context/profile",
            "meta:immutableTags": ["union"],
            "meta:tenantNamespace": "_acme",
            "properties": {
                "personalEmail": {"type": "object", "properties": {"address": _TEXT}},
                "_acme": {
                    "type": "object",
                    "properties": {
                        "news": {"type": "boolean"},
                        "offers": {
                            "type": "object",
                            "properties": {"val": {"type": "string", "enum": ["y", "n", "u"]}},
                            "required": ["val"],
                        },
                        "topics": _TEXT,
                        "country": _TEXT,
                        "offersSince": _TEXT | {"format": "date-time"},
                        "asOf": _TEXT | {"format": "date-time"},
                    },
                },
            },
        }
    ],
    "descriptors": [
        {
            "@type": "xdm:descriptorIdentity",
            "xdm:sourceSchema": SCHEMA,
            "xdm:sourceProperty": "/personalEmail/address",
            "xdm:namespace": "Email",
            "xdm:property": "xdm:code",
            "xdm:isPrimary": True,
        }
    ],
}
"""The schema of all customers."""
