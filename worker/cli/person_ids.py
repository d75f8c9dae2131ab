"""The ids of a person that a command works on. They never come from the command line, which every
process of the machine can read: they are typed unseen, or come on standard input.
"""

from __future__ import annotations

import sys
from typing import Final

import typer

from worker.cli.event_input import BadInput

_MOST_IDS: Final = 100
_LONGEST_ID: Final = 1024
_CHARACTER_BYTES: Final = 4
"""Of UTF-8, at most."""


def person_id() -> str:
    """One organization_user_id, trimmed. Raises `BadInput`."""
    person = _said(_LONGEST_ID, "the id on standard input must be UTF-8").strip()
    if not person or len(person) > _LONGEST_ID or "\n" in person:
        raise BadInput(f"standard input must have one id of {_LONGEST_ID} characters at most")
    return person


def person_ids() -> list[str]:
    """All ids by which the person may be known, each trimmed. Raises `BadInput`."""
    not_utf8 = "the ids on standard input must be UTF-8, one a line"
    text = _said(_MOST_IDS * _LONGEST_ID, not_utf8)
    lines = [text] if sys.stdin.isatty() else text.splitlines()
    ids = [one.strip() for one in lines if one.strip()]
    if not ids or len(ids) > _MOST_IDS or any(len(one) > _LONGEST_ID for one in ids):
        raise BadInput(
            f"standard input must have 1 to {_MOST_IDS} ids, one a line, of {_LONGEST_ID} "
            "characters at most"
        )
    return ids


def _said(most_characters: int, not_utf8: str) -> str:
    """What is typed, or standard input: of more than is allowed only enough to see that. Raises
    `BadInput` with the text `not_utf8`.
    """
    if sys.stdin.isatty():
        return str(typer.prompt("The person's id (not shown)", hide_input=True, err=True))
    try:
        return sys.stdin.buffer.read(most_characters * _CHARACTER_BYTES + 1).decode()
    except UnicodeDecodeError:
        raise BadInput(not_utf8) from None
