"""The manifests fit the program: what they name is what the code reads, listens at and answers."""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import pytest
import yaml
from kubernetes_validate.utils import all_versions, major_minor
from pydantic import SecretStr
from typer.main import get_command

from tests.unit.deploy.kustomize import (
    Manifest,
    build,
    documents_in,
    find,
    of_kind,
    pod_of,
    workloads,
)
from worker.cli.main import COMMANDS, build_app
from worker.service.registry_from_settings import build_registry
from worker.settings import WorkerSettings

ROOT: Final = Path(__file__).parents[3]
KUBERNETES: Final = ROOT / "deploy" / "kubernetes"
OVERLAYS: Final = {path.name: build(path) for path in sorted((KUBERNETES / "overlays").iterdir())}
EXAMPLES: Final = {
    path.name: documents_in(path) for path in sorted((KUBERNETES / "examples").glob("*.yaml"))
}
ALL: Final = OVERLAYS["all"]
VERSIONS: Final = list(dict.fromkeys(major_minor(one) for one in all_versions()))[-3:]
"""The last three that have schemas."""
OF_OPERATORS: Final = {
    "Permission",
    "Policy",
    "RabbitmqCluster",
    "ScaledObject",
    "ServiceMonitor",
    "TriggerAuthentication",
    "User",
}
"""Kinds that an operator brings along, of which Kubernetes itself has no schema."""
COMPONENTS: Final = sorted(path.name for path in (KUBERNETES / "components").iterdir())
KNOWN: Final = {f"CONSENT_WORKER_{name.upper()}" for name in WorkerSettings.model_fields}


def _everything() -> dict[str, list[Manifest]]:
    return OVERLAYS | EXAMPLES


def _containers(objects: list[Manifest]) -> Iterator[tuple[Manifest, dict[str, Any]]]:
    for workload in workloads(objects):
        for container in pod_of(workload)["containers"]:
            yield workload, container


def _own() -> Iterator[tuple[Manifest, dict[str, Any]]]:
    """The containers of this program, with their workloads."""
    return _containers(ALL)


def _settings_of(container: dict[str, Any]) -> dict[str, str | None]:
    """Those of a container, None for a secret."""
    found: dict[str, str | None] = {}
    for one in container.get("envFrom", ()):
        found |= find(ALL, "ConfigMap", one["configMapRef"]["name"])["data"]
    for one in container.get("env", ()):
        found[one["name"]] = one.get("value")
    return found


def test_there_is_something_to_look_at() -> None:
    assert len(VERSIONS) == 3
    assert set(OVERLAYS) == {"all", "workers"}
    assert set(EXAMPLES) == {"rabbitmq.yaml", "redis.yaml", "secrets.yaml"}
    assert [container["name"] for _, container in _own()] == [
        "worker",
        "door",
        "ledger",
        "console",
    ]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", _everything())
def test_the_schemas_of_kubernetes_hold(name: str, version: str) -> None:
    of_operators = set()
    for manifest in _everything()[name]:
        if manifest["kind"] in OF_OPERATORS:
            of_operators.add(manifest["kind"])
            continue
        kubernetes_validate.validate(manifest, version, strict=True)
    if name == "workers":
        assert of_operators == set()


def test_every_setting_is_one_of_the_program() -> None:
    text = "".join(path.read_text() for path in KUBERNETES.rglob("*") if path.is_file())
    used = set(re.findall(r"CONSENT_WORKER_[A-Z_]+[A-Z]", text))
    assert used
    assert used <= KNOWN


