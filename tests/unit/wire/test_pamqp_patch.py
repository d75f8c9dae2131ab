"""A worker needs no patch of pamqp: what may come back to it, pamqp reads as it is.

Messages come by the tap. Only one kind goes through aiormq and pamqp: a message of the worker's own
that fitted no queue and is returned, with properties that were read from anybody's.
"""

from __future__ import annotations

import importlib.util
import random
from pathlib import Path
from typing import Any

import pamqp.header
import pytest
from hypothesis import given
from hypothesis import strategies as st

import worker
from devtools.fuzz import amqp
from worker.broker.republished import successor_of
from worker.wire.frames import encode_content_header
from worker.wire.property_reader import read_properties


def _header_as_installed() -> Any:
    """pamqp's own class, whatever another test has patched in this process."""
    spec = importlib.util.spec_from_file_location("pamqp_header", pamqp.header.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.ContentHeader


ContentHeader = _header_as_installed()


@given(st.randoms(use_true_random=False))
def test_what_is_published_again_can_come_back(chance: random.Random) -> None:
    came = read_properties(amqp.content_header(chance))
    again = successor_of(came, {"consent-attempts": 1})
    header = ContentHeader()
    header.unmarshal(encode_content_header(again, 1))
    assert header.properties.message_id == again.message_id
    assert header.properties.headers["consent-attempts"] == 1


def test_pamqp_as_it_is_raises_for_what_may_come() -> None:
    """Or the commands would need no patch, either."""
    with pytest.raises(Exception):  # noqa: B017, PT011 - of many kinds
        ContentHeader().unmarshal(b"\x00\x3c\x00\x00" + b"\x00" * 8 + b"\x80\x00\x02\xff\xfe")


def test_the_commands_for_dead_letters_alone_patch_it() -> None:
    root = Path(worker.__file__).parent
    callers = [
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if "    accept_any_properties()" in path.read_text()
    ]
    assert callers == ["broker/dead_letter_queue.py"]
