"""The profile `observability` of the local stack fits what it watches, and Compose's own schema."""

from __future__ import annotations

import json
import re
from pathlib import Path, PurePosixPath
from typing import Any, Final

import jsonschema
import pytest
import yaml

from worker.settings import WorkerSettings

ROOT: Final = Path(__file__).parents[3]
SCHEMA: Final = json.loads((Path(__file__).parent / "vendor/compose-spec.json").read_text())
VALIDATOR: Final = jsonschema.Draft201909Validator(SCHEMA)
COMPOSE: Final[dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: Final[dict[str, dict[str, Any]]] = COMPOSE["services"]
RULES: Final = (ROOT / "deploy/prometheus/rules.yml").read_text()
DASHBOARD: Final = (ROOT / "deploy/grafana/consent-worker.json").read_text()
PAGE: Final = (ROOT / "docs/metrics.md").read_text()
ASKS_THE_INTERNET: Final = {
    "GF_ANALYTICS_REPORTING_ENABLED": "false",
    "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
    "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
    "GF_NEWS_NEWS_FEED_ENABLED": "false",
    "GF_PLUGINS_PREINSTALL_DISABLED": "true",
    "GF_SECURITY_DISABLE_GRAVATAR": "true",
}


def _mounted(service: str) -> dict[PurePosixPath, Path]:
    """The files of the repository by their places in the container."""
    volumes = [one.split(":") for one in SERVICES[service]["volumes"]]
    return {PurePosixPath(to): ROOT / source for source, to, *_ in volumes if source[0] == "."}


def _scrape_jobs() -> dict[str, dict[str, Any]]:
    (config,) = (path for path in _mounted("prometheus").values() if path.stem == "prometheus")
    jobs = yaml.safe_load(config.read_text())["scrape_configs"]
    return {one["job_name"]: one for one in jobs}


def _provisioned(kind: str) -> dict[str, Any]:
    """What Grafana finds of this kind."""
    directory = PurePosixPath("/etc/grafana/provisioning") / kind
    (path,) = (path for to, path in _mounted("grafana").items() if to.parent == directory)
    document: dict[str, Any] = yaml.safe_load(path.read_text())
    assert document["apiVersion"] == 1
    (found,) = document["providers" if kind == "dashboards" else kind]
    return dict(found)


@pytest.mark.parametrize("name", ["docker-compose.yml", "docker-compose.plugin.yml"])
def test_compose_files_are_what_the_compose_specification_has(name: str) -> None:
    VALIDATOR.validate(yaml.safe_load((ROOT / name).read_text()))


def test_the_schema_finds_a_mistake() -> None:
    wrong = {"services": {"worker": {"image": "a", "healtcheck": {}}}}
    with pytest.raises(jsonschema.ValidationError, match="healtcheck"):
        VALIDATOR.validate(wrong)


def test_prometheus_and_grafana_start_only_when_they_are_asked_for() -> None:
    with_profile = {
        name for name, one in SERVICES.items() if "observability" in one.get("profiles", ())
    }
    assert with_profile == {"prometheus", "grafana"}
    assert all(SERVICES[name]["profiles"] == ["observability"] for name in with_profile)


@pytest.mark.parametrize(("name", "port"), [("prometheus", 9090), ("grafana", 3000)])
def test_they_are_pinned_without_rights_and_on_loopback_alone(name: str, port: int) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"\S+:v?\d+\.\d+\.\d+", service["image"])
    assert service["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", ["prometheus", "grafana"])
def test_each_file_that_they_read_is_there_and_is_not_theirs_to_write(name: str) -> None:
    assert _mounted(name)
    assert all(path.is_file() for path in _mounted(name).values())
    of_repository = [one for one in SERVICES[name]["volumes"] if one[0] == "."]
    assert all(one.endswith(":ro") for one in of_repository)
    volumes = {one.split(":")[0] for one in SERVICES[name]["volumes"]} - set(of_repository)
    assert {one for one in volumes if one[0] != "."} <= set(COMPOSE["volumes"])


def test_prometheus_reads_the_rules_beside_its_configuration() -> None:
    places = {path.name: to for to, path in _mounted("prometheus").items()}
    assert places["rules.yml"] == places["prometheus.yml"].with_name("rules.yml")
    config = (ROOT / "deploy/prometheus/prometheus.yml").read_text()
    assert yaml.safe_load(config)["rule_files"] == ["rules.yml"]


def test_all_that_has_metrics_is_scraped_where_it_listens() -> None:
    by_service = {}
    for name, job in _scrape_jobs().items():
        for found in job.get("dns_sd_configs", ()):
            assert found["type"] == "A"
            assert found["port"] == WorkerSettings.model_fields["http_port"].default
            by_service.update(dict.fromkeys(found["names"], name))
        for found in job.get("static_configs", ()):
            for target in found["targets"]:
                by_service.setdefault(target.partition(":")[0], name)
                assert target == "rabbitmq:15692"
    assert by_service == {
        "worker": "consent-worker",
        "door": "consent-worker-door",
        "ledger": "consent-worker-ledger",
        "rabbitmq": "rabbitmq",
    }
    assert set(by_service) <= set(SERVICES)


def test_the_jobs_are_those_of_the_page_of_the_rules_and_of_the_dashboard() -> None:
    jobs = _scrape_jobs()
    (shown,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    of_page = {one["job_name"]: one for one in yaml.safe_load(shown)["scrape_configs"]}
    assert set(of_page) == set(jobs)
    for name, job in of_page.items():
        for key in ("metrics_path", "params"):
            assert job.get(key) == jobs[name].get(key)
    assert set(re.findall(r'job="([^"]+)"', RULES + DASHBOARD.replace("\\", ""))) <= set(jobs)


def test_grafana_finds_prometheus_and_shows_the_dashboard_first() -> None:
    source = _provisioned("datasources")
    assert source["type"] == "prometheus"
    assert source["url"] == "http://prometheus:9090"
    assert source["isDefault"] is True
    # As a default the dashboard's variable takes the default source of its type.
    variables = {one["name"]: one for one in json.loads(DASHBOARD)["templating"]["list"]}
    assert variables["datasource"]["query"] == source["type"]
    place = PurePosixPath(_provisioned("dashboards")["options"]["path"]) / "consent-worker.json"
    assert _mounted("grafana")[place] == ROOT / "deploy/grafana/consent-worker.json"
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == str(place)


def test_grafana_asks_nobody_on_the_internet() -> None:
    environment = SERVICES["grafana"]["environment"]
    assert ASKS_THE_INTERNET.items() <= environment.items()


def test_who_has_no_password_of_grafana_looks_only() -> None:
    environment = SERVICES["grafana"]["environment"]
    assert environment["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert environment["GF_SECURITY_ADMIN_PASSWORD"].startswith("${GRAFANA_PASSWORD:-")


def test_the_dashboard_has_a_query_in_each_panel_and_no_panel_twice() -> None:
    panels = [one for one in json.loads(DASHBOARD)["panels"] if one["type"] != "row"]
    assert len({one["id"] for one in panels}) == len(panels)
    squares = [
        (x, y)
        for place in (one["gridPos"] for one in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(squares) == len(set(squares))
    assert max(x for x, _ in squares) < 24
    for panel in panels:
        assert panel["title"]
        assert all(one["expr"] for one in panel["targets"])
        of_panel = [one["datasource"] for one in (panel, *panel["targets"])]
        assert of_panel == [{"type": "prometheus", "uid": "${datasource}"}] * len(of_panel)
