"""`make demo`, the first thing that anybody sees."""

from __future__ import annotations

import pytest

from devtools import demo


@pytest.mark.timeout(120)
async def test_the_demo_shows_every_fate(
    broker_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await demo.show(broker_url)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "20 published = 14 delivered + 4 skipped + 2 dead letters left"
    told = [line.split() for line in lines if line.startswith("   ")]
    for fate in (
        ["shop", "skipped", "no-answer:", "nothing-mapped"],
        ["press", "skipped", "no-such-profile:", "no-profile"],
        ["none", "dead", "(no", "id):", "invalid-json"],
        ["shop", "retried", "patient:", "adobe-unavailable,"],
        ["shop", "delivered", "patient"],
        ["shop", "dead", "late:", "retries-exhausted"],
        ["shop", "delivered", "late"],
    ):
        assert fate in [one[: len(fate)] for one in told]
    assert any(one[:2] == ["shop", "delivered"] and "choice-" in one[2] for one in told)
    assert "   replayed 1" in lines
    assert any("late@shop.example" in line and '{"newsletter": true}' in line for line in lines)
