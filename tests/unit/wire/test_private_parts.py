"""The private parts of the libraries: all there, and missed with a sentence when they are not.

This is the conformance test that the series of versions in pyproject.toml refer to.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any, cast

import pytest
from aiormq import Channel
from aiormq.base import FutureStore
from pamqp import frame
from pamqp.commands import Basic, Connection

from worker.cli.main import main
from worker.wire.confirms import ConfirmChannel
from worker.wire.private_parts import (
    PRIVATE_PARTS,
    PrivatePart,
    UnsupportedLibrary,
    check_private_parts,
    missing_parts,
)

OWN = [part for part in PRIVATE_PARTS if part.name in vars(part.owner)]


def test_the_installed_libraries_have_all() -> None:
    assert missing_parts() == []
    check_private_parts()


@pytest.mark.parametrize("part", OWN, ids=str)
def test_a_part_that_is_renamed_is_missed(
    part: PrivatePart, monkeypatch: pytest.MonkeyPatch
) -> None:
    if part.name == "__init__":
        monkeypatch.setattr(part.owner, part.name, lambda self, other: None)
    else:
        for one in getattr(part.owner, "__mro__", (part.owner,)):  # it may be inherited as well
            if part.name in vars(one):
                monkeypatch.delattr(one, part.name)
    assert part.name in [one.name for one in missing_parts()]
    with pytest.raises(UnsupportedLibrary, match=part.name):
        check_private_parts()


@pytest.mark.parametrize("part", [one for one in PRIVATE_PARTS if one.by], ids=str)
def test_a_part_that_is_no_longer_set_or_called_is_missed(
    part: PrivatePart, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a method is renamed and its old name stays behind for a while."""

    def other(self: object) -> None:
        """Neither names the part nor is what it was."""

    monkeypatch.setattr(part.owner, part.by, other)
    assert part in missing_parts()


@pytest.mark.parametrize("part", [one for one in OWN if one.parameters], ids=str)
def test_a_method_that_wants_something_else_is_missed(
    part: PrivatePart, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part.owner, part.name, lambda self, something, else_: None)
    assert part in missing_parts()


def test_a_worker_that_misses_one_says_so_and_ends(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["consent-worker", "run"])
    monkeypatch.delattr(Channel, "_on_confirm_frame")
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "Channel._on_confirm_frame, to hear confirms" in said
    assert "aiormq 7." in said


def test_every_hook_of_a_confirm_channel_is_listed() -> None:
    """What it defines and aiormq has too is called by aiormq."""
    ours = {name for name in vars(ConfirmChannel) if callable(vars(Channel).get(name))}
    hooks = {name for name in ours if not name.startswith("__")}
    assert hooks == {"_on_confirm_frame", "_on_return_frame"}
    assert hooks <= {part.name for part in PRIVATE_PARTS}


async def test_aiormq_calls_the_hooks_for_confirms_and_returns() -> None:
    """The real dispatch of a channel, fed with frames as pamqp reads them."""
    called: list[str] = []

    class Hooked(Channel):
        async def _on_confirm_frame(self, frame: Any) -> None:
            called.append(type(frame).__name__)

        async def _on_return_frame(self, frame: Any) -> None:
            called.append(type(frame).__name__)

    channel = Hooked(cast("Any", _Connection()), 1, publisher_confirms=True)
    for command in (Basic.Ack(1), Basic.Nack(2), Basic.Return(312, "NO_ROUTE", "", "x")):
        read = frame.unmarshal(frame.marshal(command, 1))[2]
        channel.frames.put_nowait((0, read))
    await channel.frames.join()
    assert called == ["Ack", "Nack", "Return"]


class _Connection:
    """As much of aiormq's connection as a channel looks at before it is opened."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.publisher_confirms = True
        self.connection_tune = Connection.Tune(2047, 131_072, 60)
        self.write_queue: asyncio.Queue[object] = asyncio.Queue()
        self.channels: dict[int, object] = {}
        self._store = FutureStore(self.loop)

    def _future_store_child(self) -> Any:
        return self._store
