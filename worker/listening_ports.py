"""A port that a process can't listen at, as a sentence that names what to change."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from worker.errors import WorkFailed

_REASONS: Final = {
    errno.EADDRINUSE: "another process listens there",
    errno.EACCES: "this user may not, as below port 1024 mostly",
    errno.EADDRNOTAVAIL: "this machine has no such address",
}


class PortUnusable(WorkFailed):
    """Nothing can be served at the port, so the process ends."""


class Named(NamedTuple):
    """By which settings or options an operator says where to listen."""

    host: str
    port: str


HTTP: Final = Named("CONSENT_WORKER_HTTP_HOST", "CONSENT_WORKER_HTTP_PORT")
"""Those of health and metrics, in every process."""
CONSOLE: Final = Named("CONSENT_WORKER_CONSOLE_HOST", "CONSENT_WORKER_CONSOLE_PORT")
DOOR: Final = Named("CONSENT_WORKER_DOOR_HOST", "CONSENT_WORKER_DOOR_PORT")


@contextmanager
def listening(host: str, port: int, named: Named) -> Iterator[None]:
    """Listen at `host` and `port` in the block. Raises `PortUnusable` where that can't be."""
    try:
        yield
    except socket.gaierror:
        raise PortUnusable(f"can't listen at {host}: no such host is known; {_do(named)}") from None
    except OSError as error:
        reason = _REASONS.get(error.errno or 0) or os.strerror(error.errno or errno.EIO)
        raise PortUnusable(f"can't listen at {host}:{port}: {reason}; {_do(named)}") from None


def _do(named: Named) -> str:
    return f"set {named.port} or {named.host}"
