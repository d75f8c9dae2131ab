"""What a person types as a reason is kept for years, and may have had a secret in it."""

from __future__ import annotations

import pytest

from worker.broker.act_writer import without_secrets


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("rotated SEKRET-cs-good-9f8e7d; see OPS-12", "rotated <masked>; see OPS-12"),
        ("token abc.DEF_0123456789-xyz", "token <masked>"),
        ("called +49 170 1234567 (mobile)", "called +49 170 <masked> (mobile)"),
        ("ev 0f3c1a52-7d1b-4c53-9a7e-6f0c6e1d2b3a again", None),
        ("the misconfigured-integration of 2026-11-30, 120 letters", None),
    ],
)
def test_long_words_with_digits_and_long_numbers_are_masked(typed: str, kept: str | None) -> None:
    assert without_secrets(typed) == (typed if kept is None else kept)
