"""Property tests judge behaviour, never speed: a busy machine must not fail them."""

import os

from hypothesis import Phase, settings

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
