"""Who may do what in the console: three roles, each of which may all that the one before may."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import IntEnum
from typing import Any, Final, TypeVar

from aiohttp import web

_ROLE: Final = "required_role"
_ON_RECORD: Final = "goes_on_record"


class Role(IntEnum):
    """A viewer reads the console, an operator acts, a revealer sees what letters say of persons."""

    VIEWER = 1
    OPERATOR = 2
    REVEALER = 3

    @property
    def word(self) -> str:
        """The role as pages and the proxy's header call it."""
        return self.name.lower()


_BY_WORD: Final = {one.word: one for one in Role}


def role_named(word: str) -> Role | None:
    """The role in the console that a word stands for."""
    return _BY_WORD.get(word)


Handler = TypeVar("Handler", bound=Callable[..., Awaitable[web.StreamResponse]])


def required(role: Role) -> Callable[[Handler], Handler]:
    """Marks a handler that needs more than a viewer's right; the guard refuses others."""

    def mark(handler: Handler) -> Handler:
        setattr(handler, _ROLE, role)
        return handler

    return mark


def goes_on_record(handler: Handler) -> Handler:
    """Marks a handler that puts what it gives on record, in the name of who asks: no link of
    another site may cause that, and the guard refuses it.
    """
    setattr(handler, _ON_RECORD, True)
    return handler


def is_on_record(handler: Any) -> bool:
    """Whether a request to this handler leaves a line in the trail."""
    return bool(getattr(handler, _ON_RECORD, False))


def required_role(handler: Any) -> Role:
    """The role that a handler needs: nothing that is not marked is open to more than looking."""
    role = getattr(handler, _ROLE, Role.VIEWER)
    return role if isinstance(role, Role) else Role.REVEALER
