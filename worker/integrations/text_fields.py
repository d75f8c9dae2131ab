"""The kinds of text that fields of an integration may hold, and how a mistake names its field."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, WithJsonSchema

MOST_CHARACTERS: Final = 1024
MOST_ORGANIZATION_CHARACTERS: Final = 256
"""As many as readers of receipts take of an id."""
ID_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
TOKEN_PATTERN: Final = r"^[\x21-\x7e]+$"  # noqa: S105 - no password
DIGITS_LOST: Final = 2.0**63
"""From here on JSON's whole numbers are read as floating-point ones, of 16 digits."""
_MOST_LEVELS: Final = 8
"""Of a value that a mapping sends as it is; Adobe's own consent types have three."""

Text = Annotated[
    str, StringConstraints(min_length=1, max_length=MOST_CHARACTERS, strip_whitespace=True)
]
OrganizationId = Annotated[Text, StringConstraints(max_length=MOST_ORGANIZATION_CHARACTERS)]
# A value that ends up in an HTTP header or a log field: no control characters, no blanks.
Token = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=TOKEN_PATTERN)]


class FieldMistakes(ValueError):
    """Mistakes of an integration that only show when several fields are looked at together: the
    name of a field below the one that is judged (empty: that one itself), and a sentence for each.
    """

    def __init__(self, mistakes: Iterable[tuple[str, str]]) -> None:
        self.mistakes = list(mistakes)
        super().__init__("; ".join(": ".join(filter(None, one)) for one in self.mistakes))


class Strict(BaseModel):
    """A part of an integration: no field but the known ones, no value of another type, and no
    change afterwards.
    """

    # hide_input: the offending value may be a secret; the field and the rule are enough to mend it.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, strict=True)


def _check_sendable(value: Any) -> Any:
    waiting = [(value, 1)]
    for one, level in waiting:  # grows meanwhile
        if one is None or one in ("", [], {}):
            raise ValueError("must hold nothing that is null or empty: Adobe takes neither")
        if level > _MOST_LEVELS:
            raise ValueError(f"must be at most {_MOST_LEVELS} levels deep")
        if isinstance(one, float) and abs(one) >= DIGITS_LOST:
            raise ValueError("must hold no number beyond 64 bits, which loses digits: write a text")
        if isinstance(one, dict):
            waiting += [(inner, level + 1) for inner in one.values()]
        elif isinstance(one, list):
            waiting += [(inner, level + 1) for inner in one]
        elif isinstance(one, str) and len(one) > MOST_CHARACTERS:
            raise ValueError(f"must be at most {MOST_CHARACTERS} characters long")
    return value


Sendable = Annotated[
    Any,
    AfterValidator(lambda value: None if value is None else _check_sendable(value)),
    WithJsonSchema({"not": {"enum": ["", [], {}]}}),
]
"""What is sent as it stands in the file: true, false, a text, a number, an object or a list."""
