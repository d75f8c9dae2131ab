"""A server in a container where an engine can start one, the native one elsewhere, and why."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TypeVar

from devtools.engine import EngineUnusable
from devtools.saying import say_once

Server = TypeVar("Server")
_native: set[str] = set()
"""What this process has found out to have no container: it is not tried a second time."""


@contextmanager
def container_or_native(
    what: str,
    variable: str,
    container: Callable[[], AbstractContextManager[Server]],
    native: Callable[[], AbstractContextManager[Server]],
) -> Iterator[Server]:
    """`variable` forces one kind, by `docker` or `native`. Raises what `native` does, and
    `EngineUnusable` where `docker` is forced.
    """
    wanted = os.environ.get(variable, "")
    with ExitStack() as stack:
        if wanted != "native" and what not in _native:
            try:
                server = stack.enter_context(container())
            except EngineUnusable as problem:
                if wanted == "docker":
                    raise
                _native.add(what)
                say_once(native_because(f"{what} runs", str(problem)))
            else:
                yield server
                return
        yield stack.enter_context(native())


def native_because(what: str, reason: str) -> str:
    """The sentence; `what` is the subject of its clause."""
    return f"{what} natively, not in a container: {reason}."
