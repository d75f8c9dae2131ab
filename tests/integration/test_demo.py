"""`make demo`, the first thing that anybody sees, and the page that shows what it answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from devtools import demo

PAGE: Final = (Path(__file__).parents[2] / "docs/missing-choice.md").read_text()
_VARIES: Final = (
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ \((?:in )?\d+ (?:ms|s|min)(?: ago)?\)"), "TIME"),
    (re.compile(r"\d+ (?:ms|s|min|h) after"), "SPAN after"),
    (re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d{13}(?::\d+)+"), "ID"),
    (re.compile(r"\b[0-9a-f]{8}\b"), "GROUP"),
    (re.compile(r"attempt \d+  "), ""),
    (re.compile(r"HTTP 207"), "HTTP 200"),
)
"""From run to run."""


def _alike(line: str) -> str:
    for pattern, name in _VARIES:
        line = pattern.sub(name, line)
    return line.rstrip()


def _shown() -> Iterator[tuple[str, list[str]]]:
    """The commands of the page, each with what it shows of the answer."""
    for block in re.findall(r"```\n\$ (.*?)```", PAGE, flags=re.S):
        command, *lines = block.splitlines()
        yield command, lines


def _question(command: str) -> demo.Question:
    words, _, person = command.partition("   (")
    return demo.Question(words.split()[1:], person.partition(" on its")[0])


def _answers(lines: list[str]) -> dict[str, list[str]]:
    """What each command said, which is indented as all of the demo's story is."""
    found: dict[str, list[str]] = {}
    said: list[str] = []
    for line in lines:
        if line.startswith("   $ "):
            said = found[line.removeprefix("   $ ")] = []
        else:
            said.append(line.removeprefix("   "))
    return found


@pytest.mark.timeout(150)
async def test_the_demo_shows_every_fate_and_why_a_choice_is_missing(
    broker_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = dict(_shown())
    assert len(shown) == 9
    of_page = [_question(command) for command in shown]
    assert {one.words for one in demo.QUESTIONS} <= {
        ("status",),
        *(tuple(q.words) for q in of_page),
    }
    await demo.show(broker_url, [*of_page, demo.QUESTIONS[-1]])
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == (
        "23 published = 14 delivered + 5 skipped + 2 dead letters left + 2 that wait"
    )
    told = [line.split() for line in lines if line.startswith("   ")]
    for fate in (
        ["shop", "skipped", "no-answer:", "nothing-mapped"],
        ["shop", "skipped", "an-hour-ago:", "superseded"],
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
    answers = _answers(lines)
    for command, expected in shown.items():
        found = {_alike(line) for line in answers[command]}
        assert expected
        assert {_alike(line) for line in expected} - found == set(), answers[command]
    assert "everything adds up" in answers["consent-worker status"]


def test_a_line_of_the_demo_has_its_words_apart_however_long_they_are() -> None:
    long = demo.told("a-long-customer", "accepted_late", ["a", "b", "c", "d", "e", "f"], "timeout")
    assert long.split() == [
        *("a-long-customer", "accepted_late"),
        *("a,", "b,", "c,", "d", "and", "2", "more:", "timeout"),
    ]
    assert demo.told("shop", "dead", ["late"], "") == "   shop    dead       late"
