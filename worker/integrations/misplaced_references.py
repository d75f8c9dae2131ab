"""Finds references that stand where none is resolved, and so would be sent as they are. Pure."""

from __future__ import annotations

import re
from typing import Any, Final

from worker.integrations.mistake_sentences import where

_BRACES: Final = "${"
_BARE: Final = re.compile(r"\$[A-Za-z_][A-Za-z0-9_]*")
_FILE: Final = "file:"


def misplaced_references(document: dict[str, Any]) -> list[str]:
    """A sentence for each text beyond `authentication` that looks like a reference."""
    waiting: list[tuple[tuple[str | int, ...], Any]] = [
        ((key,), value) for key, value in document.items() if key != "authentication"
    ]
    found = []
    for path, value in waiting:  # grows meanwhile
        if isinstance(value, dict):
            waiting += [((*path, key), one) for key, one in value.items()]
        elif isinstance(value, list):
            waiting += [((*path, index), one) for index, one in enumerate(value)]
        elif isinstance(value, str) and _is_reference(value, is_content="constant" in path):
            found.append(
                f"{where(path)}: looks like a reference, and references are resolved in "
                "authentication only: write the value itself"
            )
    return found


def _is_reference(text: str, *, is_content: bool) -> bool:
    """What a mapping sends as it is may look like a reference, but for the braces."""
    if _BRACES in text:
        return True
    text = text.strip()
    return not is_content and (text.startswith(_FILE) or _BARE.fullmatch(text) is not None)
