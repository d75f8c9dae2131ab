"""The Job of a migration, made of the Deployment of the workers as the docs tell."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import pytest
from kubernetes_validate.utils import all_versions, major_minor

from tests.unit.deploy.kustomize import build, find, of_kind

ROOT: Final = Path(__file__).parents[3]
KUBERNETES: Final = ROOT / "deploy/kubernetes"
FILTER: Final = KUBERNETES / "examples/migration.jq"
ALL: Final = build(KUBERNETES / "overlays/all")
PAGE: Final = (ROOT / "docs/kubernetes.md").read_text()


@pytest.fixture(scope="module")
def job() -> dict[str, Any]:
    jq = shutil.which("jq")
    if jq is None:
        pytest.skip("THE JOB OF A MIGRATION IS NOT TESTED: there is no jq")
    workers = json.dumps(find(ALL, "Deployment", "consent-worker"))
    made = subprocess.run(
        [jq, "--arg", "who", "night-shift", "-f", str(FILTER)],
        input=workers.encode(),
        stdout=subprocess.PIPE,
        check=True,
    )
    said: dict[str, Any] = json.loads(made.stdout)
    return said


def test_kubernetes_takes_it(job: dict[str, Any]) -> None:
    for version in list(dict.fromkeys(major_minor(one) for one in all_versions()))[-3:]:
        kubernetes_validate.validate(job, version, strict=True)


def test_it_migrates_as_a_worker_of_the_new_version_would(job: dict[str, Any]) -> None:
    workers = find(ALL, "Deployment", "consent-worker")
    (worker,) = workers["spec"]["template"]["spec"]["containers"]
    (container,) = job["spec"]["template"]["spec"]["containers"]
    for same in ("image", "env", "envFrom", "securityContext", "volumeMounts", "resources"):
        assert container[same] == worker[same], same
    assert container["args"] == ["topology", "migrate", "--as", "night-shift"]
    assert not {"livenessProbe", "readinessProbe", "startupProbe", "ports"} & container.keys()
    assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never", "a Job takes no Always"
    assert job["metadata"]["namespace"] == workers["metadata"]["namespace"]


def test_nobody_takes_it_for_a_worker_and_it_gets_to_the_broker(job: dict[str, Any]) -> None:
    labels = job["spec"]["template"]["metadata"]["labels"]
    for kind in ("Service", "PodDisruptionBudget", "Deployment"):
        for one in of_kind(ALL, kind):
            selector = one["spec"]["selector"]
            assert not selector.get("matchLabels", selector).items() <= labels.items(), kind
    policy = find(ALL, "NetworkPolicy", "consent-worker-names-and-broker")
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()


def test_the_docs_name_the_objects_that_are_there() -> None:
    assert str(FILTER.relative_to(ROOT)) in PAGE
    assert find(ALL, "ScaledObject", "consent-worker")
    assert "replicas" not in find(ALL, "Deployment", "consent-worker")["spec"]
    pods = find(ALL, "Deployment", "consent-worker")["spec"]["template"]["metadata"]["labels"]
    assert pods["app.kubernetes.io/name"] == "consent-worker"
    assert "wait --for=delete pod -l app.kubernetes.io/name=consent-worker " in PAGE
