"""What the objects of operators say: scaling, scraping, RabbitMQ and Redis."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from devtools import broker, redis_server
from tests.unit.deploy.kustomize import build, documents_in, find, of_kind, pod_of
from worker.broker.queue_names import Names
from worker.observability.metrics import Metrics
from worker.reasons import ParkReason

ROOT: Final = Path(__file__).parents[3]
KUBERNETES: Final = ROOT / "deploy" / "kubernetes"
ALL: Final = build(KUBERNETES / "overlays" / "all")
RABBITMQ: Final = documents_in(KUBERNETES / "examples" / "rabbitmq.yaml")
REDIS: Final = documents_in(KUBERNETES / "examples" / "redis.yaml")


def _scaled() -> dict[str, Any]:
    (found,) = of_kind(ALL, "ScaledObject")
    spec: dict[str, Any] = found["spec"]
    return spec


def _workers(**measured: float) -> float:
    """What the formula makes of these."""
    modifiers = _scaled()["advanced"]["scalingModifiers"]
    formula = re.fullmatch(r"(.+) \? (.+) : (.+)", modifiers["formula"])
    assert formula is not None
    condition, then, otherwise = formula.groups()
    names: dict[str, Any] = {"min": min, "max": max} | measured
    chosen = then if eval(condition, {"__builtins__": {}}, names) else otherwise
    result = eval(chosen, {"__builtins__": {}}, names)
    return float(result) / float(modifiers["target"])


@pytest.mark.parametrize(
    ("fresh", "cores", "waiting", "workers", "expected"),
    [
        pytest.param(0, 0.7, 0, 2, 1, id="idle"),
        pytest.param(200_000, 3, 0, 4, 10, id="a backlog"),
        pytest.param(0, 7, 0, 5, 10, id="busy"),
        pytest.param(200_000, 3, 0.8, 4, 4, id="a backlog while lanes wait: no more than run"),
        pytest.param(0, 7, 0.8, 5, 5, id="busy while lanes wait: no more than run"),
        pytest.param(20_000, 0.7, 0.8, 6, 1, id="fewer are enough while lanes wait"),
    ],
)
def test_workers_follow_the_fresh_backlog_and_their_cpu_below_a_ceiling(
    fresh: float, cores: float, waiting: float, workers: float, expected: float
) -> None:
    found = _workers(fresh=fresh, cores=cores, waiting=waiting, workers=workers)
    assert found == pytest.approx(expected)


def test_the_formula_names_each_trigger_and_what_they_ask_for_exists() -> None:
    spec = _scaled()
    names = [one["name"] for one in spec["triggers"]]
    formula = spec["advanced"]["scalingModifiers"]["formula"]
    assert set(re.findall(r"[a-z]+", formula)) - {"min", "max"} == set(names)
    metrics = {
        metric.name + ("_total" if metric.type == "counter" else ""): metric
        for metric in Metrics().registry.collect()
    }
    (service,) = (
        one for one in of_kind(ALL, "Service") if one["metadata"]["name"] == "consent-worker"
    )
    job = service["metadata"]["labels"]["app.kubernetes.io/name"]
    for one in spec["triggers"]:
        if one["type"] == "rabbitmq":
            assert one["metadata"]["queueName"] == Names("consent").events
            continue
        query = one["metadata"]["query"]
        named = set(re.findall(r"(?:consent|process)_[a-z_]+", query))
        assert {name for name in named if name.startswith("consent_")} <= set(metrics)
        assert named - set(metrics) <= {"process_cpu_seconds_total"}
        assert set(re.findall(r'job="([^"]+)"', query)) == {job}
        for reasons in re.findall(r'reason=~"([^"]+)"', query):
            assert set(reasons.split("|")) <= {str(reason) for reason in ParkReason}


def test_scaling_leaves_the_number_of_workers_to_keda() -> None:
    assert "replicas" not in find(ALL, "Deployment", "consent-worker")["spec"]
    assert _scaled()["scaleTargetRef"]["name"] == "consent-worker"
    assert _scaled()["minReplicaCount"] >= 1
    (authentication,) = of_kind(ALL, "TriggerAuthentication")
    (reference,) = authentication["spec"]["secretTargetRef"]
    assert (reference["name"], reference["key"]) == ("consent-worker", "CONSENT_WORKER_AMQP_URL")


def test_services_are_scraped_under_the_job_that_the_rules_name() -> None:
    (monitor,) = of_kind(ALL, "ServiceMonitor")
    label = monitor["spec"]["jobLabel"]
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    services = [
        one for one in of_kind(ALL, "Service") if wanted <= one["metadata"]["labels"].items()
    ]
    jobs = {one["metadata"]["labels"][label] for one in services}
    assert jobs == {"consent-worker", "consent-worker-door", "consent-worker-ledger"}
    rules = (ROOT / "deploy/prometheus/rules.yml").read_text()
    assert set(re.findall(r'job="([^"]+)"', rules)) <= jobs
    (endpoint,) = monitor["spec"]["endpoints"]
    for service in services:
        assert endpoint["port"] in {one["name"] for one in service["spec"]["ports"]}
    assert endpoint["path"] == "/metrics"


def test_rabbitmq_has_what_the_local_stack_has_and_the_rights_of_the_docs() -> None:
    (cluster,) = of_kind(RABBITMQ, "RabbitmqCluster")
    assert cluster["spec"]["image"] == broker.DEFAULT_IMAGE
    assert cluster["spec"]["replicas"] % 2 == 1
    advanced = (ROOT / "deploy/rabbitmq/advanced.config").read_text().splitlines()
    said = [line for line in advanced if not line.startswith("%")]
    assert cluster["spec"]["rabbitmq"]["advancedConfig"].splitlines() == said
    conf = (ROOT / "deploy/rabbitmq/20-consent-worker.conf").read_text().splitlines()[-1]
    assert conf in cluster["spec"]["rabbitmq"]["additionalConfig"].splitlines()
    page = "".join((ROOT / "docs" / name).read_text() for name in ("running-a-fleet.md", "door.md"))
    # Of the door the later line, with receipts.
    rights = {
        user: list(patterns)
        for user, *patterns in re.findall(
            r"set_permissions (\w+) (?:\\\n\s+)?'([^']*)' '([^']*)' '([^']*)'", page
        )
    }
    assert len(rights) == 5
    given = {
        one["spec"]["userReference"]["name"]: [
            one["spec"]["permissions"][kind] for kind in ("configure", "write", "read")
        ]
        for one in of_kind(RABBITMQ, "Permission")
    }
    assert given == rights
    assert {one["metadata"]["name"] for one in of_kind(RABBITMQ, "User")} == set(rights)
    assert given["ledger"] == given["operator"], "both make passes over the dead letters"


def test_each_user_of_rabbitmq_has_a_secret_and_is_in_a_url_of_another() -> None:
    secrets = {one["metadata"]["name"]: one["stringData"] for one in of_kind(RABBITMQ, "Secret")}
    names = set()
    for user in of_kind(RABBITMQ, "User"):
        said = secrets.pop(user["spec"]["importCredentialsSecret"]["name"])
        assert set(said) == {"username", "password"}
        names.add(said["username"])
        assert said["username"] == user["metadata"]["name"]
    assert secrets == {}, "nobody's"
    used = {
        urlsplit(one["stringData"]["CONSENT_WORKER_AMQP_URL"]).username
        for one in documents_in(KUBERNETES / "examples" / "secrets.yaml")
        if "CONSENT_WORKER_AMQP_URL" in one["stringData"]
    }
    assert used == names - {"producer"}


def test_the_pods_of_rabbitmq_keep_the_standard_of_their_namespace() -> None:
    (cluster,) = of_kind(RABBITMQ, "RabbitmqCluster")
    namespace = find(ALL, "Namespace", cluster["metadata"]["namespace"])
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    pod = cluster["spec"]["override"]["statefulSet"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    named = [*pod["initContainers"], *pod["containers"]]
    assert [one["name"] for one in named] == ["setup-container", "rabbitmq"]
    for one in named:
        assert one["securityContext"]["allowPrivilegeEscalation"] is False
        assert one["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_no_policy_bounds_a_queue() -> None:
    (policy,) = of_kind(RABBITMQ, "Policy")
    assert set(policy["spec"]["definition"]) == {"queue-leader-locator"}
    assert policy["spec"]["applyTo"] == "queues"
    for name in (Names("consent").events, Names("consent").dead_letters, "consent.delay.1s"):
        assert re.match(policy["spec"]["pattern"], name)


def test_redis_keeps_what_it_is_told_and_gives_the_rights_of_the_docs() -> None:
    conf = find(REDIS, "ConfigMap", "redis")["data"]["redis.conf"].splitlines()
    assert {"appendonly yes", "appendfsync everysec", "maxmemory-policy noeviction"} <= set(conf)
    page = (ROOT / "docs/ordering.md").read_text()
    (told,) = re.findall(r"ACL SETUSER consent-worker on >SECRET ([^`]+?)\n\s*```", page)
    users = find(REDIS, "Secret", "redis")["stringData"]["users.acl"]
    (given,) = re.findall(r"^user consent-worker on >REPLACE (.+)$", users, re.MULTILINE)
    assert given.split() == told.split()
    (workload,) = of_kind(REDIS, "StatefulSet")
    (container,) = pod_of(workload)["containers"]
    assert container["image"] == redis_server.DEFAULT_IMAGE
    assert container["resources"]["limits"] == {"memory": "1Gi"}
    assert "maxmemory 768mb" in conf, "less than the limit"
