"""A free port of this machine."""

from __future__ import annotations

import random
import socket
from typing import Final

# Below what kernels give to outgoing connections (32768 and up on Linux, 49152 and up elsewhere).
_LASTING: Final = range(20_000, 32_000)
_TRIES: Final = 100


def free_port() -> int:
    """A port of the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def lasting_port() -> int:
    """A free port that no outgoing connection takes while its server is down. Raises OSError."""
    problem = OSError("no port is free")
    for port in random.SystemRandom().sample(_LASTING, _TRIES):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                problem = error
                continue
            return port
    raise problem
