"""The soak: what people choose, by events and by snapshots of their devices, ends on both kinds of
inlet as the oracle says, whatever happens on the way.
"""

from __future__ import annotations

import os
import random
from pathlib import Path
from uuid import uuid4

import pytest

from devtools.soak.customer import KINDS, Kind
from tests.truth.batches import AT_ONCE, batches, how_many, seed_of
from tests.truth.fleet import Plan
from tests.truth.playing import played
from tests.truth.smallest import COPIES, Wrong, smallest
from tests.truth.soak_histories import make_soak_history

HISTORIES = 30
"""Of each kind in `make test`."""
STEPS = os.environ.get("SOAK_STEPS")
"""`SEED:0,3,4` plays these steps of a single history alone, as a failure names it."""
SMALLER_SECONDS = 120.0
STORES = ("redis", "memory", "file")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("batch", batches(HISTORIES))
@pytest.mark.parametrize("kind", KINDS)
def test_adobe_ends_with_what_people_chose(
    broker_url: str, redis_url: str, tmp_path: Path, kind: Kind, batch: int
) -> None:
    seed, count = seed_of(batch), min(AT_ONCE, how_many(HISTORIES))
    store = random.Random(seed).choice(STORES if kind != "xdm-events" else ("redis", "file"))
    urls = {"redis": redis_url, "memory": "memory:"}
    workers = 3 if store == "redis" else 1

    def play(plan: Plan) -> dict[str, str]:
        return played(plan, broker_url, urls.get(store) or f"sqlite://{tmp_path}/{uuid4().hex}")

    histories = [make_soak_history(kind, seed * 1000 + number) for number in range(count)]
    plan = Plan.draw(seed, histories, workers)
    wrong = play(plan)
    if wrong:
        again = f"SOAK_SEED={seed} SOAK_HISTORIES={count} pytest tests/truth/test_soak.py -k {kind}"
        lines = [f"{plan}; state in {store}", *wrong.values(), f"\nAgain: {again}"]
        suspects = [one for one in histories if one.organization in wrong]
        pytest.fail("\n".join([*lines, _told(kind, smallest(suspects, play, SMALLER_SECONDS))]))


def _told(kind: Kind, found: Wrong | None) -> str:
    if found is None:
        return "\nAlone, where nothing befalls the workers, each of these goes well."
    named = f"{found.history.seed}:{','.join(map(str, found.steps))}"
    again = f"SOAK_STEPS={named} pytest tests/truth/test_soak.py -k 'alone and {kind}'"
    return f"\nThe smallest history that goes wrong:\n{found.story}\n\nAgain: {again}"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", KINDS)
def alone(broker_url: str, redis_url: str, kind: Kind) -> None:
    """Plays what SOAK_STEPS names."""
    seed, _, steps = (STEPS or "").partition(":")
    history = make_soak_history(kind, int(seed))
    kept = [int(one) for one in steps.split(",")] if steps else range(len(history.steps))
    copies = [history.only(kept, f"{seed}.{copy}") for copy in range(COPIES)]
    wrong = played(Plan(int(seed), 1, 1000, [], copies), broker_url, redis_url)
    assert not wrong, "\n".join(wrong.values())


if STEPS:
    test_alone = alone
