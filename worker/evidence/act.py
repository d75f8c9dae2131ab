"""An act of a person, as the trail keeps it: who did what, when, and what came of it. Pure.

It is one row of a message of kind `trail`, a JSON object whose `kind` is `act`. What takes a while
has several rows with one `id`: one before anything is done, some that name what goes next, parts
that name what is gone, and one with what came of it. Reading is for rows that anybody may have
written, so everything has a bound.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple, get_args

import orjson

from worker.evidence.bounded_json import Unreadable, hex_in, number_in, object_of, text_in

ActName = Literal[
    "replayed", "discarded", "revealed", "found", "exported", "erased", "accepted", "migrated"
]
ActStage = Literal["begun", "going", "part", "ended"]

_NAMES: Final[dict[str, ActName]] = {one: one for one in get_args(ActName)}
_STAGES: Final[dict[str, ActStage]] = {one: one for one in get_args(ActStage)}
_KIND: Final = "act"
_MOST_COUNTS: Final = 16
MOST_LIVES: Final = 300
"""Of one row, some 11 KB."""
_LIFE_DIGITS: Final = 32
_MOST_TEXT: Final = 300


class Act(NamedTuple):
    """An act of a person. `who` is the name by which console or command know a person, "" where the
    role alone is known. The role of who gives a command is `command`. `about` says what it was done
    to, `why` is the person's reason, `result` a sentence of what came of it; none of them tells of
    a person whose choices these are. `counts` are of letters, by what became of them. `lives` are
    the keys of those whose letters are discarded: of a part they are gone, before that they may be.
    `at` is in ms since 1970.
    """

    id: str
    name: ActName
    stage: ActStage
    who: str
    role: str
    at: int
    integration: str = ""
    about: str = ""
    why: str = ""
    result: str = ""
    counts: Mapping[str, int] = {}
    lives: Sequence[str] = ()


def new_act_id() -> str:
    """An id that no other act has."""
    return secrets.token_hex(8)


def encode_act(act: Act) -> bytes:
    """The row of an act, its texts as far as they fit."""
    told = {name: _fit(one) if isinstance(one, str) else one for name, one in act._asdict().items()}
    return orjson.dumps({"kind": _KIND} | told)


def read_act(row: bytes) -> Act:
    """The act that a row of the trail is. Raises `Unreadable`."""
    said = object_of(row)
    if said.get("kind") != _KIND:
        raise Unreadable("kind is none that this version knows")
    name, stage = _NAMES.get(text_in(said, "name")), _STAGES.get(text_in(said, "stage"))
    if name is None or stage is None:
        raise Unreadable("name or stage is none that this version knows")
    counts = said.get("counts") or {}
    if not isinstance(counts, dict) or len(counts) > _MOST_COUNTS:
        raise Unreadable("counts is not an object of few numbers")
    lives = said.get("lives") or []
    if not isinstance(lives, list) or len(lives) > MOST_LIVES:
        raise Unreadable("lives is not a list of few keys")
    return Act(
        id=text_in(said, "id", 64),
        name=name,
        stage=stage,
        who=text_in(said, "who", _MOST_TEXT),
        role=text_in(said, "role", _MOST_TEXT),
        at=number_in(said, "at"),
        integration=text_in(said, "integration", _MOST_TEXT),
        about=text_in(said, "about", _MOST_TEXT),
        why=text_in(said, "why", _MOST_TEXT),
        result=text_in(said, "result", _MOST_TEXT),
        counts={one: number_in(counts, one) for one in counts},
        lives=tuple(hex_in({"lives": one}, "lives", _LIFE_DIGITS) for one in lives),
    )


def _fit(text: str) -> str:
    text = text.encode(errors="replace").decode()
    return text if len(text) <= _MOST_TEXT else text[: _MOST_TEXT - 1] + "…"
