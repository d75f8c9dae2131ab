"""pamqp is used as it is: whatever may come back by aiormq, it can read.

Messages come by the tap, those of the commands, too. Only one kind goes through aiormq and pamqp: a
message of the worker's own that fitted no queue and is returned,
with properties that were read from anybody's.
"""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st
from pamqp.header import ContentHeader

from devtools.fuzz import amqp
from worker.broker.republished import successor_of
from worker.wire.frames import encode_content_header
from worker.wire.property_reader import read_properties


@given(st.randoms(use_true_random=False))
def test_what_is_published_again_can_come_back(chance: random.Random) -> None:
    came = read_properties(amqp.content_header(chance))
    again = successor_of(came, {"consent-attempts": 1})
    header = ContentHeader()
    header.unmarshal(encode_content_header(again, 1))
    assert header.properties.message_id == again.message_id
    assert (header.properties.headers or {})["consent-attempts"] == 1
