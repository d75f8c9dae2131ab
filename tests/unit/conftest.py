"""What unit tests share. Property tests judge behaviour, never speed: a busy machine must not fail
them.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable

import pytest
from hypothesis import Phase, settings

from tests.unit.examples import QUOTED
from worker.observability.logging import configure_logging

settings.register_profile("unit", deadline=None)
# For `make mutants`: always the same examples, fewer, and a failing one is not made smaller.
settings.register_profile(
    "mutants",
    deadline=None,
    max_examples=25,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "unit"))


@pytest.fixture
def is_told() -> Callable[[str], bool]:
    """Whether something stands in the log."""
    stream = io.StringIO()
    configure_logging("json", "info", stream)

    def is_there(text: str) -> bool:
        assert QUOTED not in stream.getvalue()
        return text in stream.getvalue()

    return is_there
