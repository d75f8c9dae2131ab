"""What the worker uses of aiormq, aio-pika and pamqp beyond what they document, checked at start.

The tap and the confirms hook into methods that the libraries call by themselves. Where a release
renames one, nothing fails: the hook is never called, no confirm is heard, and everything is
published again for ever. So each part is listed here with what it is for, and a worker that misses
one does not start.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from types import CodeType
from typing import Any, Final

import aio_pika
from aio_pika.abc import ConnectionParameter
from aiormq import Channel, Connection
from aiormq.abc import ChannelFrame
from aiormq.connection import SSLContextProvider, TransportFactory

from worker.errors import WrongUse

LIBRARIES: Final = ("aio-pika", "aiormq", "pamqp")


class UnsupportedLibrary(WrongUse):
    """A library lacks a private part that the worker uses; the text says which and what to do."""


@dataclass(frozen=True, slots=True)
class PrivatePart:
    """A private part of a library: `name` of the class `owner`, used `to` do something.

    A method has these `parameters` besides `self`. A part that must be set or called by one of the
    owner's methods is named in that method, `by`.
    """

    owner: type
    name: str
    to: str
    parameters: tuple[str, ...] | None = None
    by: str = ""

    @property
    def is_there(self) -> bool:
        """Whether the library that is installed has the private part as the worker uses it."""
        if self.by and self.name not in _names_in(getattr(self.owner, self.by, None)):
            return False
        if self.parameters is None:
            return bool(self.by) or hasattr(self.owner, self.name)
        method = getattr(self.owner, self.name, None)
        return callable(method) and _parameters_of(method) == self.parameters

    def __str__(self) -> str:
        module = self.owner.__module__.partition(".")[0]
        return f"{module}: {self.owner.__qualname__}.{self.name}, to {self.to}"


def _parameters_of(method: Any) -> tuple[str, ...]:
    return tuple(inspect.signature(method).parameters)[1:]


def _names_in(method: Any) -> Iterable[str]:
    """The attributes that a method names, those of functions within it included."""
    code = getattr(inspect.unwrap(method), "__code__", None) if callable(method) else None
    return set(_names_of(code)) if code is not None else ()


def _names_of(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_of(constant)


PRIVATE_PARTS: Final = (
    # Hooks: the library calls them, and a subclass has its own.
    PrivatePart(Channel, "_on_confirm_frame", "hear confirms", ("frame",), by="_reader"),
    PrivatePart(Channel, "_on_return_frame", "hear of returned messages", ("frame",), by="_reader"),
    PrivatePart(TransportFactory, "create", "tap a connection", ("url", "kwargs")),
    PrivatePart(Connection, "_transport_factory", "tap a connection", by="connect"),
    # Called
    PrivatePart(Channel, "_get_frame", "read a returned message", ()),
    PrivatePart(Channel, "_read_content", "read a returned message", ("frame", "header")),
    PrivatePart(Channel, "create_task", "end writing with the channel", ("coro",)),
    PrivatePart(Channel, "closing", "hear that a channel is closed"),
    PrivatePart(Channel, "is_closed", "see that a channel is closed"),
    PrivatePart(SSLContextProvider, "get_context", "tap a connection over TLS", ()),
    # Read and set
    PrivatePart(Channel, "CONTENT_FRAME_SIZE", "fit a body into frames"),
    PrivatePart(Channel, "max_content_size", "fit a body into frames", by="__init__"),
    PrivatePart(Channel, "delivery_tag", "number what is published", by="__init__"),
    PrivatePart(Channel, "number", "address frames", by="__init__"),
    PrivatePart(Channel, "write_queue", "write frames of its own", by="__init__"),
    PrivatePart(Channel, "on_consumer_cancel_callbacks", "hear of a cancellation", by="__init__"),
    PrivatePart(Connection, "channels", "open channels of its own", by="__init__"),
    PrivatePart(
        ChannelFrame,
        "__init__",
        "write frames of its own",
        (
            "payload",
            "should_close",
            "drain_future",
        ),
    ),
    PrivatePart(aio_pika.Connection, "PARAMETERS", "hand the tap on to aiormq"),
    PrivatePart(aio_pika.Connection, "transport", "reach aiormq's connection", by="connect"),
    PrivatePart(
        ConnectionParameter,
        "__init__",
        "hand the tap on to aiormq",
        (
            "name",
            "parser",
            "default",
            "is_kwarg",
        ),
    ),
)


def missing_parts(parts: Iterable[PrivatePart] = PRIVATE_PARTS) -> list[PrivatePart]:
    """Private parts that the installed libraries lack, or have in another shape."""
    return [part for part in parts if not part.is_there]


def check_private_parts() -> None:
    """Raise `UnsupportedLibrary` where a private part is missing."""
    if missing := missing_parts():
        installed = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
        raise UnsupportedLibrary(
            f"this worker can't run with {installed}: it needs private parts that are not there as "
            f"it knows them ({'; '.join(map(str, missing))}); install the versions that "
            "consent-worker asks for"
        )
