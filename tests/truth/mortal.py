"""Workers in this process that can die as a process does: at any moment, without a last word.

The loop knows whose task and whose line each one is. A worker dies by having all of its lines cut
and all of its tasks cancelled in one step of the loop; what it still tries to begin is refused. So
nothing of what it was about to say reaches RabbitMQ, Redis or Adobe.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Coroutine, Generator, MutableMapping
from typing import Any, TypeVar
from weakref import WeakSet

import structlog

T = TypeVar("T")

_OWNER: contextvars.ContextVar[Life | None] = contextvars.ContextVar("owner", default=None)
_LAST_STEPS_SECONDS = 10.0
_LAST_STEP_SECONDS = 0.2


def of_the_living(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A processor of the log: the dead say nothing, and least of all that they have faults."""
    owner = _OWNER.get()
    if owner is not None and owner.is_over:
        raise structlog.DropEvent
    return line


class Life:
    """What belongs to one worker, which is alive until it dies."""

    def __init__(self) -> None:
        self.is_over = False
        self._refused: dict[int, float] = {}
        self._tasks: WeakSet[asyncio.Task[Any]] = WeakSet()
        self._lines: WeakSet[asyncio.Transport] = WeakSet()

    def begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work`; it, and whatever it starts, belongs to this life."""
        context = contextvars.copy_context()
        context.run(_OWNER.set, self)
        return asyncio.get_running_loop().create_task(work, context=context)

    def cut(self, port: int) -> None:
        """Break all lines to a port, without any goodbye."""
        for line in list(self._lines):
            if (line.get_extra_info("peername") or ("", 0))[1] == port:
                line.abort()

    def lose(self, port: int, seconds: float) -> None:
        """Break all lines to a port, and refuse others for so long."""
        self._refused[port] = time.monotonic() + seconds
        self.cut(port)

    def refuses(self, port: int) -> bool:
        return time.monotonic() < self._refused.get(port, 0.0)

    async def end(self) -> None:
        """Die. Returns when nothing is left of it."""
        self.is_over = True
        for line in list(self._lines):
            line.abort()
        deadline = time.monotonic() + _LAST_STEPS_SECONDS
        while left := [task for task in self._tasks if not task.done()]:
            assert time.monotonic() < deadline, f"these go on after death: {left}"
            for task in left:
                task.cancel()  # again where one was swallowed, or met by waiting for a last word
            await asyncio.wait(left, timeout=_LAST_STEP_SECONDS)

    def own(self, task: asyncio.Task[Any]) -> None:
        self._tasks.add(task)
        if self.is_over:
            task.cancel()

    def own_line(self, line: asyncio.Transport) -> None:
        self._lines.add(line)
        if self.is_over:
            line.abort()


class MortalLoop(asyncio.SelectorEventLoop):
    """The loop of such workers."""

    def create_task(
        self,
        work: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: Any = None,
        context: contextvars.Context | None = None,
    ) -> asyncio.Task[T]:
        task = super().create_task(work, name=name, context=context)
        owner = _OWNER.get() if context is None else context.get(_OWNER)
        if owner is not None:
            owner.own(task)
        return task

    async def create_connection(self, *arguments: Any, **options: Any) -> Any:
        owner = _OWNER.get()
        port = arguments[2] if len(arguments) > 2 else options.get("port")
        if owner is not None and port is not None and owner.refuses(port):
            raise ConnectionRefusedError(f"port {port} is not there for this worker")
        transport, protocol = await super().create_connection(*arguments, **options)
        if owner is not None:
            owner.own_line(transport)
        return transport, protocol
