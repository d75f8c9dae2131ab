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


def why_unreachable(error: BaseException) -> str:
    """A part of a sentence, such as "nothing listens at this host and port"."""
    found = _known(error)
    cause = error.__cause__
    if found is None and cause is not None:  # aiormq puts its own around the system's
        found = _known(cause)
    return found or f"the connection ended ({type(error).__name__})"


def _known(error: BaseException) -> str | None:
    match error:
        case ProbableAuthenticationError() | AuthenticationError():
            return "RabbitMQ refuses the user or the password"
        case ChannelAccessRefused():
            return "this user lacks a right that a worker needs"
        case ConnectionNotAllowed():
            return _NO_VIRTUAL_HOST
        case InvalidFrameError() if "Close" in str(error):  # aiormq expects no refusal there
            return _NO_VIRTUAL_HOST
        case IncompatibleProtocolError():
            return "what answers there does not speak AMQP 0-9-1; it may be another port's"
        case ssl.SSLCertVerificationError():
            return "the certificate is not trusted, or is another host's"
        case ssl.SSLError():
            return "TLS fails; the port may be one without it"
        case gaierror():
            return "the name of the host is not known"
        case ConnectionRefusedError():
            return "nothing listens at this host and port"
        case TimeoutError():
            return "there was no answer in time"
        case _:
            return None
