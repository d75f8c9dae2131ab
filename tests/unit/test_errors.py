"""The exit codes of the exceptions that end a command."""

from __future__ import annotations

import signal

import pytest

from worker.broker.broker_access import BrokerAway
from worker.broker.declare_refusals import TopologyConflict
from worker.cli import main
from worker.cli.event_input import BadInput
from worker.errors import EndsCommand
from worker.integrations.loading import InvalidIntegrations, NoSuchIntegration
from worker.interrupt import Interrupted
from worker.settings import UnusableSetting
from worker.wire.private_parts import UnsupportedLibrary


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (BadInput("line 3 is no JSON"), 1, "line 3 is no JSON"),
        (InvalidIntegrations([]), 2, ""),
        (NoSuchIntegration("there is no shop"), 2, "there is no shop"),
        (UnsupportedLibrary("aiormq lacks a part"), 2, "aiormq lacks a part"),
        (UnusableSetting("setting X: no"), 2, "setting X: no"),
        (BrokerAway("no answer"), 3, "no answer"),
        (TopologyConflict("queue q"), 3, "queue q"),
        (Interrupted(signal.SIGINT, "3 published"), 130, "interrupted: 3 published"),
        (Interrupted(signal.SIGTERM, "3 published"), 143, "interrupted: 3 published"),
    ],
)
def test_a_command_ends_by_its_sentence_and_its_code(
    error: EndsCommand,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def command() -> None:
        raise error

    monkeypatch.setattr(main, "build_app", lambda *_: command)
    monkeypatch.setattr("sys.argv", ["consent-worker", "publish"])
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == code
    assert capsys.readouterr().err == f"consent-worker: {said}\n"
