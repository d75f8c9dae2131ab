"""What is wrong with a document, in words for who wrote it: pydantic's errors as sentences."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from worker.integrations.attribute_mapping import Mapping
from worker.integrations.model import Integration
from worker.integrations.safe_files import printable
from worker.integrations.sections import Authentication, IdentityRule, Limits, Properties
from worker.integrations.text_fields import ID_PATTERN, TOKEN_PATTERN, FieldMistakes

ID_RULE: Final = "letters, digits, dots, _ and -, from a letter or digit on, 128 at most"
_SECTIONS: Final[dict[str, type[BaseModel]]] = {
    "authentication": Authentication,
    "properties": Properties,
    "mappings": Mapping,
    "limits": Limits,
    "identities": IdentityRule,
}
_PATTERNS: Final = {
    ID_PATTERN: f"must be {ID_RULE}",
    TOKEN_PATTERN: "must be printable ASCII characters without blanks",
}
_WRONG_TYPES: Final = {
    "string_type": 'must be a text in quotation marks ("…")',
    "bool_type": "must be true or false, without quotation marks",
    "int_type": "must be a whole number, without quotation marks",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number, without quotation marks",
    "list_type": "must be a list in [ ]",
    "dict_type": "must be an object in { }",
    "model_type": "must be an object in { }",
    "model_attributes_type": "must be an object in { }",
}
_KINDS: Final = (
    (bool, "true or false"),
    (int | float, "a number"),
    (str, "a text"),
    (list, "a list"),
    (dict, "an object"),
)


def sentences_of(error: ValidationError, at_most: int) -> tuple[list[str], int]:
    """The first mistakes of a document, each `field: what is wrong there`, and how many there are.

    No value is quoted: it may be a secret that stands in a wrong place.
    """
    mistakes = error.errors(include_url=False)
    sentences = [sentence for one in mistakes[:at_most] for sentence in _sentences(one)]
    more = len(mistakes) - len(mistakes[:at_most])
    return sentences[:at_most], len(sentences) + more


def where(location: Sequence[str | int]) -> str:
    """The field of a document at `location`, entries of lists counted from 1 as people do."""
    steps = (str(one + 1) if isinstance(one, int) else printable(one, 100) for one in location)
    return ".".join(steps) or "the integration"


def _sentences(error: Any) -> Iterator[str]:
    location = [one for one in error["loc"] if one != "[key]"]
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, FieldMistakes):
        for name, sentence in cause.mistakes:
            yield f"{where([*location, name] if name else location)}: {sentence}"
    elif error["type"] == "extra_forbidden":
        yield f"{where(location)}: unknown field{_closest(location)}"
    else:
        yield f"{where(location)}: {printable(_words(error), 1_000)}"


def _words(error: Any) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind in _WRONG_TYPES:
        return _WRONG_TYPES[kind] + _but_is(error["input"])
    if kind == "value_error":
        return str(context["error"])
    known: dict[str, Callable[[], str]] = {
        "missing": lambda: "is required",
        "literal_error": lambda: f"must be one of {_listed(context['expected'])}",
        "string_pattern_mismatch": lambda: _PATTERNS.get(context["pattern"], "has a wrong form"),
        "string_too_short": lambda: "must not be empty",
        "string_too_long": lambda: f"must be at most {context['max_length']} characters long",
        "greater_than_equal": lambda: f"must be at least {context['ge']:g}",
        "less_than_equal": lambda: f"must be at most {context['le']:g}",
        "finite_number": lambda: "must be a finite number",
        "too_short": lambda: "must have one entry at least",
        "too_long": lambda: (
            f"must have at most {context['max_length']:,} entries, and has "
            f"{context['actual_length']:,}"
        ),
    }
    return known[kind]() if kind in known else f"can't be used as it is ({kind})"


def _listed(expected: str) -> str:
    return expected.replace("'", "").replace(" or ", ", ")


def _but_is(value: object) -> str:
    if value is None:
        return ", and is null"
    return next((f", and is {name}" for kind, name in _KINDS if isinstance(value, kind)), "")


def _closest(location: Sequence[str | int]) -> str:
    section = _SECTIONS.get(str(location[0]), Integration) if len(location) > 1 else Integration
    match = difflib.get_close_matches(str(location[-1]), list(section.model_fields), 1)
    if match:
        return f", did you mean {match[0]}?"
    return f"; allowed are {', '.join(section.model_fields)}"
