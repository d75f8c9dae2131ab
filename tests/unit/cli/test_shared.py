"""What commands say of the broker, and the ages they take."""

from __future__ import annotations

import pytest
import typer
from aiormq.exceptions import (
    ChannelAccessRefused,
    ChannelInvalidStateError,
    ChannelNotFoundEntity,
    DeliveryError,
)
from pamqp.commands import Basic

from worker.cli.command_support import what_happened
from worker.cli.dead_letter_commands import parse_age


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ChannelAccessRefused("ACCESS_REFUSED - queue 'q'"), "refuses this user: ACCESS_REFUSED"),
        (ChannelNotFoundEntity("NOT_FOUND - no queue 'q'"), "consent-worker topology declare"),
        (DeliveryError(None, Basic.Nack()), "did not take a message (DeliveryError)"),
        (TimeoutError(), "did not answer in time"),
        (ChannelInvalidStateError(), "was lost (ChannelInvalidStateError)"),
        (ConnectionError("amqp://user:hush@host"), "was lost (ConnectionError)"),
    ],
)
def test_what_went_wrong_with_the_broker_is_a_sentence(error: Exception, text: str) -> None:
    assert text in what_happened(error)
    assert "hush" not in what_happened(error)


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("", None), ("90s", 90_000), ("15m", 900_000), ("2h", 7_200_000), ("7d", 604_800_000)],
)
def test_an_age_is_a_number_and_a_unit(text: str, milliseconds: int | None) -> None:
    assert parse_age(text) == milliseconds


@pytest.mark.parametrize("text", ["2", "h", "2 h", "٣d", "-2h", "2w", "1.5h"])
def test_any_other_age_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_age(text)
