"""Why there is no connection with RabbitMQ, as an operator reads it."""

from __future__ import annotations

import ssl
from socket import gaierror

import pytest
from aiormq.exceptions import (
    AMQPConnectionError,
    ChannelAccessRefused,
    ConnectionNotAllowed,
    IncompatibleProtocolError,
    ProbableAuthenticationError,
)

from worker.wire.connecting import why_unreachable

SECRET = "amqp://user:hush@host"


def _wrapped(cause: OSError) -> AMQPConnectionError:
    error = AMQPConnectionError(SECRET)
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ProbableAuthenticationError(SECRET), "refuses the user or the password"),
        (ConnectionNotAllowed(530, SECRET), "virtual host"),
        (ChannelAccessRefused(SECRET), "lacks a right"),
        (IncompatibleProtocolError(SECRET), "does not speak AMQP"),
        (_wrapped(ssl.SSLCertVerificationError(SECRET)), "certificate"),
        (_wrapped(ssl.SSLError(SECRET)), "TLS fails"),
        (_wrapped(gaierror(-2, SECRET)), "name of the host"),
        (_wrapped(ConnectionRefusedError(SECRET)), "nothing listens"),
        (TimeoutError(SECRET), "no answer in time"),
        (AMQPConnectionError(SECRET), "the connection ended (AMQPConnectionError)"),
        (ConnectionResetError(SECRET), "the connection ended (ConnectionResetError)"),
    ],
)
def test_it_is_said_in_our_own_words(error: Exception, text: str) -> None:
    assert text in why_unreachable(error)
    assert "hush" not in why_unreachable(error)
