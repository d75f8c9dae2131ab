"""Fixtures on real parts: a RabbitMQ and a Redis per run, a namespace per test."""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import structlog

from devtools.broker import RunningBroker, running_broker
from devtools.chromium import ChromiumUnavailable
from devtools.chromium import ensure_installed as ensure_chromium
from devtools.native_prometheus import PrometheusUnavailable
from devtools.native_prometheus import ensure_installed as ensure_prometheus
from devtools.native_redis_cluster import NativeRedisCluster
from devtools.redis_server import running_redis
from devtools.servers import missing_servers
from devtools.sharing import shared

_WAITING_SHARE = 0.9
"""Of the order, in which what waits for servers is begun."""
_SERVER_FIXTURES = {"broker_url", "own_broker", "redis_cluster", "redis_url"}


def pytest_configure(config: pytest.Config) -> None:
    """Of several processes the first one asks for the servers: it collects nothing by itself, and
    the others would each say so.
    """
    is_first_of_many = bool(config.getoption("numprocesses", None))
    if is_first_of_many and "PYTEST_XDIST_WORKER" not in os.environ:
        unit_tests = Path(__file__).parent / "unit"
        paths = [config.invocation_params.dir / one.partition("::")[0] for one in config.args]
        if not all(one.resolve().is_relative_to(unit_tests) for one in paths):
            _exit_without_servers()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What may take long goes first, so that at the end no process works alone. What waits for
    servers and what only computes take turns, so that no core has nothing to do.
    """
    items.sort(key=_seconds_allowed, reverse=True)
    places = _places(items)
    items.sort(key=places.__getitem__)
    if "PYTEST_XDIST_WORKER" in os.environ:
        return  # see `pytest_configure`
    if any(_SERVER_FIXTURES & set(getattr(item, "fixturenames", ())) for item in items):
        _exit_without_servers()


def _exit_without_servers() -> None:
    problem = missing_servers()
    if problem is not None:
        pytest.exit(problem, returncode=1)
    with suppress(PrometheusUnavailable):  # which is said by those tests alone that need it
        ensure_prometheus()
    with suppress(ChromiumUnavailable):
        ensure_chromium()


def _places(items: list[pytest.Item]) -> dict[pytest.Item, float]:
    """Where in the order a test comes, as a share: of both kinds alike, but for the end."""
    units = Path(__file__).parent / "unit"
    kinds: tuple[list[pytest.Item], list[pytest.Item]] = ([], [])
    for item in items:
        kinds[item.path.is_relative_to(units)].append(item)
    waiting, computing = kinds
    shares = {one: _WAITING_SHARE * number / len(waiting) for number, one in enumerate(waiting)}
    return shares | {one: number / len(computing) for number, one in enumerate(computing)}


def _seconds_allowed(item: pytest.Item) -> float:
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0]) if marker else 0.0


@pytest.fixture(autouse=True)
def usual_logging() -> Iterator[None]:
    """Put the process's logging back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers = handlers
    root.setLevel(level)  # not by assignment, which leaves what loggers remember of it
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def broker_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real RabbitMQ: a container where Docker answers, the native server elsewhere."""
    with shared(_directory(tmp_path_factory), "rabbitmq", running_broker) as url:
        yield url


@pytest.fixture
def own_broker() -> Iterator[RunningBroker]:
    """A broker that nobody else uses, to be restarted."""
    with running_broker() as started:
        yield started


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real Redis; a test keeps to keys of its own `namespace` in it."""
    with shared(_directory(tmp_path_factory), "redis", running_redis) as url:
        yield url


@pytest.fixture(scope="module")
def redis_cluster() -> Iterator[NativeRedisCluster]:
    """A Redis Cluster whose masters may be killed and emptied; each test brings them back."""
    with NativeRedisCluster() as started:
        yield started


@pytest.fixture(scope="session")
def promtool() -> str:
    """The path of Prometheus's own tool, which is installed where that is possible."""
    try:
        return str(ensure_prometheus() / "promtool")
    except PrometheusUnavailable as problem:
        pytest.fail(str(problem))


@pytest.fixture
def namespace() -> str:
    """Prefix of exchanges, queues and keys that no other test uses."""
    return f"t{uuid.uuid4().hex[:8]}"


def _directory(factory: pytest.TempPathFactory) -> Path:
    """Common to all processes of a run, where it has many."""
    own = factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
