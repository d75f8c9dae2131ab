"""Adobe's documents, read without trust in their shape. Pure.

What comes from a document and is shown (an id, a path, a state) has the shape of a name: nothing
else of a reply gets into a line.
"""

from __future__ import annotations

import re
from typing import Any, Final

_NAME: Final = re.compile(r"(?:[\w$@:./ -]|<value>){1,256}")
"""A template of ours has `<value>` for the person."""
UNSHOWN: Final = "(a value that is not shown)"


def at(document: Any, *path: str | int) -> Any:
    """The value at `path`; None where there is none."""
    for step in path:
        if isinstance(step, int):
            inside = isinstance(document, list) and len(document) > step
        else:
            inside = isinstance(document, dict) and step in document
        if not inside:
            return None
        document = document[step]
    return document


def text_at(document: Any, *path: str | int) -> str:
    """The text at `path`, a number as its digits; "" where there is neither."""
    value = at(document, *path)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""


def objects_at(document: Any, *path: str | int) -> list[dict[str, Any]]:
    """The objects of the list at `path`; none where there is no list."""
    value = at(document, *path)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def shown_name(text: str) -> str:
    """`text` if it has the shape of a name."""
    return text if text and _NAME.fullmatch(text) and text.isprintable() else UNSHOWN
