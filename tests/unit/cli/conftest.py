"""The commands in this process, as the entry point runs them, on a directory of a test's own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from devtools.examples import integration_document
from worker.cli.main import main

NOBODY = "amqp://someone:hush@127.0.0.1:1/"
"""A broker that is not there."""


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


class CommandLine:
    """`run` calls a command; settings are set by `set`."""

    def __init__(
        self, directory: Path, monkeypatch: pytest.MonkeyPatch, captured: pytest.CaptureFixture[str]
    ) -> None:
        self.integrations = directory / "integrations"
        self.integrations.mkdir()
        self._stdin = directory / "stdin"
        self._monkeypatch = monkeypatch
        self._captured = captured
        self.set("INTEGRATIONS", self.integrations)
        self.set("AMQP_URL", NOBODY)
        self.set("RECEIPTS", "off")  # who tests them turns them on

    def set(self, name: str, value: object) -> None:
        self._monkeypatch.setenv(f"CONSENT_WORKER_{name}", str(value))

    def add(self, integration_id: str, **changes: Any) -> Path:
        path = self.integrations / f"{integration_id}.json"
        modes = {"payload_mode": "upsert"} | changes
        path.write_text(json.dumps(integration_document(id=integration_id, **modes)))
        return path

    def run(self, *arguments: str, stdin: bytes = b"") -> Ran:
        self._monkeypatch.setattr("sys.argv", ["consent-worker", *arguments])
        self._stdin.write_bytes(stdin)
        code = 0
        with self._stdin.open() as opened:
            self._monkeypatch.setattr("sys.stdin", opened)
            try:
                main()
            except SystemExit as leaving:
                code = leaving.code if isinstance(leaving.code, int) else int(bool(leaving.code))
        return Ran(code, *self._captured.readouterr())


@pytest.fixture
def cli(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> CommandLine:
    return CommandLine(tmp_path, monkeypatch, capsys)
