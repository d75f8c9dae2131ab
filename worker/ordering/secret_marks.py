"""Whether the secret that a worker has is the one that a state was kept with. Pure.

A state keeps the mark of its secret: who comes with another one would find none of the stamps, and
let older choices win.
"""

from __future__ import annotations

from typing import Final

from worker.ordering.user_digests import Marks

HOW_TO_MAKE_ONE: Final = "`openssl rand -hex 32` makes one"
GUESSABLE: Final = (
    "CONSENT_WORKER_ORDERING_SECRET is empty: who can read Redis can find out whose choices it "
    f"holds by guessing; {HOW_TO_MAKE_ONE}, and docs/ordering.md says how to introduce it"
)
NEW_WITHOUT: Final = (
    "is required for a new namespace on Redis: without it who can read Redis can find out whose "
    f"choices it holds by guessing. {HOW_TO_MAKE_ONE}; give the same one to the whole fleet, and "
    "keep it. Where the namespace has been in use without a secret, set "
    "CONSENT_WORKER_ORDERING_SECRET_PREVIOUS to nothing beside it"
)
_ANOTHER: Final = (
    "is not the one that this state was kept with, so that no stamp would be found "
    "and older choices would win. Set the former one, or rotate: "
    "CONSENT_WORKER_ORDERING_SECRET_PREVIOUS is the former one (docs/ordering.md)"
)


class SecretRefused(ValueError):
    """The ordering secret can't be used with this state; the text says what to do."""


_PAST_AT_MOST: Final = 16


def mark_after(told: str | None, marks: Marks) -> str:
    """What is to be kept of the secrets of a state, of which `told` was kept until now; None where
    nothing was. Raises `SecretRefused` for another secret.
    """
    if told is None:
        return marks.present
    mark, *past = told.split(" ")
    if mark == marks.present:
        return told
    if mark != marks.previous:
        raise SecretRefused(_ANOTHER)
    if marks.present in past:  # a worker of the step before starts again: never backwards
        return told
    return " ".join((marks.present, mark, *past[: _PAST_AT_MOST - 1]))
