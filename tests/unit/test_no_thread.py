"""A thread that the machine does not start costs one look-up, one line or one call, and no more."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from tests.unit.adobe.test_host_lookup import ADDRESS, Names
from tests.unit.observability.test_log_writer import LINE, File, Pipe
from worker.adobe.host_lookup import HostLookup
from worker.ordering.sqlite_store import SqliteStore
from worker.ordering.store_protocol import Claim, Granted, StoreUnavailable, Timing


def starts_no_thread_once(patch: pytest.MonkeyPatch, name: str) -> None:
    """As a machine that is out of threads, or of memory for one, when the next `name` begins."""
    start = threading.Thread.start

    def start_or_fail(thread: threading.Thread) -> None:
        if thread.name == name:
            patch.setattr(threading.Thread, "start", start)
            raise RuntimeError("can't start new thread")
        start(thread)

    patch.setattr(threading.Thread, "start", start_or_fail)


async def test_a_host_name_is_looked_up_by_who_asks_next(monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names()
    lookup = HostLookup(names.look_up)
    starts_no_thread_once(monkeypatch, "host-lookup")
    with pytest.raises(OSError, match="starts no thread"):
        await lookup.resolve("good.test", 443)
    assert names.asked == []
    found: Any = await lookup.resolve("good.test", 443)
    assert found[0]["host"] == ADDRESS


def test_a_line_of_the_log_that_needs_one_is_dropped_and_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pipe = Pipe()
    starts_no_thread_once(monkeypatch, "log")
    pipe.writer.write("y" * 300_000)
    assert pipe.dropped == [], "told when the log goes on"
    pipe.writer.write("the next")
    assert pipe.lines(1) == ["the next"]
    assert pipe.dropped == [1]
    pipe.writer.write("y" * 300_000)
    assert pipe.lines(1) == ["y" * 300_000], "by the next thread"
    pipe.close()


def test_a_line_of_which_the_rest_is_dropped_is_glued_to_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = File(tmp_path / "log")
    starts_no_thread_once(monkeypatch, "log")
    with log.room(10):
        log.writer.write(LINE)
    log.writer.write("kept")
    assert log.lines(2) == [LINE[:10], "kept"]
    assert log.dropped == [1]
    log.close()


async def test_a_state_in_a_file_is_away_for_one_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SqliteStore(tmp_path / "state.sqlite", Timing(60.0, 86_400.0))
    starts_no_thread_once(monkeypatch, "sqlite")
    with pytest.raises(StoreUnavailable, match="starts no thread"):
        await store.begin("shop", [Claim("lena", ("a",))])
    [answer] = await store.begin("shop", [Claim("lena", ("a",))])
    assert isinstance(answer, Granted)
    await store.close()
