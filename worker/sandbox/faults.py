"""Faults that can be staged at the emulator, for a number of calls or for a time."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

FaultKind = Literal[
    "status", "latency", "hang", "reset", "reset-after-processing", "refuse-token", "partial"
]
FaultTarget = Literal["collection", "token", "lookup", "platform"]


class InvalidFault(ValueError):
    """The description of a fault is not as documented."""


@dataclass
class Fault:
    """A fault for `times` calls or `seconds` from now; None is without end. `key` is an id, or `*`
    for all.

    A `body` that is text is sent as it is, anything else as JSON. `partial` refuses every second
    message of a batch with `status`, and takes the others. With `applied_after_ms` a `collection`
    call is carried out so long after it came, whatever it was answered, and not before.
    """

    target: FaultTarget
    kind: FaultKind
    key: str = "*"
    status: int = 503
    retry_after: str | None = None
    body: Any = None
    latency_ms: float = 0.0
    applied_after_ms: float | None = None
    times: int | None = None
    seconds: float | None = None
    id: str = ""
    until: float | None = field(default=None, repr=False, init=False)
    released: asyncio.Event = field(default_factory=asyncio.Event, repr=False, init=False)

    def described(self) -> dict[str, Any]:
        """What the admin API shows of a fault."""
        return {
            name: getattr(self, name)
            for name in Fault.__dataclass_fields__
            if name not in ("until", "released")
        }

    def is_over(self) -> bool:
        return self.times == 0 or (self.until is not None and time.monotonic() >= self.until)


class Faults:
    """The faults in force; the first that fits a call is used, and counted down."""

    def __init__(self) -> None:
        self._faults: dict[str, Fault] = {}
        self._over: dict[str, Fault] = {}  # hangs that take no new call but still hold some
        self._numbers = itertools.count(1)

    def inject(self, **description: Any) -> Fault:
        """Add a fault. Raises `InvalidFault`."""
        try:
            fault = Fault(**description)
        except TypeError as error:
            raise InvalidFault(str(error).replace("Fault.__init__() ", "")) from None
        if fault.kind not in get_args(FaultKind):
            raise InvalidFault(f"kind must be one of {', '.join(get_args(FaultKind))}")
        if fault.target not in get_args(FaultTarget):
            raise InvalidFault(f"target must be one of {', '.join(get_args(FaultTarget))}")
        if not isinstance(fault.key, str):
            raise InvalidFault("key must be text")
        if not isinstance(fault.status, int) or not 200 <= fault.status <= 599:
            raise InvalidFault("status must be a whole number from 200 to 599")
        for name in ("latency_ms", "applied_after_ms", "times", "seconds"):
            if not isinstance(getattr(fault, name), int | float | None):
                raise InvalidFault(f"{name} must be a number")
        fault.id = f"fault-{next(self._numbers)}"
        if fault.seconds is not None:
            fault.until = time.monotonic() + fault.seconds
        self._faults[fault.id] = fault
        return fault

    def take(self, target: FaultTarget, keys: AbstractSet[str]) -> Fault | None:
        """The fault that a call with these keys meets, used once more."""
        for fault in self.active():
            if fault.target == target and (fault.key == "*" or fault.key in keys):
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None

    def active(self) -> list[Fault]:
        """The faults in force, the oldest first; those used up or timed out are gone."""
        for key, fault in list(self._faults.items()):
            if fault.is_over():
                del self._faults[key]
                if fault.kind == "hang":
                    self._over[key] = fault
        return list(self._faults.values())

    def clear(self, fault_id: str | None = None) -> None:
        """Remove one fault, or all; calls that hang on it go on."""
        for known in (self._faults, self._over):
            for key in [fault_id] if fault_id is not None else list(known):
                if fault := known.pop(key, None):
                    fault.released.set()
