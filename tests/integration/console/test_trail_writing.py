"""Acts that wait to be put on record while the broker is slow or away."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from pydantic import SecretStr
from yarl import URL

from devtools.proxy import TcpProxy, through
from devtools.waiting import wait_until
from tests.integration.console.letter_parts import are_over, letter_stack
from tests.unit.ledger.made_acts import made_act
from worker.console import trail_writer
from worker.console.trail_writer import Trail
from worker.settings import WorkerSettings

ROOM = 3


async def test_what_makes_room_for_others_while_it_is_sent_takes_none_of_them_with_it(
    broker_url: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail_writer, "_MOST_WAITING", ROOM)
    acts = [made_act(number, stage="ended", result="done") for number in range(ROOM + 1)]
    url = URL(broker_url)
    async with (
        TcpProxy(url.host or "", url.port or 5672) as proxy,
        letter_stack(broker_url, namespace, tmp_path) as stack,
    ):
        by_way_of = SecretStr(through(broker_url, proxy.port))
        settings = WorkerSettings(amqp_url=by_way_of, namespace=namespace)
        trail = Trail(settings, lambda: int(time.time() * 1000))
        proxy.hold_answers()
        trail.note(acts[0])
        await wait_until(lambda: proxy.stall_those_who_said(b"AMQP"), "the first one to be sent")
        for one in acts[1:]:
            trail.note(one)
        assert trail.waiting == ROOM
        proxy.restore()
        told = await stack.trail(len(acts), are_over)
        assert {one.id for one in told} == {one.id for one in acts}
        await wait_until(lambda: trail.waiting == 0, "the last confirm")
        await trail.close()
