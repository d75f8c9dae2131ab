"""Numbers of things in a sentence: `1 dead letter`, `2 dead letters`."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """`number` and `noun`, which is given for one and gets an s for any other number."""
    return f"{number} {noun if number == 1 else f'{noun}s'}"


def verb(number: int, singular: str, plural: str) -> str:
    """The verb that goes with such a number of things."""
    return singular if number == 1 else plural
