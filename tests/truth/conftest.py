"""What holds for all histories."""

from __future__ import annotations

from collections.abc import Iterator

import coverage
import pytest


@pytest.fixture(autouse=True)
def without_coverage() -> Iterator[None]:
    """Histories cover nothing that others don't, and would take half as long again."""
    measuring = coverage.Coverage.current()
    if measuring is not None:
        measuring.stop()
    yield
    if measuring is not None:
        measuring.start()
