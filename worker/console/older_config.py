"""An older version of an integration, made of its masked text. It is good for explaining what would
have been sent, which no secret has a part in, and for nothing else. Pure.
"""

from __future__ import annotations

import json
from typing import Any, Final

from pydantic import ValidationError

from worker.console.masked_config import MASK, SHOWN
from worker.integrations.coherence import Surroundings
from worker.integrations.model import Integration

_PLACEHOLDER: Final = "masked"
_ANY: Final = Surroundings(has_lasting_state=True, has_secret=True)
"""It was valid when it was in force, whatever is around the console now."""


class NotReadable(ValueError):
    """This version of the program can't read the older configuration any more."""


def integration_of(masked: str) -> Integration:
    """The integration that a masked text is of, with placeholders for what is masked. Raises
    `NotReadable`.
    """
    try:
        return Integration.model_validate(_filled_in(json.loads(masked)), context=_ANY)
    except (ValidationError, ValueError, AttributeError, TypeError, LookupError):
        raise NotReadable from None


def _filled_in(document: dict[str, Any]) -> dict[str, Any]:
    said = document["authentication"].items()
    credentials = {
        name: value if name in SHOWN or value is None else _PLACEHOLDER for name, value in said
    }
    properties = dict(document["properties"])
    endpoint, mask, _ = str(properties["dataflow_endpoint"]).partition(MASK)
    properties["dataflow_endpoint"] = f"{endpoint}{_PLACEHOLDER}" if mask else endpoint
    return document | {"authentication": credentials, "properties": properties}
