"""What Adobe has of a person, read by the paths that an integration writes. Pure.

Adobe Experience Platform, "Entities endpoint (Profile Access)".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

import orjson

from worker.adobe.profile_lookup import lookup_params
from worker.integrations.model import Integration
from worker.integrations.xdm_paths import PERSON
from worker.transform.decision_types import Identity

MOST_BYTES: Final = 1_048_576
_MOST_CHARACTERS: Final = 2_000
"""Of the list of fields; a longer one might not fit what a gateway takes for a URL, so the whole
record is asked for."""


def record_params(
    integration: Integration, identity: Identity, paths: Collection[str]
) -> dict[str, str]:
    """The query of the profile look-up for what stands at `paths`."""
    params = lookup_params(integration, identity)
    fields = params["fields"].split(",") + [_asked(path) for path in paths]
    said = ",".join(dict.fromkeys(fields))
    if len(said) <= _MOST_CHARACTERS and "" not in fields:
        return params | {"fields": said}
    del params["fields"]
    return params


def values_in(body: bytes, identity: Identity, paths: Collection[str]) -> dict[str, Any]:
    """What stands at `paths` of a profile, in an answer that has an entity; nothing of what is null
    or empty.
    """
    document = orjson.loads(body)
    entities = [one.get("entity") for one in document.values() if isinstance(one, dict)]
    found: dict[str, Any] = {}
    for entity in entities:
        for path in paths:
            value = _value_at(entity, path, identity.value)
            if value is not None and value not in ("", [], {}):
                found[path] = value
    return found


def _asked(path: str) -> str:
    """Up to where the person stands in it: a key of a map is no name of a field."""
    steps = path.split(".")
    return ".".join(steps[: steps.index(PERSON)] if PERSON in steps else steps)


def _value_at(entity: Any, path: str, person: str) -> Any:
    for step in path.split("."):
        if not isinstance(entity, Mapping):
            return None
        entity = entity.get(person if step == PERSON else step)
    return entity
