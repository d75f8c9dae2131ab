"""The JSON Schema of an integration's file, by which editors complete and check it. Pure."""

from __future__ import annotations

from typing import Any, Final

from worker.integrations.model import Integration

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_REFERENCE: Final = {"type": "string", "minLength": 1}


def integration_schema() -> dict[str, Any]:
    """The schema of what the loader takes. It refuses less than the loader does: which parts fit
    together, and what a reference leads to, is beyond it.
    """
    schema = Integration.model_json_schema()
    schema["properties"]["$schema"] = {"type": "string", "description": "The URL of this schema."}
    schema["required"].remove("id")  # without one, the file's name is it
    for name, field in schema["$defs"]["Authentication"]["properties"].items():
        # What stands in the file may be a reference, for which the rules of its value do not hold.
        kept = {key: value for key, value in field.items() if key in ("title", "description")}
        is_optional = name == "second_client_secret"
        schema["$defs"]["Authentication"]["properties"][name] = kept | (
            {"anyOf": [_REFERENCE, {"type": "null"}]} if is_optional else _REFERENCE
        )
    return {"$schema": DIALECT, **schema, "title": "Integration of consent-worker"}
