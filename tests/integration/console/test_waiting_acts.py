"""What the page of an act says while it waits, and for what."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

from pydantic import SecretStr
from yarl import URL

from devtools.proxy import TcpProxy, through
from devtools.waiting import wait_until
from tests.integration.console.letter_parts import letter_stack
from worker.interrupt import Stop
from worker.letters.letter_desk import open_desk


async def test_a_command_that_has_the_letters_is_not_told_as_a_broker_that_is_away(
    broker_url: str, namespace: str, tmp_path: Path
) -> None:
    url = URL(broker_url)
    async with (
        TcpProxy(url.host or "", url.port or 5672) as proxy,
        letter_stack(
            broker_url, namespace, tmp_path, by_way_of=through(broker_url, proxy.port)
        ) as stack,
    ):
        await stack.bury(*range(30))
        act = await stack.begin("/dead-letters/preview/replay", rate="15", canaries="0")
        run = stack.console.letters.acts.find(act.rpartition("/")[2])
        assert run is not None
        await wait_until(lambda: run.act.handled > 3, "some are replayed")
        proxy.cut()
        await stack.wait_for(act, "The broker is away")
        settings = stack.console.context.settings.model_copy(
            update={"amqp_url": SecretStr(broker_url)}
        )
        async with open_desk(settings, nullcontext(Stop()), lambda said: None):
            proxy.restore()
            await stack.post(f"{act}/go-on")
            page = await stack.wait_for(act, "another command works on the dead letters")
            assert "The broker is away" not in page
            assert "Try the broker now" not in page
        await stack.wait_for(act, "Replayed ")
        await stack.wait_for_depth("dead-letters", 0)
