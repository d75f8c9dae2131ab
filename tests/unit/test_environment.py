"""Variables that are settings, slips of the pen, unknown, or made by Kubernetes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from devtools.stack import Stack
from devtools.waiting import wait_until
from worker.environment_variables import Judgement, judge, mistakes_between
from worker.settings import WorkerSettings

KNOWN = {f"CONSENT_WORKER_{name.upper()}" for name in WorkerSettings.model_fields}


def _slips(name: str) -> Iterator[str]:
    for i in range(0, len(name) - 1, 5):
        yield name[:i] + name[i + 1 :]
        yield name[:i] + name[i] + name[i:]
        yield name[:i] + "X" + name[i + 1 :]
        yield name[:i] + name[i + 1] + name[i] + name[i + 2 :]


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_each_slip_of_the_pen_leads_to_what_was_meant(name: str) -> None:
    slips = set(_slips(name)) - {name}
    judged = judge(dict.fromkeys(slips, "x"), KNOWN)
    assert judged == Judgement(mistaken=tuple((slip, name) for slip in sorted(slips)))


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("CONSENT_WORKER_STATE_ULR", "CONSENT_WORKER_STATE_URL"),
        ("CONSENT_WORKERS_STATE_URL", "CONSENT_WORKER_STATE_URL"),
        ("CONSENTWORKER_STATE_URL", "CONSENT_WORKER_STATE_URL"),
        ("CONSNT_WRKER_STATE_URL", "CONSENT_WORKER_STATE_URL"),
        ("CONSENT-WORKER-STATE_URL", "CONSENT_WORKER_STATE_URL"),
        ("consent_worker_state_ulr", "CONSENT_WORKER_STATE_URL"),
        ("CONSENT_WORKER_PREFETCH_EVENT", "CONSENT_WORKER_PREFETCH_EVENTS"),
        ("CONSENT_WORKER__NAMESPACE", "CONSENT_WORKER_NAMESPACE"),
        ("CONSENT_WORKER_HTTP_PORT_", "CONSENT_WORKER_HTTP_PORT"),
    ],
)
def test_slips_of_every_kind(name: str, meant: str) -> None:
    assert judge({name: "x"}, KNOWN) == Judgement(mistaken=((name, meant),))


@pytest.mark.parametrize("name", ["CONSENT_WORKER_STATE_URL", "consent_worker_state_url"])
def test_a_setting_is_none_of_that(name: str) -> None:
    assert judge({name: "x"}, KNOWN) == Judgement()


@pytest.mark.parametrize(
    "name", ["CONSENT_WORKER_", "CONSENT_WORKER_REDIS", "CONSENT_WORKER_RABBITMQ_URL"]
)
def test_another_of_that_prefix_is_unknown(name: str) -> None:
    assert judge({name: "x"}, KNOWN) == Judgement(unknown=(name,))


def test_what_integrations_may_name_is_not_unknown() -> None:
    environment = {"CONSENT_WORKER_SECRET_SHOP": "x", "CONSENT_WORKER_OTHER": "x"}
    judged = judge(environment, KNOWN, "CONSENT_WORKER_SECRET_")
    assert judged == Judgement(unknown=("CONSENT_WORKER_OTHER",))


def test_the_variables_of_others_are_none_of_ours() -> None:
    environment = {"PATH": "/bin", "REDIS_URL": "x", "REDIS_PORT": "tcp://10.0.0.1:1", "WORKER": ""}
    assert judge(environment, KNOWN) == Judgement()


LINKS = {
    "_SERVICE_HOST": "10.0.0.1",
    "_SERVICE_PORT": "8080",
    "_SERVICE_PORT_HTTP": "8080",
    "_PORT": "tcp://10.0.0.1:8080",
    "_PORT_8080_TCP": "tcp://10.0.0.1:8080",
    "_PORT_8080_TCP_PROTO": "tcp",
    "_PORT_8080_TCP_PORT": "8080",
    "_PORT_8080_TCP_ADDR": "10.0.0.1",
    "_PORT_53_UDP": "udp://10.0.0.1:53",
    "_PORT_9_SCTP_ADDR": "10.0.0.1",
}


@pytest.mark.parametrize(
    "service", ["CONSENT_WORKER", "CONSENT_WORKER_HTTP", "CONSENT_WORKER_METRICS"]
)
def test_what_kubernetes_makes_for_a_service_is_a_link(service: str) -> None:
    environment = {f"{service}{end}": value for end, value in LINKS.items()}
    assert judge(environment, KNOWN) == Judgement(links=tuple(sorted(environment)))


def test_a_port_is_a_link_only_by_its_value() -> None:
    environment = {"CONSENT_WORKER_HTTP_PORT": "8080", "CONSENT_WORKER_PORT": "8080"}
    assert judge(environment, KNOWN) == Judgement(unknown=("CONSENT_WORKER_PORT",))


@pytest.mark.parametrize(
    ("a", "b", "mistakes"),
    [
        ("abc", "abc", 0),
        ("abc", "ab", 1),
        ("abc", "abcd", 1),
        ("abc", "axc", 1),
        ("abc", "acb", 1),
        ("abcd", "badc", 2),
        ("abc", "xyc", 2),
        ("abc", "xyz", 3),
        ("abcdef", "abc", 3),
        ("", "", 0),
        ("", "abcdef", 3),
    ],
)
def test_mistakes_are_counted_both_ways(a: str, b: str, mistakes: int) -> None:
    assert mistakes_between(a, b) == mistakes_between(b, a) == mistakes


SLIP = "consent-worker: CONSENT_WORKER_STATE_ULR is no setting; did you mean "


async def test_commands_refuse_a_slip_name_the_unknown_and_are_silent_about_links() -> None:
    async with Stack("amqp://127.0.0.1:1/", "t") as stack:
        stack.add_integration("shop")
        stack.override("SERVICE_HOST", "10.0.0.1")
        stack.override("HTTP_PORT", "tcp://10.0.0.1:8080")
        code, out, err = await stack.command("integrations", "validate")
        assert (code, err) == (0, "")
        stack.override("NONE_OF_OURS", "hush")
        assert await stack.command("integrations", "validate") == (
            0,
            out,
            "CONSENT_WORKER_NONE_OF_OURS is no setting and has no effect\n",
        )
        stack.override("STATE_ULR", "redis://:hush@h/")
        for command in (("run",), ("integrations", "list"), ("dead-letters", "list")):
            said = await stack.command(*command)
            assert said == (2, "", f"{SLIP}CONSENT_WORKER_STATE_URL?\n")
        code, _, err = await stack.command("dead-letters", "--help")
        assert (code, err) == (0, "")


async def test_a_worker_tells_of_the_unknown_and_of_links_and_works() -> None:
    stack = Stack(
        "amqp://127.0.0.1:1/", "t", PORT="tcp://10.0.0.1:8080", SERVICE_HOST="h", NONE_OF_OURS="x"
    )
    async with stack:
        stack.add_integration("shop")
        stack.start_worker()
        await wait_until(lambda: "broker.unreachable" in stack.log_text(), "the worker", 60)
        told = {one["event"]: one for one in stack.log_entries()}
        links = told["settings.service_links"]
        assert links["ignored"] == ["CONSENT_WORKER_PORT", "CONSENT_WORKER_SERVICE_HOST"]
        assert stack.log_text().count("settings.service_links") == 1
        unknown = told["settings.unknown"]["detail"]
        assert unknown == "CONSENT_WORKER_NONE_OF_OURS is no setting and has no effect"


@pytest.mark.parametrize("command", [("ledger", "--letters"), ("ledger", "--once"), ("console",)])
async def test_a_ledger_and_a_console_tell_of_the_unknown(command: tuple[str, ...]) -> None:
    async with Stack("amqp://127.0.0.1:1/", "t", NONE_OF_OURS="x", LOG_FORMAT="json") as stack:
        stack.override("LEDGER_URL", f"sqlite://{stack.path}/ledger.sqlite")
        _, _, err = await stack.command(*command)  # has no broker, or no key, and ends
    assert "CONSENT_WORKER_NONE_OF_OURS is no setting and has no effect" in err
