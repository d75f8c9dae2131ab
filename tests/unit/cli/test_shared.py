"""What commands say of the broker, and the ages they take."""

from __future__ import annotations

import pytest
from aiormq.exceptions import (
    ChannelAccessRefused,
    ChannelInvalidStateError,
    ChannelNotFoundEntity,
    ConnectionNotAllowed,
    DeliveryError,
    ProbableAuthenticationError,
)
from pamqp.commands import Basic

from worker.broker.broker_access import what_happened
from worker.moments import moment_ms, span_seconds, told


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ChannelAccessRefused("ACCESS_REFUSED - queue 'q'"), "refuses this user: ACCESS_REFUSED"),
        (ChannelNotFoundEntity("NOT_FOUND - no queue 'q'"), "consent-worker topology declare"),
        (DeliveryError(None, Basic.Nack()), "did not take a message (DeliveryError)"),
        (TimeoutError(), "did not answer in time"),
        (ChannelInvalidStateError(), "was lost (ChannelInvalidStateError)"),
        (ConnectionError("amqp://user:hush@host"), "was lost (ConnectionError)"),
        (ProbableAuthenticationError("amqp://user:hush@host"), "refuses the user or the password"),
        (ConnectionNotAllowed(530, "amqp://user:hush@host"), "the virtual host is not there"),
    ],
)
def test_what_went_wrong_with_the_broker_is_a_sentence(error: Exception, text: str) -> None:
    assert text in what_happened(error)
    assert "hush" not in what_happened(error)


NOW_MS = 1_800_000_000_000


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("2h", 7_200), ("7d", 604_800)]
)
def test_a_span_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert span_seconds(text) == seconds
    assert moment_ms(text, NOW_MS) == NOW_MS - seconds * 1000


@pytest.mark.parametrize("text", ["", "2", "h", "2 h", "٣d", "-2h", "2w", "1.5h", "2026-13-01"])
def test_any_other_span_or_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        span_seconds(text)
    with pytest.raises(ValueError, match="must be"):
        moment_ms(text, NOW_MS)


@pytest.mark.parametrize(
    "text",
    ["2027-01-15T08:00:00Z", "2027-01-15T09:00+01:00", "2027-01-15 08:00", "20270115T080000Z"],
)
def test_a_moment_without_an_offset_is_utc(text: str) -> None:
    assert moment_ms(text, 0) == NOW_MS


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (None, "-"),
        (NOW_MS, "2027-01-15T08:00:00Z (0s ago)"),
        (NOW_MS - 90_000, "2027-01-15T07:58:30Z (90s ago)"),
        (NOW_MS - 7_200_000, "2027-01-15T06:00:00Z (2h ago)"),
        (NOW_MS + 180_000, "2027-01-15T08:03:00Z (in 3m)"),
    ],
)
def test_a_moment_is_told_absolute_and_relative(moment: int | None, text: str) -> None:
    assert told(moment, NOW_MS) == text