@pytest.mark.parametrize("container", [one for _, one in _own()], ids=lambda one: one["name"])
def test_every_value_is_one_that_the_program_takes(
    container: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in _settings_of(container).items():
        if name in KNOWN and value is not None:
            monkeypatch.setenv(name, value)
    settings = WorkerSettings()
    assert settings.integrations == Path("/integrations")
    if container["name"] in ("ledger", "console"):
        assert settings.ledger_url.get_secret_value().startswith("sqlite:///var/lib/")


def test_the_urls_of_the_secrets_are_ones_that_the_program_takes() -> None:
    for one in EXAMPLES["secrets.yaml"]:
        said = {
            name.removeprefix("CONSENT_WORKER_").lower(): SecretStr(value)
            for name, value in one["stringData"].items()
            if name.endswith("_URL")
        }
        WorkerSettings.model_validate(said)


@pytest.mark.parametrize("container", [one for _, one in _own()], ids=lambda one: one["name"])
def test_the_command_exists(container: dict[str, Any]) -> None:
    command, *options = container["args"]
    assert command in COMMANDS
    commands = getattr(get_command(build_app(command)), "commands")  # noqa: B009
    known = {option for one in commands[command].params for option in one.opts}
    assert set(options) <= known


def _runs_a_ledger(container: dict[str, Any]) -> bool:
    """Whether it may be the one that writes the file."""
    command, *options = container["args"]
    return command == "ledger" or (command == "console" and "--no-ledger" not in options)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_one_container_at_most_may_run_the_ledger_of_a_file(overlay: str) -> None:
    for workload in workloads(OVERLAYS[overlay]):
        writers: dict[str | None, list[str]] = {}
        for container in pod_of(workload)["containers"]:
            if _runs_a_ledger(container):
                url = _settings_of(container).get("CONSENT_WORKER_LEDGER_URL")
                writers.setdefault(url, []).append(container["name"])
        for names in writers.values():
            assert len(names) == 1, f"{names}: who restarts finds the file in use for ever"
        is_of_the_ledger = workload["metadata"]["name"] == "consent-worker-ledger"
        assert (writers != {}) == is_of_the_ledger


def test_ports_are_those_that_the_settings_say() -> None:
    said = {
        "http": "CONSENT_WORKER_HTTP_PORT",
        "door": "CONSENT_WORKER_DOOR_PORT",
        "console": "CONSENT_WORKER_CONSOLE_PORT",
    }
    for _, container in _own():
        settings = _settings_of(container)
        ports = {one["name"]: str(one["containerPort"]) for one in container["ports"]}
        assert ports == {name: settings[said[name]] for name in ports}, container["name"]


def test_containers_of_a_pod_share_no_port() -> None:
    for workload in workloads(ALL):
        pod = pod_of(workload)
        taken: list[str | None] = []
        for container in pod["containers"]:
            ports = {str(one["containerPort"]) for one in container["ports"]}
            if container["args"][0] != "console" or _runs_a_ledger(container):
                ports.add(str(_settings_of(container)["CONSENT_WORKER_HTTP_PORT"]))
            taken += ports
        assert len(taken) == len(set(taken))


def test_probes_ask_what_is_answered_and_liveness_never_asks_for_readiness() -> None:
    source = (ROOT / "worker/observability/http_server.py").read_text()
    answered = set(re.findall(r'web\.get\("(/[a-z]+)"', source))
    assert answered == {"/healthz", "/readyz", "/metrics"}
    for _, container in _own():
        names = {one["name"] for one in container["ports"]}
        for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
            if kind == "readinessProbe" and container["name"] == "console":
                continue  # it is looked at when nothing else works
            probe = container[kind]
            assert probe["httpGet"]["path"] in answered
            assert probe["httpGet"]["port"] in names
            assert probe["timeoutSeconds"] < 5, "the port keeps a connection for 5 s"
        assert container["startupProbe"]["httpGet"]["path"] == "/healthz"
        assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"


def test_services_and_policies_lead_to_ports_that_pods_have() -> None:
    for objects in (ALL, EXAMPLES["redis.yaml"]):
        ports: dict[str, set[str]] = {}
        for workload in workloads(objects):
            labels = workload["spec"]["template"]["metadata"]["labels"]
            ports[labels["app.kubernetes.io/name"]] = {
                one["name"] for each in pod_of(workload)["containers"] for one in each["ports"]
            }
        for service in of_kind(objects, "Service"):
            name = service["spec"]["selector"]["app.kubernetes.io/name"]
            assert {one["targetPort"] for one in service["spec"]["ports"]} <= ports[name]
        for policy in of_kind(objects, "NetworkPolicy"):
            labels = policy["spec"]["podSelector"].get("matchLabels", {})
            name = labels.get("app.kubernetes.io/name")
            known = ports[name] if name else set().union(*ports.values())
            for rule in policy["spec"].get("ingress", ()):
                assert {one["port"] for one in rule["ports"]} <= known, policy["metadata"]["name"]


def test_selectors_find_their_pods_and_a_budget_is_there_for_each() -> None:
    budgets = [one["spec"] for one in of_kind(ALL, "PodDisruptionBudget")]
    for workload in workloads(ALL):
        labels = workload["spec"]["template"]["metadata"]["labels"]
        assert workload["spec"]["selector"]["matchLabels"].items() <= labels.items()
        assert labels["app.kubernetes.io/part-of"] == "consent-worker"
        found = [one for one in budgets if one["selector"]["matchLabels"].items() <= labels.items()]
        assert len(found) == 1
        assert found[0]["maxUnavailable"] == 1, "a node can be drained"
    (nothing,) = (
        one
        for one in of_kind(ALL, "NetworkPolicy")
        if "ingress" not in one["spec"] and "egress" not in one["spec"]
    )
    assert nothing["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert nothing["spec"]["podSelector"]["matchLabels"] == {
        "app.kubernetes.io/part-of": "consent-worker"
    }


def test_pods_keep_the_strictest_standard_and_get_no_token() -> None:
    (namespace,) = of_kind(ALL, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for workload in itertools.chain(workloads(ALL), workloads(EXAMPLES["redis.yaml"])):
        pod = pod_of(workload)
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert set(container["resources"]["requests"]) == {"cpu", "memory"}
            assert set(container["resources"]["limits"]) == {"memory"}
    for workload in workloads(ALL):
        user = pod_of(workload)["securityContext"]["runAsUser"]
        assert f"USER {user}:{user}" in (ROOT / "Dockerfile").read_text()


def test_a_pod_that_ends_has_the_time_that_its_clean_end_may_take() -> None:
    for workload, container in _own():
        stop = float(_settings_of(container)["CONSENT_WORKER_SHUTDOWN_TIMEOUT_SECONDS"] or 0)
        before = container.get("lifecycle", {}).get("preStop", {}).get("exec", {})
        stop += float(before["command"][1]) if before else 0
        assert pod_of(workload)["terminationGracePeriodSeconds"] >= stop + 20


def test_nothing_that_is_missing_is_passed_over() -> None:
    secrets = {one["metadata"]["name"]: one["stringData"] for one in EXAMPLES["secrets.yaml"]}
    configurations = {one["metadata"]["name"] for one in of_kind(ALL, "ConfigMap")}
    used: dict[str, set[str]] = {name: set() for name in secrets}
    for workload, container in _own():
        for one in container["envFrom"]:
            assert one["configMapRef"]["optional"] is False
        for one in container["env"]:
            if "value" not in one:
                reference = one["valueFrom"]["secretKeyRef"]
                assert reference["optional"] is False
                assert reference["key"] == one["name"]
                used[reference["name"]].add(reference["key"])
        for volume in pod_of(workload)["volumes"]:
            if "configMap" in volume:
                assert volume["configMap"]["optional"] is False
                assert volume["configMap"]["name"] in configurations
            if "secret" in volume:
                assert volume["secret"]["optional"] is False
                used[volume["secret"]["secretName"]] |= set(secrets["consent-worker-customers"])
        mounted = {one["name"] for one in container["volumeMounts"]}
        volumes = {one["name"] for one in pod_of(workload)["volumes"]}
        volumes |= {
            one["metadata"]["name"] for one in workload["spec"].get("volumeClaimTemplates", ())
        }
        assert mounted <= volumes
    assert used == {name: set(said) for name, said in secrets.items()}


def test_every_process_has_the_secret_by_which_events_and_persons_are_called() -> None:
    for _, container in _own():
        assert "CONSENT_WORKER_ORDERING_SECRET" in _settings_of(container), container["name"]


@pytest.mark.parametrize(
    "components",
    [
        chosen
        for size in range(len(COMPONENTS) + 1)
        for chosen in itertools.combinations(COMPONENTS, size)
    ],
    ids=lambda chosen: "+".join(chosen) or "base",
)
def test_who_writes_receipts_signs_them_whatever_else_is_installed(
    components: tuple[str, ...], tmp_path: Path
) -> None:
    said = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [str(KUBERNETES / "base")],
        "components": [str(KUBERNETES / "components" / one) for one in components],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(said))
    objects = build(tmp_path)
    settings = find(objects, "ConfigMap", "consent-worker-settings")["data"]
    assert settings["CONSENT_WORKER_RECEIPTS"] == "on", "it is said, and is no surprise"
    for workload, container in _containers(objects):
        references = {
            one["name"]: one["valueFrom"]["secretKeyRef"]
            for one in container["env"]
            if "valueFrom" in one
        }
        name = workload["metadata"]["name"], container["name"]
        assert "CONSENT_WORKER_RECEIPTS_SECRET" in references, name
        assert references["CONSENT_WORKER_RECEIPTS_SECRET"]["name"] == "consent-worker"


def test_what_the_docs_ask_kubernetes_for_is_there() -> None:
    pods = {}
    labels = set()
    for workload in workloads(ALL):
        kind, name = workload["kind"].lower(), workload["metadata"]["name"]
        containers = [one["name"] for one in pod_of(workload)["containers"]]
        pods[f"{name}-0" if kind == "statefulset" else f"{kind.removesuffix('ment')}/{name}"] = (
            containers
        )
        of_pod = workload["spec"]["template"]["metadata"]["labels"]
        labels |= {f"{key}={value}" for key, value in of_pod.items()}
    text = "".join(path.read_text() for path in (ROOT / "docs").rglob("*.md"))
    text = re.sub(r"\s+", " ", text)
    selectors = re.findall(r"kubectl [^`]*?-l ([^\s`]+)", text)
    assert selectors
    assert set(selectors) <= labels
    executed = re.findall(r"kubectl -n consent exec (\S+) (?:-c (\S+) )?-- consent-worker", text)
    assert executed
    for pod, container in executed:
        assert pod in pods, pod
        assert not container or container in pods[pod]
        assert container or len(pods[pod]) == 1, f"{pod}: which of {pods[pod]}?"


def test_the_console_has_what_commands_read_that_the_workers_have_not() -> None:
    (console,) = (one for _, one in _own() if one["name"] == "console")
    assert set(_settings_of(console)) >= {
        f"CONSENT_WORKER_{one}"
        for one in ("AMQP_URL", "LEDGER_URL", "ORDERING_SECRET", "RECEIPTS_SECRET", "STATE_URL")
    }


def test_what_is_renewed_while_a_pod_runs_is_mounted_as_a_whole() -> None:
    for _, container in _own():
        for one in container["volumeMounts"]:
            assert "subPath" not in one, "kubelet never renews what is mounted by a subPath"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_integrations_are_valid_with_the_secrets_that_are_mounted(
    overlay: str, tmp_path: Path
) -> None:
    objects = OVERLAYS[overlay]
    (customers,) = (
        one["stringData"]
        for one in EXAMPLES["secrets.yaml"]
        if one["metadata"]["name"] == "consent-worker-customers"
    )
    for key, value in customers.items():
        (tmp_path / key).write_text(value)
    mounted = "/run/secrets/customers"
    settings = find(objects, "ConfigMap", "consent-worker-settings")["data"]
    assert settings["CONSENT_WORKER_SECRET_DIRECTORIES"] == mounted
    files = find(objects, "ConfigMap", "consent-worker-integrations")["data"]
    (tmp_path / "integrations").mkdir()
    for name, text in files.items():
        (tmp_path / "integrations" / name).write_text(text.replace(mounted, str(tmp_path)))
    registry = build_registry(
        WorkerSettings(integrations=tmp_path / "integrations", secret_directories=(str(tmp_path),))
    )
    registry.load()
    assert list(registry.problems) == []
    assert len(registry) == len(files)


def test_the_image_is_the_one_of_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for objects in OVERLAYS.values():
        for _, container in _containers(objects):
            assert container["image"] == f"registry.example/consent-worker:{version}"


def test_the_ledger_is_one_pod_with_one_volume_of_its_own() -> None:
    ledger = find(ALL, "StatefulSet", "consent-worker-ledger")
    assert ledger["spec"]["replicas"] == 1
    assert [one["name"] for one in pod_of(ledger)["containers"]] == ["ledger", "console"]
    (claim,) = ledger["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    for container in pod_of(ledger)["containers"]:
        path = str(_settings_of(container)["CONSENT_WORKER_LEDGER_URL"]).removeprefix("sqlite://")
        (mount,) = (one for one in container["volumeMounts"] if one["name"] == "ledger")
        assert Path(path).parent == Path(mount["mountPath"])
