"""Why no reply came, in a sentence of ours for operators. Pure.

Nothing of an error's own text is told: it may hold the URL, and that a contact's identity, or what
the other side has chosen to say.
"""

from __future__ import annotations

import errno
import ssl
from typing import Final

import aiohttp

from worker.adobe.endpoints import PrivateAddress
from worker.adobe.response_bounds import ReplyTooLong

_BY_NUMBER: Final = {
    errno.ECONNREFUSED: "connection refused: nothing listens there, or a firewall says so",
    errno.ECONNRESET: "connection reset by the other side",
    errno.EPIPE: "connection closed by the other side",
    errno.ECONNABORTED: "connection aborted",
    errno.ENETUNREACH: "no route to the network of the host",
    errno.EHOSTUNREACH: "no route to the host",
    errno.ETIMEDOUT: "the host did not answer on the network",
    errno.EMFILE: "this worker has no more files to open: raise its limit of open files",
    errno.ENFILE: "this machine has no more files to open: raise its limit of open files",
    errno.EADDRNOTAVAIL: "this machine has no free port for another connection",
}
Sentences = tuple[tuple[type[Exception], str], ...]

_BEFORE_NUMBERS: Final[Sentences] = (
    (PrivateAddress, "the host's name leads to a private address, which is not allowed"),
    (
        ssl.SSLCertVerificationError,
        "TLS certificate not accepted: unknown, expired, or another's",
    ),
    (ssl.SSLError, "TLS could not be agreed upon with the other side"),
    (aiohttp.ClientConnectorDNSError, "the host's name is not resolved"),
)
_AFTER_NUMBERS: Final[Sentences] = (
    (aiohttp.ServerDisconnectedError, "connection closed by the other side before a reply"),
    (aiohttp.ClientConnectionResetError, "connection closed by the other side"),
    (ReplyTooLong, "the reply was longer than any of Adobe's, and was cut off"),
    (aiohttp.ClientPayloadError, "the reply broke off, or could not be unpacked"),
    (aiohttp.ClientResponseError, "what came was no reply of HTTP"),
    (aiohttp.ClientConnectorError, "no connection could be made"),
    (OSError, "the connection broke"),
    (ValueError, "the request could not be written: its URL or a header is not usable"),
)
"""Of each table the first that fits is told."""


def sentence_of(error: Exception) -> str:
    """What has happened to a request that got no reply."""
    causes = _causes(error)
    return (
        _by_kind(causes, _BEFORE_NUMBERS)
        or next((_BY_NUMBER[one] for one in map(_number, causes) if one in _BY_NUMBER), None)
        or _by_kind(causes, _AFTER_NUMBERS)
        or "the connection broke"
    )


def _by_kind(causes: list[BaseException], sentences: Sentences) -> str | None:
    for kind, sentence in sentences:
        if any(isinstance(one, kind) for one in causes):
            return sentence
    return None


def _number(error: BaseException) -> int | None:
    return error.errno if isinstance(error, OSError) else None


def _causes(error: BaseException) -> list[BaseException]:
    """The error, and what it was raised from, outermost first."""
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__
    return causes
