"""Where a value goes to: dotted paths of the XDM record."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

PERSON: Final = "<value>"
"""A step of a mapping's target that stands for the value of the identity, which may hold dots. The
path is kept, logged and shown with this in place of the person."""
_MOST_STEPS: Final = 64
"""What Adobe's schemas need at most is a dozen; what writes JSON gives up at some 250."""
_NAME: Final = "_*+[A-Za-z0-9][A-Za-z0-9_]*+"
"""That fits in one way only, and gives back nothing: a path that is too deep is refused at once."""
_PLAIN: Final = re.compile(rf"{_NAME}(?:\.{_NAME}){{0,{_MOST_STEPS - 1}}}+")


def check_path(path: str) -> str:
    """A path of XDM, if it is dotted names such as `_tenant.a.b`; else raises ValueError."""
    if _PLAIN.fullmatch(path):  # as nearly all; a file may have a thousand
        return path
    steps = path.split(".")
    if len(steps) > _MOST_STEPS:
        raise ValueError(f"must be at most {_MOST_STEPS} names deep")
    if "/" in path:
        raise ValueError("has a slash in it: write dots, as in _tenant.consents.newsletter")
    if "[" in path or "]" in path:
        raise ValueError(
            "has brackets in it: a list is written whole, so end the id at the list's own name and "
            "give the mapping format list"
        )
    if any(one.isspace() or not one.isprintable() for one in path):
        raise ValueError("has a blank or an invisible character in it: take it out")
    if not any(one.isalnum() for one in path):  # signs alone mean something else in the state
        raise ValueError("has no letter and no digit in it: write the names of the schema")
    if path[0] in "=@":
        raise ValueError("begins with a sign that means something else in the state")
    if not all(steps):
        raise ValueError("must be names joined by single dots, such as _tenant.consents.newsletter")
    if "<" in path or ">" in path:
        raise ValueError(f"has < or > in it: only the id of a mapping may have {PERSON}")
    return path


def check_target(path: str) -> str:
    """The target of a mapping, checked like a path, but `PERSON` may be a step after the first."""
    if _PLAIN.fullmatch(path):
        return path
    first, *others = path.split(".")
    names = [first, *(one for one in others if one != PERSON)]
    if any("<" in one or ">" in one for one in names):
        raise ValueError(
            f"has < or > in it: the one placeholder is {PERSON}, a name of its own after the "
            f"first, as in consents.idSpecific.Email.{PERSON}.marketing.email.val"
        )
    check_path(".".join(names))
    return path


def find_path_conflict(paths: Collection[str]) -> tuple[str, str] | None:
    """Two of `paths` of which one lies inside the other, so that both can't be written; or None."""
    known = set(paths)
    for path in sorted(known):
        if (outer := _outer(path, known)) is not None:
            return outer, path
    return None


def find_name_beside_person(paths: Collection[str]) -> tuple[str, str] | None:
    """Two of `paths`, of which the second has a name where the first has `PERSON`: it would be
    written into what belongs to the person who is called so; or None.
    """
    several = [path.split(".") for path in sorted(paths)]
    persons = {
        tuple(steps[:at]): steps
        for steps in several
        for at, step in enumerate(steps)
        if step == PERSON
    }
    for steps in several if persons else ():
        for at, step in enumerate(steps):
            if step != PERSON and (other := persons.get(tuple(steps[:at]))) is not None:
                return ".".join(other), ".".join(steps)
    return None


def collisions(path: str, others: Collection[str]) -> list[str]:
    """Those paths of `others` that can't be written beside `path`, in their order."""
    inside = f"{path}."
    return [
        one
        for one in others
        if one == path
        or one.startswith(inside)
        or inside.startswith(f"{one}.")
        or find_name_beside_person((one, path))
    ]


def _outer(path: str, known: set[str]) -> str | None:
    at = path.find(".")
    while at != -1:
        if path[:at] in known:
            return path[:at]
        at = path.find(".", at + 1)
    return None
