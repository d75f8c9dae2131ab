"""Keeps the log lines of libraries out of what a person reads."""

from __future__ import annotations

import logging
from typing import Final

_QUIET: Final = ("aio_pika", "aiormq", "pamqp", "aiohttp.access", "asyncio")
"""Chatty at info, and nothing in them that our own log lines don't say better. pamqp quotes names
of headers, which producers choose."""


def silence_libraries() -> None:
    """Keep the libraries' log lines out: ours say the same, in one line and without a traceback."""
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL)
