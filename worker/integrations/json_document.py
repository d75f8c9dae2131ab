"""From an integration's file to the object in it, or to the reason why there is none. Pure."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any, Final

import orjson

from worker.integrations.safe_files import printable


class _Object(dict[str, Any]):
    """An object some of whose keys came again: these."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        counts = Counter(key for key, _ in pairs)
        self.repeated = [key for key, count in counts.items() if count > 1]


def repeated_keys(text: bytes) -> list[tuple[str | int, ...]]:
    """The paths of repeated keys of a JSON text, at any depth, those further up first.

    What stands below a value that another one has replaced is not looked at. Raises RecursionError
    for a text that is nested too deep.
    """
    objects: list[_Object] = []

    def made(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        plain = dict(pairs)
        if len(plain) == len(pairs):
            return plain
        objects.append(_Object(pairs))
        return objects[-1]

    document = json.loads(text, object_pairs_hook=made)
    if not objects:
        return []  # as in all sound files, which need no second look
    found: list[tuple[str | int, ...]] = []
    waiting: list[tuple[tuple[str | int, ...], Any]] = [((), document)]
    for path, value in waiting:  # grows meanwhile
        if isinstance(value, _Object):
            found += [(*path, key) for key in value.repeated]
        if isinstance(value, dict):
            waiting += [((*path, key), one) for key, one in value.items()]
        elif isinstance(value, list):
            waiting += [((*path, index), one) for index, one in enumerate(value)]
    return found


_BOM: Final = b"\xef\xbb\xbf"
_OTHER_UNICODE: Final = (b"\xff\xfe", b"\xfe\xff")
_PYTHON_WORDS: Final = re.compile(r"True|False|None|undefined|NaN|-?Infinity")


class NotAnObject(ValueError):
    """The text is no single integration; the message is a predicate of the file. `organization_id`
    is told where all that is in it belongs to one.
    """

    def __init__(self, sentence: str, organization_id: str | None = None) -> None:
        super().__init__(sentence)
        self.organization_id = organization_id


def read_document(content: bytes) -> tuple[dict[str, Any], list[str]]:
    """The object in an integration's file, and a sentence for each of its keys that is there more
    than once. It tells no id and no organization where that is such a key: nobody knows which one
    is meant.

    Raises `NotAnObject`.
    """
    text = content.removeprefix(_BOM)  # editors put it there, and it says nothing
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise NotAnObject(_why_no_json(text)) from None
    if not isinstance(document, dict) or _is_didomis_list(document):
        raise _not_one(document)
    try:
        repeated = repeated_keys(text)
    except RecursionError:
        return document, ["is nested too deep"]
    for key in ("id", "organization_id"):
        if (key,) in repeated:
            document[key] = None
    # For editors, which find the schema of a file by it.
    document.pop("$schema", None)
    return document, [f"{_path(one)}: is there more than once: take one out" for one in repeated]


def _path(steps: tuple[str | int, ...]) -> str:
    return ".".join(str(one + 1) if isinstance(one, int) else printable(one, 100) for one in steps)


def _is_didomis_list(document: dict[str, Any]) -> bool:
    return isinstance(document.get("data"), list) and "type_id" not in document


def _not_one(document: object) -> NotAnObject:
    if isinstance(document, list):
        entries, advice = document, "save each entry of the list as a file of its own"
    elif isinstance(document, dict):
        entries = document["data"]
        advice = "save each entry of data, which Didomi's API answers, as a file of its own"
    else:
        return NotAnObject("must be a JSON object: one integration in { }")
    organizations = {
        one.get("organization_id") if isinstance(one, dict) else None for one in entries
    }
    only = organizations.pop() if len(organizations) == 1 else None
    return NotAnObject(
        f"holds a list, and a file holds one integration: {advice}",
        only if isinstance(only, str) and only.strip() else None,
    )


def _why_no_json(content: bytes) -> str:
    """A predicate of the file that names the place and the reason, and quotes nothing."""
    if not content.strip():
        return "is empty: it must hold one integration in { }"
    if content.startswith(_OTHER_UNICODE) or b"\x00" in content[:4]:
        return "is not UTF-8: save it in that encoding (it looks like UTF-16)"
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return f"is not UTF-8 (line {line}): save it in that encoding"
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        at, reason = _reason(text, error)
        line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
        return f"is not JSON (line {line}, column {column}): {reason}"
    except RecursionError:
        return "is nested too deep"
    except ValueError:  # for which Python has a bound
        return "has a number of thousands of digits"
    return "is not JSON: it holds NaN, Infinity or half a character, which JSON does not have"


def _reason(text: str, error: json.JSONDecodeError) -> tuple[int, str]:
    """Where in `text` it is, and what."""
    at = error.pos + len(text[error.pos :]) - len(text[error.pos :].lstrip())
    before = text[: error.pos].rstrip()
    rest = text[at:]
    if rest.startswith(",") and "trailing" in error.msg:  # Python 3.13 stops at the comma
        before, rest = text[: at + 1], text[at + 1 :].lstrip()
    if before.endswith(",") and rest[:1] in ("}", "]") and rest:
        return len(before) - 1, (
            f"a comma stands before the closing {rest[0]}; take it out (the example on Didomi's "
            "page has one too)"
        )
    if error.msg.startswith("Unterminated string"):
        return error.pos, "a text begins here and never ends: its closing quotation mark is missing"
    if not rest:
        return at, "it ends too early: a } or ] is missing, or it is half written"
    for beginnings, reason in _BEGINNINGS:
        if rest.startswith(beginnings):
            return at, reason
    if _PYTHON_WORDS.match(rest):
        return at, "write true, false and null so, in small letters"
    for beginning, reason in _MEANINGS:
        if error.msg.startswith(beginning):
            return (error.pos if beginning.startswith("Invalid") else at), reason
    return at, _ELSE


_ELSE: Final = "something stands here that JSON does not have"
_BEGINNINGS: Final = (
    (("//", "/*", "#"), "JSON has no comments: take it out"),
    (("'", "\u2018", "\u201c", "\u201e", "\u00ab"), 'texts stand in straight double marks ("…")'),
)
_MEANINGS: Final = (
    ("Expecting ',' delimiter", "a comma is missing before this place"),
    ("Expecting ':' delimiter", "a colon is missing before this place"),
    ("Expecting property name", 'the name of a field in double quotation marks ("…") is missing'),
    ("Expecting value", "a value is missing, or a text stands without quotation marks"),
    ("Extra data", "more stands behind the integration: a file holds one"),
    ("Invalid control character", r"a text holds a line break or a tab: write \n or \t"),
    ("Invalid \\", r"a backslash begins an escape: write \\ for the character itself"),
)
