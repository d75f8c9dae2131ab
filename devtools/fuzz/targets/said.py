"""What may be said of ids and texts that others chose: logs, headers, lists for operators."""

from __future__ import annotations

import json
from random import Random
from typing import Final

from devtools.fuzz.target import Target
from devtools.fuzz.values import PERSON, SECRET, below, pick, text
from worker.integrations.loading import is_usable_id
from worker.integrations.safe_files import printable
from worker.observability.logging import _json, _redacted
from worker.redaction import kept_id, redact, shown_id, shown_name

_HIDDEN: Final = "hush-hush-hush"
_SECRETS: Final = (
    PERSON,
    PERSON.replace("@", "%40"),
    f"Bearer {_HIDDEN}",
    f"client_secret={_HIDDEN}",
    f'"access_token": "{_HIDDEN}"',
    f"amqp://user:{_HIDDEN}@broker",
    f"password = {_HIDDEN}",
)
_UNITS: Final = ("a", "a.", "-", "a@", "a ", "%4", "eyJ", "0-", "://", "a://", "@a ")
_IDS: Final = (
    *("ev-0001", "0b1d53f2-8d38-4e36-a6c5-3a1b93f2a111", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "4711"),
    *("a" * 64, "0" * 40, "+33612345678", "Zoe-Martin", "ev_1_2_3_4_5_6_7_8_9", PERSON),
)


def make_text(r: Random) -> tuple[str, int, str]:
    """A text, which secret stands after it, and another text."""
    return _long(r), below(r, len(_SECRETS)), _long(r)


def _long(r: Random) -> str:
    if r.random() < 0.02:
        return pick(r, _UNITS) * pick(r, (100, 1_000, 5_000))
    return " ".join(text(r) for _ in range(below(r, 4)))


def check_text(case: tuple[str, int, str]) -> None:
    """Nothing secret is logged, and every log line is written."""
    before, which, after = case
    said = f"{before} {_SECRETS[which % len(_SECRETS)]} {after}"
    shown = redact(said)
    assert SECRET not in shown, "an address is shown"
    assert _HIDDEN not in shown, "a secret is shown"
    line = _json({"event": "x", "text": _redacted({"a": [said]})})
    assert "\n" not in line
    assert json.loads(line)["text"] == {"a": [shown]}, "another text is logged"
    assert len(printable(said)) <= 301
    assert printable(said).isprintable()


def make_id(r: Random) -> str:
    """An id, or what should be one."""
    kind = below(r, 4)
    if kind == 0:
        return pick(r, _IDS) + pick(r, ("", "", "\n", " ", "-1", "@"))
    if kind == 1:
        return "".join(pick(r, "0123456789abcdefABC-_.:/ @+") for _ in range(below(r, 40)))
    return r.randbytes(16).hex() if kind == 2 else text(r, 200_000)


def check_id(value: str) -> None:
    """An id is shown as it is or not at all, and kept under one name for good."""
    for shown in (shown_id(value), shown_name(value)):
        assert shown is None or (shown == value and len(shown) <= 128 and shown.isprintable())
    kept = kept_id(value)
    assert len(kept) <= 128
    assert "@" not in kept
    assert " " not in kept
    assert kept_id(kept) == kept, "an id changes with each retry"
    assert not is_usable_id(value) or value.isascii()


TARGETS: Final = (
    Target("redaction", make_text, check_text, share=12),
    Target("ids", make_id, check_id, share=30),
)
