"""What is masked in texts of others, and what is left to be read."""

from __future__ import annotations

import re
import time

import pytest

from worker.redaction import kept_id, redact, shown_id, shown_integration, shown_name


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        pytest.param("for lena@northwind.example now", "for <email> now", id="e-mail"),
        pytest.param("for lena%40northwind.example now", "for <email> now", id="encoded e-mail"),
        pytest.param("%40lena%40northwind.example", "<email>", id="encoded twice"),
        pytest.param("x" * 300 + "@b.example", "<email>", id="long e-mail"),
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
        pytest.param(
            "(transaction 7b1d2c34-1111-4222-8333-944455556666-000117)", None, id="UUID and index"
        ),
        pytest.param(
            "7b1d2c34-1111-4222-8333-944455556666-lee", "<long value>", id="UUID and name"
        ),
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


@pytest.mark.parametrize(
    "harmless",
    [
        *("ev-0001", "0d5c-ev_1", "3f0a6c1e-ev-0001", "event-12", "large", "a", "7", "letter-5"),
        *("7b1d2c34-1111-4222-8333-944455556666", "7B1D2C34-1111-4222-8333-944455556666"),
        *("0123456789abcdef" * 2, "01ARZ3NDEKTSV4RRFFQ69G5FAV"),
    ],
)
def test_an_id_that_tells_of_nobody_is_shown(harmless: str) -> None:
    assert shown_id(harmless) == harmless


@pytest.mark.parametrize(
    "telling",
    [
        *("lena@b.example", "lena%40b.example", "lena_lindqvist", "lena-lindqvist", "lindqvist"),
        *("491705550161", "1234567", "49-170-555-0161", "+49 170", "4711-PLANTED", "jane1985"),
        *("ev-1\n", "ev 1", "Zoë", "²", "", "-", "x" * 65, "1-" * 30 + "1", "bGVuYUBiLmV4YW1wbGU"),
        "7b1d2c34-1111-4222-8333-944455556666x",
    ],
)
def test_an_id_that_may_tell_of_a_person_is_not_shown(telling: str) -> None:
    assert shown_id(telling) is None


@pytest.mark.parametrize(
    ("given", "is_kept"),
    [
        ("from-the-producer", True),
        ("7b1d2c34-1111-4222-8333-944455556666", True),
        ("9" * 32, True),
        ("order:77/3", True),
        ("lena@b.example", False),
        ("Lena Lindqvist", False),
        ("+491705550161", False),
        ("Zoë", False),
        ("x" * 129, False),
        ("\ud800", False),
    ],
)
def test_a_producers_id_is_kept_or_its_digest(given: str, is_kept: bool) -> None:
    kept = kept_id(given)
    assert (kept == given) is is_kept
    assert is_kept or re.fullmatch("sha256-[0-9a-f]{32}", kept)


@pytest.mark.parametrize("given", [f"order {number}" for number in range(50)])
def test_what_is_kept_is_the_same_after_each_retry(given: str) -> None:
    """Many a digest has seven digits in a row, as a telephone number has."""
    kept = kept_id(given)
    assert kept_id(kept) == kept


@pytest.mark.parametrize(
    ("given", "is_shown"),
    [("northwind-eu", True), ("lena@b.example", False), ("491705550161", False), ("a b", False)],
)
def test_a_name_is_shown_by_its_shape(given: str, is_shown: bool) -> None:
    assert shown_name(given) == (given if is_shown else None)


@pytest.mark.parametrize(
    ("given", "is_shown"),
    [
        ("shop", True),
        ("acme-20251101", True),
        ("none", True),
        ("2025", True),
        ("lena@b.example", False),
        ("Lena Meier", False),
        ("+49 170 5550161", False),
        ("491705550161", False),
        ("0170-555-0161", False),
        ("lena%40b.example", False),
        ("", False),
    ],
)
def test_an_integration_that_was_typed_is_shown_by_its_shape(given: str, is_shown: bool) -> None:
    assert shown_integration(given) == (given if is_shown else None)
