"""How many dead letters may be on their way at once, by how large they are."""

from __future__ import annotations

import pytest

from worker.broker.letter_reading import window_size

MEBIBYTE = 1024 * 1024


@pytest.mark.parametrize(
    ("letters", "body_bytes", "size"),
    [
        pytest.param(0, 0, 20, id="nobody knows yet"),
        pytest.param(20, 20 * 1024, 2_000, id="1 KiB each"),
        pytest.param(20, 0, 2_000, id="empty"),
        pytest.param(20, 20 * 256 * 1024, 128, id="256 KiB each"),
        pytest.param(2_000, 2_000 * 32 * 1024, 1_024, id="32 KiB each"),
        pytest.param(20, 20 * 16 * MEBIBYTE, 20, id="16 MiB each"),
    ],
)
def test_a_window_is_as_large_as_its_letters_are_small(
    letters: int, body_bytes: int, size: int
) -> None:
    assert window_size(letters, body_bytes) == size
