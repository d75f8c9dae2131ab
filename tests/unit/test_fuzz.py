"""The fuzzer finds what is wrong, makes it small, and says how to run it again."""

from __future__ import annotations

import ast
import os
import signal
import time
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from devtools.fuzz import __main__ as command
from devtools.fuzz import attempt as attempts
from devtools.fuzz.attempt import SLOW, Fault, attempt, watched
from devtools.fuzz.fleet import blocks, fuzz
from devtools.fuzz.reduce import reduced
from devtools.fuzz.run import run
from devtools.fuzz.target import Target
from devtools.fuzz.targets import TARGETS


def target(check: Callable[[Any], None], make: Callable[[Random], Any] | None = None) -> Target:
    return Target("own", make or (lambda r: r.randbytes(60)), check)


def burn(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def refuse_sevens(data: bytes) -> None:
    if b"\x07" in data:
        raise KeyError("seven")


def test_what_raises_is_found_once_and_made_small() -> None:
    tally = run(target(refuse_sevens), 1, range(200), set())
    (finding,) = tally.findings
    assert tally.cases == 200
    assert tally.faulty > 10, "a sixth of the cases has a seven"
    assert finding.case == b"\x07"
    assert finding.fault.kind == "KeyError"
    assert finding.fault.where.endswith("refuse_sevens")
    with pytest.raises(KeyError):
        refuse_sevens(target(refuse_sevens).case(1, finding.number))


def test_what_costs_too_much_is_found_and_made_small() -> None:
    def check(number: int) -> None:
        burn(0.06 if number >= 40 else 0)

    tally = run(target(check, lambda r: r.randrange(80)), 1, range(20), set())
    (finding,) = tally.findings
    assert (finding.fault, finding.case) == (SLOW, 40)
    assert "ms of CPU" in finding.sentence


def test_what_is_slow_but_costs_nothing_is_no_finding() -> None:
    """A busy machine takes time from a case, and a case is not to be blamed for it."""
    assert attempt(target(lambda _: time.sleep(0.08)), b"").fault is None


def test_what_is_slow_only_the_first_time_is_no_finding() -> None:
    filled: list[int] = []

    def check(_: object) -> None:
        burn(0 if filled else 0.06)
        filled.append(1)

    assert attempt(target(check), b"").fault is None
    assert len(filled) > 1


def test_what_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "_LONGEST_SECONDS", 0.2)

    def check(_: object) -> None:
        while True:
            try:
                burn(10)
            except Exception:  # readers do so
                continue

    with watched():
        assert attempt(target(check), b"").fault == SLOW


@pytest.mark.parametrize(
    ("case", "is_faulty", "smallest"),
    [
        (b"abcXdefXghi", lambda one: one.count(b"X") == 2, b"XX"),
        ("some text!", lambda one: "!" in one, "!"),
        ([1, -5, 300], lambda one: any(part > 99 for part in one), [100]),
        (
            ({"a": [1, 2], "b": "x"}, True),
            lambda one: "b" in one[0],
            ({"b": ""}, False),
        ),
        (
            b'{"id": "x", "user": {"name": "lena", "tags": [[1], [2]]}}',
            lambda one: b"tags" in one and one.endswith(b"}"),
            b"tags}",
        ),
    ],
)
def test_reducing(case: Any, is_faulty: Callable[[Any], bool], smallest: Any) -> None:
    assert reduced(case, is_faulty) == smallest


def test_reducing_a_document_leaves_one() -> None:
    def is_faulty(data: bytes) -> bool:
        try:
            return bool(ast.literal_eval(data.decode())["a"]["b"])
        except Exception:
            return False

    case = b'{"x": [1, 2, 3], "a": {"c": "long text", "b": [5, 6]}, "y": {}}'
    assert reduced(case, is_faulty) == b'{"a":{"b":[0]}}'


def test_each_case_is_run_once_whatever_the_processes() -> None:
    two = [Target("a", lambda _: b"", print, share=1), Target("b", lambda _: b"", print, share=3)]
    seen = [(one.target, number) for one in blocks(two, 4_000) for number in one.numbers]
    assert len(seen) == len(set(seen)) == 4_000
    assert sum(index for index, _ in seen) == 3_000


def test_a_case_is_the_same_in_any_process() -> None:
    for one in TARGETS:
        assert one.case(7, 5) == one.case(7, 5)
    assert TARGETS[0].case(7, 5) != TARGETS[0].case(8, 5)


def test_a_process_that_dies_is_a_finding_and_the_others_go_on() -> None:
    def check(number: int) -> None:
        if number == 3:
            os.kill(os.getpid(), signal.SIGKILL)

    dying = Target("own", lambda r: r.randrange(4), check)
    tallies = list(fuzz([dying, target(lambda _: None)], 1, 4_000, 2))
    deaths = [one for tally in tallies for one in tally.findings]
    assert {one.fault for one in deaths} == {Fault("died", "SIGKILL")}
    assert all(dying.case(1, one.number) == 3 for one in deaths)


def test_the_command_says_how_to_run_a_finding_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "_BY_NAME", {"own": target(refuse_sevens)})
    monkeypatch.setattr("sys.argv", ["fuzz", "--target", "own", "--cases", "300", "--seed", "5"])
    assert command.main() == 1
    said = capsys.readouterr().out
    assert "KeyError" in said
    assert "--target own --case" in said
    assert "--target own --seed 5 --number" in said

    monkeypatch.setattr("sys.argv", ["fuzz", "--target", "own", "--case", r"b'\x07'"])
    assert command.main() == 1
    monkeypatch.setattr("sys.argv", ["fuzz", "--target", "own", "--case", "b'x'"])
    assert command.main() == 0


def test_the_command_is_content_when_nothing_is_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "_BY_NAME", {"own": target(lambda _: None)})
    monkeypatch.setattr("sys.argv", ["fuzz", "--target", "own", "--cases", "300", "--seed", "5"])
    assert command.main() == 0
    assert "300 cases" in capsys.readouterr().out


@pytest.mark.parametrize("one", TARGETS, ids=lambda one: one.name)
def test_cases_are_literals_and_pass(one: Target) -> None:
    for number in range(60):
        case = one.case(1, number)
        assert ast.literal_eval(repr(case)) == case
        outcome = attempt(one, case)
        assert outcome.fault in (None, SLOW), outcome.sentence
