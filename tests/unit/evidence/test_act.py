"""An act goes to a row and back, and a row that anybody may have written is judged."""

from __future__ import annotations

import orjson
import pytest

from worker.evidence.act import MOST_LIVES, Act, encode_act, new_act_id, read_act
from worker.evidence.bounded_json import Unreadable
from worker.evidence.receipt import MOST_ROW_BYTES

ACT = Act(
    id="0123456789abcdef",
    name="replayed",
    stage="begun",
    who="night-shift",
    role="operator",
    at=1_764_000_000_000,
    integration="shop",
    about="group 3f9a01c2",
    why="incident 4711",
    counts={"letters": 40, "withdrawals": 7},
    lives=("0" * 32, "f" * 32),
)


def test_an_act_comes_back_as_it_was() -> None:
    assert read_act(encode_act(ACT)) == ACT
    assert orjson.loads(encode_act(ACT))["kind"] == "act"
    assert new_act_id() != new_act_id()


def test_as_many_lives_as_may_be_fit_in_a_row() -> None:
    row = encode_act(ACT._replace(lives=["0" * 32] * MOST_LIVES, why="ä" * 300, about="ä" * 300))
    assert len(row) <= MOST_ROW_BYTES
    assert len(read_act(row).lives) == MOST_LIVES


def test_a_text_that_is_too_long_is_cut_and_can_be_read() -> None:
    told = read_act(encode_act(ACT._replace(why="ä" * 5000, who="\ud800")))
    assert told.why == "ä" * 299 + "…"
    assert told.who == "?"


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "receipt"},
        {"name": "deleted"},
        {"stage": "half"},
        {"who": None},
        {"who": "x" * 301},
        {"at": -1},
        {"at": "now"},
        {"counts": [1]},
        {"counts": {"letters": "many"}},
        {"counts": {str(n): n for n in range(17)}},
        {"id": "x" * 65},
        {"lives": "0" * 32},
        {"lives": ["0" * 31]},
        {"lives": ["g" * 32]},
        {"lives": ["0" * 32] * (MOST_LIVES + 1)},
    ],
)
def test_what_is_no_act_is_told(changes: dict[str, object]) -> None:
    said = orjson.loads(encode_act(ACT)) | changes
    with pytest.raises(Unreadable):
        read_act(orjson.dumps(said))
