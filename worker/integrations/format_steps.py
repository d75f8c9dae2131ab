"""How a mapping writes a value: the steps of its `format`, and which may follow which."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from worker.integrations.mapping_sources import ValueKind
from worker.integrations.sections import one_or_more

CONTAINS: Final = "contains:"
_WORDS: Final = ("as-is", "boolean", "inverted", "consent-val", "y-n", "text", "list")
FORMATS: Final = (*_WORDS, f"{CONTAINS}<value>")
_LAST: Final = ("consent-val", "y-n", "text", "list")
_OF_BOOLEANS: Final = ("inverted", "consent-val", "y-n")


def _check_steps(steps: list[str]) -> list[str]:
    for step in steps:
        looks_for = step.removeprefix(CONTAINS).strip() if step.startswith(CONTAINS) else ""
        if step not in _WORDS and not looks_for:
            raise ValueError(f"must be one of {', '.join(FORMATS)}")
        if "," in step:
            raise ValueError(f"{CONTAINS}<value> asks for one value, so without a comma")
    return steps


_STEP_SCHEMA: Final = {
    "type": "string",
    "anyOf": [{"enum": list(_WORDS)}, {"pattern": rf"^{CONTAINS}\s*[^,\s][^,]*$"}],
}
Format = Annotated[
    list[str],
    BeforeValidator(one_or_more),
    Field(min_length=1, max_length=3),
    AfterValidator(_check_steps),
    WithJsonSchema(
        {
            "anyOf": [
                _STEP_SCHEMA,
                {"type": "array", "items": _STEP_SCHEMA, "minItems": 1, "maxItems": 3},
            ]
        }
    ),
]


def format_mistake(steps: Sequence[str], kind: ValueKind, target: str) -> str | None:
    """Why a mapping can't write a value of this kind so to `target`, as a sentence; or None."""
    if steps == ["as-is"]:
        return None
    if "as-is" in steps:
        return "as-is stands alone: leave it out"
    last = steps[-1]
    for step in steps[:-1]:
        if step in _LAST:
            return f"{step} must be the last step"
    for step in steps[1:]:
        if step == "boolean" or step.startswith(CONTAINS):
            return f"{step} must be the first step"
    first = steps[0]
    if first.startswith(CONTAINS) and kind == "choice":
        return (
            f"{first} looks into the values of a preference (…_value); one that ends in _enabled "
            "is true or false by itself"
        )
    if first in _OF_BOOLEANS and kind == "text":
        return (
            f"{first} needs a value that ends in _enabled; for a text put {CONTAINS}<value> or "
            f'boolean before it, as in ["boolean", "{first}"]'
        )
    if last == "consent-val" and re.search(r"(^|\.)val$", target):
        return (
            'consent-val writes the whole object {"val": …}, so the id must end before .val; '
            "or keep the id and write y-n"
        )
    return None
