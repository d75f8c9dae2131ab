"""What `docker compose up` brings up fits the program, as far as that shows without an engine."""

from __future__ import annotations

import re
from pathlib import Path

from devtools import broker, redis_server
from tests.unit.cli.conftest import CommandLine
from worker.settings import WorkerSettings

ROOT = Path(__file__).parents[3]
COMPOSE = (ROOT / "docker-compose.yml").read_text()
PLUGIN = (ROOT / "docker-compose.plugin.yml").read_text()


def test_every_setting_exists() -> None:
    known = {f"CONSENT_WORKER_{name.upper()}" for name in WorkerSettings.model_fields}
    used = set(re.findall(r"CONSENT_WORKER_[A-Z_]+", COMPOSE + PLUGIN))
    assert used
    assert used <= known


def test_the_tests_use_the_images_of_the_stack() -> None:
    assert set(re.findall(r"image: (rabbitmq:\S+)", COMPOSE)) == {broker.DEFAULT_IMAGE}
    assert set(re.findall(r"image: (redis:\S+)", COMPOSE)) == {redis_server.DEFAULT_IMAGE}


def test_the_plugin_is_added_to_the_same_broker_in_its_release_for_that_series() -> None:
    directory = re.findall(r"build: (\S+)", PLUGIN)[0]
    dockerfile = (ROOT / directory / "Dockerfile").read_text()
    assert f"FROM {broker.DEFAULT_IMAGE}\n" in dockerfile
    series = broker.DEFAULT_IMAGE.removeprefix("rabbitmq:").rsplit(".", 1)[0]
    assert re.findall(r"ARG PLUGIN=(\S+)", dockerfile)[0].rsplit(".", 1)[0] == series


def test_the_example_event_would_be_delivered_by_the_example_integration(cli: CommandLine) -> None:
    examples = ROOT / "examples"
    for name in ("ALLOWED_HOSTS", "ALLOW_INSECURE"):
        (value,) = re.findall(rf'CONSENT_WORKER_{name}: "?([^"\n]+)', COMPOSE)
        cli.set(name, value)
    ran = cli.run(
        "explain",
        str(examples / "event.json"),
        "--config",
        str(examples / "integrations" / "shop.json"),
        "--json",
    )
    assert ran.code == 0, ran.err
    said = ran.document
    assert said["outcome"] == "deliver"
    assert said["unmatched"] == []
    assert said["request"]["url"].startswith("http://sandbox:9000/collection/")
