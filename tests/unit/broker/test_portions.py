"""How many messages are sent at once after connections were lost, and which wait alone."""

from __future__ import annotations

from pamqp.commands import Basic

from worker.broker.publish_portions import Portions
from worker.broker.size_bound import SizeRefusal, size_refusal_in
from worker.wire.confirms import Outgoing


def _messages(count: int) -> list[Outgoing]:
    return [Outgoing("", "q", Basic.Properties(), b"", True, lambda: None) for _ in range(count)]


def _losses_until_found(portions: Portions, pending: list[Outgoing], guilty: Outgoing) -> int:
    """Plays a broker that confirms what comes before the guilty one in no case."""
    losses = 0
    now = 0.0
    while not portions.problem_of(guilty):
        now += 1000
        in_flight: list[Outgoing] = []
        for one in pending:
            if portions.admits(one, len(in_flight), now):
                in_flight.append(one)
        if guilty in in_flight:
            losses += 1
            portions.lost(in_flight, "ended", now)
            portions.reopened()
        else:
            for one in in_flight:
                portions.answered(one)
                pending.remove(one)
    return losses


def test_a_guilty_one_among_many_is_found_after_few_connections_and_others_go_on() -> None:
    for place in (0, 1, 77, 250, 499):
        pending = _messages(500)
        guilty = pending[place]
        assert _losses_until_found(Portions(), pending, guilty) <= 16


def test_without_a_loss_all_are_sent_at_once() -> None:
    portions = Portions()
    assert all(portions.admits(one, number, 0) for number, one in enumerate(_messages(5000)))
    assert not portions.is_bounded


def test_one_message_on_one_lost_connection_goes_on_in_its_order() -> None:
    portions = Portions()
    first, second = _messages(2)
    portions.lost([first], "cut", 0)
    assert portions.admits(first, 0, 0)
    assert not portions.admits(second, 1, 0)
    portions.answered(first)
    assert portions.admits(second, 0, 0)


def test_what_was_set_aside_is_tried_alone_once_it_is_due() -> None:
    portions = Portions()
    guilty, other = _messages(2)
    for _ in range(2):
        portions.lost([guilty], "ended", 100)
    assert not portions.admits(guilty, 0, 100)
    assert portions.admits(other, 0, 100)
    assert not portions.admits(guilty, 1, 110), "others are unconfirmed"
    assert not portions.admits(other, 1, 110), "it waits until they are confirmed"
    assert portions.admits(guilty, 0, 110)
    assert not portions.admits(other, 1, 110)
    portions.answered(guilty)
    assert portions.admits(other, 0, 110)


def test_the_broker_s_words_for_a_message_that_is_too_large_are_understood() -> None:
    said = "PRECONDITION_FAILED - message size 200000 is larger than configured max size 65536"
    assert size_refusal_in(said) == SizeRefusal(200_000, 65_536)
    said = "PRECONDITION_FAILED - message size 536870913 is larger than max size 536870912"
    assert size_refusal_in(said) == SizeRefusal(536_870_913, 536_870_912)
    assert size_refusal_in("NOT_FOUND - no exchange 'x' in vhost '/'") is None
