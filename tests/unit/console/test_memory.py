"""What the console remembers, and how configurations are shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.console.console_parts import SECRET, write_integration
from worker.console.console_database import ConsoleMemory, SeenConfig
from worker.console.masked_config import difference, masked_text
from worker.integrations.loading import load_integration
from worker.integrations.model import Integration
from worker.integrations.secret_references import SecretSource


def _loaded(path: Path) -> Integration:
    return load_integration(path, SecretSource({}), lambda _: None)


def test_the_secret_lasts_as_long_as_the_file(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite.console"
    memory = ConsoleMemory(path)
    secret = memory.secret()
    assert memory.secret() == secret
    assert len(secret) == 32
    memory.close()
    again = ConsoleMemory(path)
    assert again.secret() == secret
    again.close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_where_nothing_can_be_written_it_forgets(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    memory = ConsoleMemory(tmp_path / "nowhere" / "console")
    assert len(memory.secret()) == 32
    assert "console.forgets" in "".join(capfd.readouterr())
    memory.close()
    broken = tmp_path / "broken"
    broken.write_bytes(b"no database " * 100)
    other = ConsoleMemory(broken)
    assert other.versions("shop") == []
    other.close()


def test_five_versions_of_each_integration_are_kept_and_each_once(tmp_path: Path) -> None:
    memory = ConsoleMemory(tmp_path / "console")
    seen = [SeenConfig("shop", f"v{n}", f"text {n}", 100 + n) for n in range(8)]
    for one in seen:
        memory.note([one, SeenConfig("museum", "v0", "text", 5)], 200)
        memory.note([one], 200)
    assert memory.versions("shop") == seen[:2:-1]
    assert memory.versions("museum") == [SeenConfig("museum", "v0", "text", 5)]
    memory.close()


def test_a_version_that_is_in_force_again_is_the_latest(tmp_path: Path) -> None:
    memory = ConsoleMemory(tmp_path / "console")
    first, other = SeenConfig("shop", "a", "A", 10), SeenConfig("shop", "b", "B", 20)
    for now, one in ((11, first), (21, other)):
        memory.note([one], now)
    for put_back, since in ((first._replace(seen_at=30), 30), (other, 40), (first, 50)):
        memory.note([put_back], since)
        memory.note([put_back], since + 5)
        latest, before = memory.versions("shop")
        assert (latest.text, latest.seen_at) == (put_back.text, since), "with its old time, too"
        assert before.text != put_back.text
        known = [(one.version, one.seen_at, one.until) for one in memory.known_versions("", 5)]
        assert known == [
            (latest.version, since, None),
            (before.version, before.seen_at, since),
        ]
    memory.close()


def test_of_two_versions_of_one_moment_the_one_that_was_seen_last_is_the_latest(
    tmp_path: Path,
) -> None:
    memory = ConsoleMemory(tmp_path / "console")
    for text in ("B", "A", "C", "A"):
        memory.note([SeenConfig("shop", text, text, 10)], 10)
    assert [one.text for one in memory.versions("shop")] == ["A", "C", "B"]
    memory.close()


def test_secrets_and_the_inlet_are_masked_and_their_change_is_seen(tmp_path: Path) -> None:
    path = write_integration(tmp_path, "shop")
    text = masked_text(_loaded(path), b"key")
    document = json.loads(text)
    assert document["organization_id"] == "northwind"
    assert document["mappings"][0]["id"] == "_northwind.newsletter"
    for planted in (SECRET, "api-key-of-shop", "collection/shop"):
        assert planted not in text
    assert document["authentication"]["client_id"].startswith("\u2022\u2022\u2022\u2022 (digest ")
    assert masked_text(_loaded(path), b"other key") != text, "digests are of this console alone"
    changed = json.loads(path.read_text())
    changed["authentication"]["client_secret"] = "another"
    changed["enabled"] = False
    path.write_text(json.dumps(changed))
    lines = difference(text, masked_text(_loaded(path), b"key"))
    signs = [(one.sign, one.text.strip().partition(":")[0]) for one in lines if one.kind != "ctx"]
    assert ("\u2212", '"client_secret"') in signs
    assert ("+", '"client_secret"') in signs
    assert ("+", '"enabled"') in signs
    assert difference(text, text) == []
