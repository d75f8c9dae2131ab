"""An integration's configuration as it may be shown, and what is different from another version of
it. Pure.
"""

from __future__ import annotations

import difflib
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from worker.integrations.model import Integration

MASK: Final = "\u2022\u2022\u2022\u2022"
SHOWN: Final = ("scopes",)
"""Of `authentication`."""
_CONTEXT: Final = 2


def masked_text(integration: Integration, key: bytes) -> str:
    """An integration's configuration as masked JSON, as far as its file says something. Of a secret
    there are four digits of a keyed digest, by which a change is seen and nothing can be guessed.
    """
    document = integration.model_dump(mode="json", exclude_unset=True, exclude={"authentication"})
    said = integration.authentication.model_dump(exclude_unset=True)
    document["authentication"] = {
        name: value if name in SHOWN else _masked(value, key) for name, value in said.items()
    }
    properties = document.get("properties", {})
    endpoint = str(properties.get("dataflow_endpoint", ""))
    host, slash, inlet = endpoint.rpartition("/")
    if slash and inlet:  # whoever has the address of an inlet may be able to write to it
        properties["dataflow_endpoint"] = f"{host}/{_masked(inlet, key)}"
    return json.dumps(document, indent=2, ensure_ascii=False)


def _masked(value: Any, key: bytes) -> str | None:
    if value is None:
        return None
    secret = value.get_secret_value() if hasattr(value, "get_secret_value") else str(value)
    digest = hmac.new(key, secret.encode(errors="surrogatepass"), hashlib.sha256).hexdigest()
    return f"{MASK} (digest {digest[:4]})"


class DiffLine(NamedTuple):
    """A line of the difference of two configurations; `kind` is `ctx`, `del`, `add` or `gap`."""

    kind: str
    sign: str
    text: str


def difference(before: str, after: str) -> list[DiffLine]:
    """The lines of a configuration that changed, with some around them."""
    return list(_lines(before.splitlines(), after.splitlines()))


def _lines(before: list[str], after: list[str]) -> Iterator[DiffLine]:
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for number, group in enumerate(matcher.get_grouped_opcodes(_CONTEXT)):
        if number:
            yield DiffLine("gap", " ", "\u2026")
        for tag, a, b, c, d in group:
            if tag == "equal":
                yield from (DiffLine("ctx", " ", one) for one in before[a:b])
            else:
                yield from (DiffLine("del", "\u2212", one) for one in before[a:b])
                yield from (DiffLine("add", "+", one) for one in after[c:d])
