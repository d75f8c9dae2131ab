"""What `docker compose up` brings up fits the program, as far as that shows without an engine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from devtools import broker, redis_server
from tests.unit.cli.conftest import CommandLine
from worker.broker.headers import LARGEST_BUNDLE_BYTES
from worker.evidence.heading import MOST_HEADING_BYTES, MOST_WRITTEN_BYTES
from worker.settings import WorkerSettings
from worker.settings.door import LEAST_SECRET_CHARACTERS

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


def service(name: str, text: str = COMPOSE) -> str:
    """The lines of a service."""
    (found,) = re.findall(rf"^  {name}:.*\n((?:    .*\n|\n)*)", text, re.MULTILINE)
    return str(found)


def test_a_stopped_worker_has_the_time_that_its_clean_end_may_take() -> None:
    (seconds,) = re.findall(r"stop_grace_period: (\d+)s", service("worker"))
    assert int(seconds) >= WorkerSettings.model_fields["shutdown_timeout_seconds"].default + 20


def test_a_stopped_door_has_the_time_that_its_clean_end_may_take() -> None:
    (seconds,) = re.findall(r"stop_grace_period: (\d+)s", service("door"))
    assert int(seconds) >= 2 * WorkerSettings.model_fields["door_answer_seconds"].default + 5


@pytest.mark.parametrize("name", ["ledger", "console"])
def test_what_reads_the_stream_has_the_time_that_its_clean_end_may_take(name: str) -> None:
    """The same as in Kubernetes: the default of ten seconds is too short for a stalled line."""
    (seconds,) = re.findall(r"stop_grace_period: (\d+)s", service(name))
    of_pod = (ROOT / "deploy/kubernetes/components/ledger/ledger.yaml").read_text()
    assert re.findall(r"terminationGracePeriodSeconds: (\d+)", of_pod) == [seconds]


def test_one_service_at_most_may_run_the_ledger() -> None:
    commands = re.findall(r"command: (\[.*?\])", COMPOSE)
    assert '["ledger"]' in commands
    assert [one for one in commands if "console" in one] == ['["console", "--no-ledger"]']


def test_receipts_are_signed_and_the_readme_has_them_verified() -> None:
    assert "CONSENT_WORKER_RECEIPTS_SECRET: ${RECEIPTS_SECRET:-" in COMPOSE
    screen = (ROOT / "README.md").read_text().split("## Local stack")[1].split("```")[1]
    for command in ("oauth2/token", "webhooks/didomi", "admin/profiles", "find", "verify", "down"):
        assert command in screen


def test_the_door_is_started_only_when_it_is_asked_for_and_keeps_others_out() -> None:
    door = service("door")
    assert "profiles: [door, all]" in door
    (secret,) = re.findall(r"DOOR_CLIENT_SECRET:-([^}]*)}", door)
    assert len(secret) >= LEAST_SECRET_CHARACTERS
    port = WorkerSettings.model_fields["door_port"].default
    assert f'ports: ["127.0.0.1:{port}:{port}"]' in door


def test_the_console_is_started_only_when_it_is_asked_for_and_with_keys_that_it_takes() -> None:
    console = service("console")
    assert "profiles: [console, all]" in console
    keys = dict(re.findall(r"CONSENT_WORKER_(CONSOLE_\w+_KEY): \$\{\w+:-(.*)\}", console))
    assert len(set(keys.values())) == 3
    WorkerSettings.model_validate({name.lower(): key for name, key in keys.items()})
    assert f"(`{keys['CONSOLE_OPERATOR_KEY']}`)" in (ROOT / "README.md").read_text()


def test_all_ports_are_published_on_loopback_alone_and_many_workers_can_be_run() -> None:
    ports = [
        port
        for row in re.findall(r"ports: \[(.*)\]", COMPOSE)
        for port in re.findall('"(.*?)"', row)
    ]
    assert len(ports) == 8
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert 'ports: ["127.0.0.1::8080"]' in service("worker")


def test_no_tag_is_built_twice_and_none_is_pulled_that_is_built_here() -> None:
    assert COMPOSE.count("build:") == 1
    assert "build:" in service("sandbox")
    for one in ("worker", "door"):
        assert "pull_policy: never" in service(one)


def test_compose_has_no_obsolete_version() -> None:
    assert not re.search("^version:", COMPOSE + PLUGIN, re.MULTILINE)


def test_redis_asks_for_a_password_that_no_command_line_shows() -> None:
    redis = service("redis")
    assert "requirepass" in redis
    assert "protected-mode" not in redis
    assert "redis://:${REDIS_PASSWORD:-local}@redis" in COMPOSE
    assert "REDISCLI_AUTH: ${REDIS_PASSWORD:-local}" in redis
    assert not re.search(r"redis-server .*requirepass|redis-cli .*-a", redis)


def test_redis_reads_its_configuration_where_no_umask_can_keep_it_from_it() -> None:
    # The image's entry point gives what it starts as root a umask of 0077, and Redis is not root.
    assert "docker-entrypoint.sh redis-server - <<end" in service("redis")
    assert "redis.conf" not in service("redis")


def test_the_worker_is_not_process_1_which_misses_signals() -> None:
    assert "\n  init: true" in COMPOSE.partition("services:")[0]


def test_a_dead_node_makes_retries_late_by_seconds() -> None:
    (source,) = re.findall(r"- \./(\S+):/etc/rabbitmq/advanced\.config:ro", service("rabbitmq"))
    assert (
        "[{rabbit, [{dead_letter_worker_publisher_confirm_timeout, 10000}]}]."
        in (ROOT / source).read_text()
    )


def test_the_broker_takes_what_the_docs_say_and_all_that_a_process_publishes() -> None:
    (source,) = re.findall(r"- \./(\S+):/etc/rabbitmq/conf\.d/\S+:ro", service("rabbitmq"))
    said = re.compile(r"max_message_size = (\d+)")
    page = (ROOT / "docs/running-a-fleet.md").read_text()
    (bound,) = said.findall((ROOT / source).read_text())
    assert said.findall(page) == [bound]
    assert said.findall((ROOT / "deploy/kubernetes/examples/rabbitmq.yaml").read_text()) == [bound]
    receipts = MOST_WRITTEN_BYTES + MOST_HEADING_BYTES + 1
    largest = max(WorkerSettings().max_event_bytes, LARGEST_BUNDLE_BYTES, receipts)
    assert largest <= int(bound) < 2 * largest, "what no worker takes is refused at its producer"


def test_the_workers_of_the_local_stack_have_a_key_for_their_digests() -> None:
    assert "CONSENT_WORKER_ORDERING_SECRET: ${ORDERING_SECRET:-local}" in COMPOSE


def test_the_ledger_keeps_its_file_on_a_volume_that_its_user_may_write() -> None:
    (place,) = re.findall(r'volumes: \["ledger:(\S+)"\]', service("ledger"))
    assert f"CONSENT_WORKER_LEDGER_URL: sqlite://{place}/ledger.sqlite\n" in COMPOSE
    assert 'CONSENT_WORKER_RECEIPTS: "on"\n' in COMPOSE
    image = (ROOT / "Dockerfile").read_text()
    (user,) = re.findall(r"^USER (\d+):", image, re.MULTILINE)
    assert re.search(rf"^RUN install -d -o {user} .* {place}$", image, re.MULTILINE)
    assert "pull_policy: never" in service("ledger")
