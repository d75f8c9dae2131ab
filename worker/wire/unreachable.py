"""Why there is no connection with RabbitMQ, in words of ours.

What the libraries say may quote the address with its password, and names classes that an operator
need not know.
"""

from __future__ import annotations

import ssl
from socket import gaierror
from typing import Final

from aiormq.exceptions import (
    AuthenticationError,
    ChannelAccessRefused,
    ConnectionNotAllowed,
    IncompatibleProtocolError,
    InvalidFrameError,
    ProbableAuthenticationError,
)

_NO_VIRTUAL_HOST: Final = "the virtual host is not there, or is closed to this user"
_WRONG_CREDENTIALS: Final = "RabbitMQ refuses the user or the password"
_KNOWN: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (ProbableAuthenticationError, _WRONG_CREDENTIALS),
    (AuthenticationError, _WRONG_CREDENTIALS),
    (ChannelAccessRefused, "this user lacks a right that a worker needs"),
    (ConnectionNotAllowed, _NO_VIRTUAL_HOST),
    (
        IncompatibleProtocolError,
        "what answers there does not speak AMQP 0-9-1; it may be another port's",
    ),
    (ssl.SSLCertVerificationError, "the certificate is not trusted, or is another host's"),
    (ssl.SSLError, "TLS fails; the port may be one without it"),
    (gaierror, "the name of the host is not known"),
    (ConnectionRefusedError, "nothing listens at this host and port"),
    (TimeoutError, "there was no answer in time"),
)
"""The narrower ones first."""


def why_unreachable(error: BaseException) -> str:
    """A part of a sentence, such as "nothing listens at this host and port"."""
    if isinstance(error, InvalidFrameError) and "Close" in str(error):
        return _NO_VIRTUAL_HOST  # where aiormq expects no refusal
    for one in (error, error.__cause__):  # aiormq puts its own around the system's
        for kind, text in _KNOWN:
            if isinstance(one, kind):
                return text
    return f"the connection ended ({type(error).__name__})"
