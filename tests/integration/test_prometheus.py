"""A real Prometheus scrapes a real worker and a real RabbitMQ, by the rules of the repository."""

from __future__ import annotations

import asyncio
import json
import re
import urllib.parse
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from devtools.native_prometheus import NativePrometheus
from devtools.native_rabbitmq import NativeRabbitMQ
from devtools.stack import Stack, event
from devtools.waiting import wait_until
from tests.integration.door.door_parts import running_door

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
RULES: Final = DEPLOY / "prometheus/rules.yml"
CONFIGURATION: Final = DEPLOY / "prometheus/prometheus.yml"
DASHBOARD: Final = DEPLOY / "grafana/consent-worker.json"
_TOO_LARGE: Final = 2_000_000
_SELECTOR: Final = re.compile(
    r"\b(?:consent|rabbitmq|process)_[a-z0-9_]+\b(?:\{[^}]*\})?|\bup\{[^}]*\}"
)


@pytest.fixture(scope="module")
def broker(promtool: str) -> Iterator[NativeRabbitMQ]:
    """One that tells its metrics."""
    with NativeRabbitMQ(has_metrics=True) as started:
        yield started


@pytest.fixture
async def stack(broker: NativeRabbitMQ) -> AsyncIterator[Stack]:
    settings = {"RECEIPTS": "on", "EVENT_QUEUES": "events,events.2"}
    async with Stack(broker.url, "consent", **settings) as running:
        for name in ("shop", "press"):
            running.add_integration(name)
        yield running


def _jobs(broker: NativeRabbitMQ, **ports: int) -> list[dict[str, Any]]:
    """Those of the local stack, by names with `_` for `-`, at other addresses: what is not named is
    left out, as where it was not started.
    """
    of_broker = broker.metrics_port
    assert of_broker is not None
    ports |= {"rabbitmq": of_broker, "rabbitmq_queues": of_broker}
    found = []
    for job in yaml.safe_load(CONFIGURATION.read_text())["scrape_configs"]:
        port = ports.pop(job["job_name"].replace("-", "_"), None)
        if port is not None:
            job.pop("dns_sd_configs", None)
            found.append(job | {"static_configs": [{"targets": [f"127.0.0.1:{port}"]}]})
    assert not ports
    return found


def _ledger_ports(stack: Stack) -> list[str]:
    log = "".join(one.read_text() for one in stack.path.glob("ledger-*.log"))
    return re.findall(r'"http_port": ?(\d+)', log)


def _http_port(stack: Stack) -> int:
    ports = [one["http_port"] for one in stack.log_entries() if one["event"] == "worker.started"]
    return int(ports[-1])


def _expressions_of_rules() -> dict[str, str]:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    return {one["alert"]: one["expr"] for one in group["rules"]}


def _expressions_of_dashboard() -> dict[str, str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in panels
        for target in panel.get("targets", ())
    }


def _selectors(expressions: dict[str, str]) -> set[str]:
    """What the expressions ask for, with the values of their labels."""
    found = set()
    for expression in expressions.values():
        without_variables = re.sub(r'\w+=~"\$\w+",?', "", expression)
        found |= {one.replace("{}", "") for one in _SELECTOR.findall(without_variables)}
    return found


async def test_every_metric_that_a_rule_or_the_dashboard_names_exists(
    stack: Stack, broker: NativeRabbitMQ
) -> None:
    stack.override("LEDGER_URL", f"sqlite://{stack.path}/ledger.sqlite")
    stack.start_worker()
    stack.start_ledger()
    await stack.wait_until_consuming()
    await stack.publish([json.dumps(event("org-shop", "lena@a.example")).encode()])
    await wait_until(lambda: stack.delivered("shop"), "the event")
    await wait_until(lambda: _ledger_ports(stack), "the ledger")
    (ledger_port,) = map(int, _ledger_ports(stack))
    async with running_door(broker.url, "consent") as one:
        jobs = _jobs(
            broker,
            consent_worker=_http_port(stack),
            consent_worker_door=one.door.http_port,
            consent_worker_ledger=ledger_port,
        )
        await _all_exist(jobs)


async def _all_exist(jobs: list[dict[str, Any]]) -> None:
    with NativePrometheus(jobs, RULES) as prometheus:

        def is_scraped() -> bool:
            return len(prometheus.query("up == 1")) == len(jobs)

        await wait_until(lambda: asyncio.to_thread(is_scraped), "all targets to be scraped")
        selectors = _selectors(_expressions_of_rules()) | _selectors(_expressions_of_dashboard())
        assert len(selectors) > 30
        missing = {one for one in selectors if not await asyncio.to_thread(prometheus.query, one)}
        assert missing == set()
        wrong = {}
        for name, expression in _expressions_of_dashboard().items():
            told = expression.replace("$integration", ".*").replace("$__rate_interval", "1m")
            try:
                await asyncio.to_thread(prometheus.query, told)
            except urllib.error.HTTPError as problem:
                wrong[name] = problem.read().decode()
        assert wrong == {}


def _firing(prometheus: NativePrometheus) -> set[str]:
    alerts = prometheus.ask("alerts")["alerts"]
    return {one["labels"]["alertname"] for one in alerts if one["state"] == "firing"}


async def test_the_first_letters_of_a_worker_and_of_the_broker_and_faults_of_a_set_up_fire(
    stack: Stack, broker: NativeRabbitMQ
) -> None:
    stack.start_worker()
    await stack.wait_until_consuming()
    jobs = _jobs(broker, consent_worker=_http_port(stack))
    with NativePrometheus(jobs, RULES) as prometheus:

        async def fires(name: str) -> bool:
            return name in await asyncio.to_thread(_firing, prometheus)

        def has_samples() -> bool:
            return len(prometheus.query("consent_ready offset 3s == 1")) == 1

        await wait_until(lambda: asyncio.to_thread(has_samples), "some scrapes")
        assert not await fires("ConsentDeadLetter")
        await stack.publish([b"no json"])
        await wait_until(lambda: fires("ConsentDeadLetter"), "the alert")
        await stack.publish([b"x" * _TOO_LARGE])  # the worker rejects it, and the broker buries it
        for name in ("ConsentMessageRefused", "ConsentBrokerDeadLetter"):
            await wait_until(partial(fires, name), name)
        stack.sandbox.state.faults.inject(target="token", kind="refuse-token")
        (stack.integrations / "bad.json").write_text("{")
        await stack.publish([json.dumps(event("org-press", "lena@a.example")).encode()])

        async def is_pending() -> bool:
            alerts = (await asyncio.to_thread(prometheus.ask, "alerts"))["alerts"]
            names = {one["labels"]["alertname"] for one in alerts}
            return {"ConsentIntegrationBlocked", "ConsentFileInvalid"} <= names

        await wait_until(is_pending, "the alerts that wait for their time")
