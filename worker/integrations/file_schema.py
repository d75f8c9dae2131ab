"""The JSON Schema of an integration's file, by which editors complete and check it."""

from __future__ import annotations

import ast
import inspect
from itertools import pairwise
from typing import Any, Final

from pydantic import BaseModel

from worker.integrations.attribute_mapping import Mapping
from worker.integrations.integration_fields import IntegrationFields
from worker.integrations.model import Integration
from worker.integrations.sections import Authentication, IdentityRule, Limits, Properties

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_REFERENCE: Final = {"type": "string", "minLength": 1}
_SECTIONS: Final = (Authentication, IdentityRule, Limits, Mapping, Properties)


def integration_schema() -> dict[str, Any]:
    """The JSON Schema of an integration's file. It refuses less than the loader does: which parts
    fit together, and what a reference leads to, is beyond it.
    """
    schema = Integration.model_json_schema()
    schema["required"].remove("id")  # without one, the file's name is it
    _describe(schema["properties"], IntegrationFields)
    for section in _SECTIONS:
        _describe(schema["$defs"][section.__name__]["properties"], section)
    _allow_references(schema["$defs"]["Authentication"]["properties"])
    schema["properties"]["$schema"] = {"type": "string", "description": "The URL of this schema."}
    return {"$schema": DIALECT, **schema, "title": "Integration of consent-worker"}


def _describe(properties: dict[str, Any], model: type[BaseModel]) -> None:
    """What an editor shows of a field is its docstring. Read from the source here, and not by
    pydantic, which would do so at every start of a worker.
    """
    (definition,) = ast.parse(inspect.getsource(model)).body
    assert isinstance(definition, ast.ClassDef)  # noqa: S101 - what the source of a class is
    for field, behind in pairwise(definition.body):
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        if isinstance(behind, ast.Expr) and isinstance(behind.value, ast.Constant):
            text = inspect.cleandoc(str(behind.value.value))
            properties[field.target.id]["description"] = " ".join(text.split())


def _allow_references(properties: dict[str, Any]) -> None:
    """What stands in the file may be a reference, for which the rules of its value do not hold."""
    for name, field in properties.items():
        kept = {key: value for key, value in field.items() if key in ("title", "description")}
        is_optional = name == "second_client_secret"
        properties[name] = kept | (
            {"anyOf": [_REFERENCE, {"type": "null"}]} if is_optional else _REFERENCE
        )
