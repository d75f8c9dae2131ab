"""`consent-worker state` on a real Redis: what it shows, and that it ends the alarm."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from yarl import URL

from tests.unit.cli.conftest import CommandLine, cli
from worker.cli.command_act import RECEIPTS_OFF
from worker.cli.state import FOLLOWS

__all__ = ["cli"]
PRESENT, LOST, LOST_BEFORE = "1" * 16, "2" * 16, "3" * 16
BEGAN, NOTICED = 1_800_000_000_000, 1_800_000_060_999
STATE = f"{PRESENT} {BEGAN} {LOST_BEFORE}:{BEGAN}:{NOTICED} {LOST}:{NOTICED}:0"


@pytest.fixture
def server(redis_url: str, namespace: str, cli: CommandLine) -> Iterator[redis.Redis]:
    """The Redis of the command, which has no secret and needs none."""
    cli.set("STATE_URL", redis_url)
    cli.set("NAMESPACE", namespace)
    client = redis.Redis.from_url(redis_url)
    yield client
    client.delete(f"{namespace}:epoch")
    client.close()


@pytest.mark.parametrize("command", ["show", "accept"])
def test_a_redis_that_no_worker_has_used_is_told_and_stays_as_it_is(
    cli: CommandLine, server: redis.Redis, namespace: str, command: str
) -> None:
    ran = cli.run("state", command)
    assert (ran.code, ran.err) == (1, "")
    assert ran.out == f"no worker has used this state, or not with the namespace {namespace}\n"
    assert server.keys(f"{namespace}:*") == []


def test_without_a_loss_there_is_nothing_to_accept(
    cli: CommandLine, server: redis.Redis, namespace: str
) -> None:
    server.set(f"{namespace}:epoch", f"{PRESENT} {BEGAN}")
    since = f"the state knows what was sent since 2027-01-15T08:00:00Z (epoch {PRESENT})\n"
    assert cli.run("state", "show").out == since + "no loss was noticed\n"
    ran = cli.run("state", "accept")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == since + "no loss was noticed\nnothing to accept\n"


def test_a_loss_is_shown_and_accepted(
    cli: CommandLine, server: redis.Redis, namespace: str
) -> None:
    server.set(f"{namespace}:epoch", STATE)
    shown = cli.run("state", "show")
    lines = [
        f"the state knows what was sent since 2027-01-15T08:00:00Z (epoch {PRESENT})",
        f"lost: epoch {LOST_BEFORE}, noticed 2027-01-15T08:00:00Z, accepted 2027-01-15T08:01:00Z",
        f"lost: epoch {LOST}, noticed 2027-01-15T08:01:00Z",
    ]
    assert shown.out.splitlines() == lines
    assert server.get(f"{namespace}:epoch") == STATE.encode(), "to show changes nothing"
    ran = cli.run("state", "accept")
    assert (ran.code, ran.err) == (0, f"{RECEIPTS_OFF}\n")
    assert ran.out.splitlines()[:6] == [*lines, *(f"- {one}" for one in FOLLOWS)]
    assert "within 5 s (CONSENT_WORKER_WATCH_SECONDS)" in ran.out
    assert "docs/runbooks/state-lost.md" in ran.out
    (first, second) = cli.run("state", "show", "--json").document["lost"]
    assert first["accepted"] == "2027-01-15T08:01:00Z", "when it was accepted stays"
    assert second["accepted"] is not None


def test_both_print_json(cli: CommandLine, server: redis.Redis, namespace: str) -> None:
    server.set(f"{namespace}:epoch", STATE)
    shown = cli.run("state", "show", "--json").document
    assert shown == {
        "epoch": PRESENT,
        "began": "2027-01-15T08:00:00Z",
        "lost": [
            {
                "epoch": LOST_BEFORE,
                "noticed": "2027-01-15T08:00:00Z",
                "accepted": "2027-01-15T08:01:00Z",
            },
            {"epoch": LOST, "noticed": "2027-01-15T08:01:00Z", "accepted": None},
        ],
    }
    accepted = cli.run("state", "accept", "--json").document
    assert accepted == shown | {"newly_accepted": [LOST]}
    assert cli.run("state", "accept", "--json").document["newly_accepted"] == []


def test_where_it_can_not_be_put_on_record_nothing_is_accepted(
    cli: CommandLine, server: redis.Redis, namespace: str
) -> None:
    server.set(f"{namespace}:epoch", STATE)
    cli.set("RECEIPTS", "on")
    ran = cli.run("state", "accept")
    assert (ran.code, ran.out) == (3, "")
    assert "the trail can't be written: no connection to RabbitMQ" in ran.err
    assert "nothing was done. --unrecorded does it without a record" in ran.err
    assert server.get(f"{namespace}:epoch") == STATE.encode()
    ran = cli.run("state", "accept", "--unrecorded")
    assert (ran.code, "this is not on record: the trail" in ran.err) == (0, True)
    assert cli.run("state", "show", "--json").document["lost"][1]["accepted"] is not None


def test_what_can_not_be_looked_at_is_not_accepted(
    cli: CommandLine, server: redis.Redis, redis_url: str, namespace: str
) -> None:
    """An operator's user has a right to the epochs, and none to what is known of inlets."""
    server.set(f"{namespace}:epoch", STATE)
    server.acl_setuser(
        namespace,
        enabled=True,
        passwords=["+of-this-test"],
        keys=[f"{namespace}:epoch", f"{namespace}:*:probe"],
        categories=["+@all"],
    )
    try:
        url = URL(redis_url).with_user(namespace).with_password("of-this-test")
        cli.set("STATE_URL", str(url))
        assert cli.run("state", "show").code == 0
        ran = cli.run("state", "accept")
        assert (ran.code, ran.out) == (3, "")
        assert "run the command again" in ran.err
        assert server.get(f"{namespace}:epoch") == STATE.encode()
    finally:
        server.acl_deluser(namespace)
