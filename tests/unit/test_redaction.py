"""What is masked in texts of others, and what is left to be read."""

from __future__ import annotations

import time

import pytest

from worker.redaction import redact


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        pytest.param("for lena@northwind.example now", "for <email> now", id="e-mail"),
        pytest.param("for lena%40northwind.example now", "for <email> now", id="encoded e-mail"),
        pytest.param("<lena@b.example>, 'max@b.example'", "<<email>>, '<email>'", id="two"),
        pytest.param("Bearer abc.def", "Bearer <token>", id="bearer token"),
        pytest.param("eyJhbGciOi.eyJzdWIi.c2ln", "<token>", id="JWT"),
        pytest.param("client_secret=hush&x=1", "client_secret=<secret>&x=1", id="form"),
        pytest.param('"api_key": "hush"', '"api_key": "<secret>"', id="JSON"),
        pytest.param(
            '"{\\"password\\":\\"hush\\"}', '"{\\"password\\":\\"<secret>\\"}', id="JSON in JSON"
        ),
        pytest.param("password = hush", "password = <secret>", id="assignment"),
        pytest.param("invalid client_secret parameter", None, id="words on a secret"),
        pytest.param("amqp://user:pw@host/", "amqp://<credentials>@host/", id="URL"),
        pytest.param("x" * 50, "<long value>", id="long value"),
        pytest.param("HTTP 400: Invalid XDM Message Format", None, id="plain words"),
        pytest.param("https://ns.adobe.com/problem/inlet", None, id="URL without credentials"),
        pytest.param("1795486162398:117:118", None, id="transaction"),
        pytest.param("0123456789ABCDEF01234567", None, id="an Adobe id"),
    ],
)
def test_what_looks_private_is_masked(text: str, masked: str | None) -> None:
    assert redact(text) == (text if masked is None else masked)


@pytest.mark.parametrize("part", ["a", "@", "a.", "a@", "a://", "eyJaaaaa.", "password ", "%40"])
def test_masking_takes_a_time_in_line_with_the_text(part: str) -> None:
    """The text may come from whoever answers; the whole worker stands still meanwhile."""
    begun = time.perf_counter()
    redact(part * (100_000 // len(part)))
    assert time.perf_counter() - begun < 5
