"""Settings: what the environment may say, and the words for what it may not."""

from __future__ import annotations

import re

import pytest
from pydantic import SecretStr, ValidationError

from worker.environment_variables import Judgement
from worker.settings import (
    OLD_NAMES,
    UnusableSetting,
    WorkerSettings,
    judge_environment,
    old_names_in_use,
    unknown_in_use,
)
from worker.settings.redis_urls import redis_urls


def _settings(monkeypatch: pytest.MonkeyPatch, **variables: str) -> WorkerSettings:
    for name, value in variables.items():
        monkeypatch.setenv(f"CONSENT_WORKER_{name}", value)
    return WorkerSettings()


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        pytest.param("a.example", ("a.example",), id="one"),
        pytest.param(
            " A.example , *.B.example:8443 ,", ("a.example", "*.b.example:8443"), id="csv"
        ),
        pytest.param('["a.example", "b.example"]', ("a.example", "b.example"), id="JSON"),
        pytest.param("", (), id="none"),
    ],
)
def test_allowed_hosts(monkeypatch: pytest.MonkeyPatch, text: str, hosts: tuple[str, ...]) -> None:
    assert _settings(monkeypatch, ALLOWED_HOSTS=text).allowed_hosts == hosts


def test_allowed_hosts_may_be_given_in_code() -> None:
    assert WorkerSettings(allowed_hosts=("a.example",)).allowed_hosts == ("a.example",)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("AMQP_URL", "http://u:hush@h/", id="other scheme"),
        pytest.param("AMQP_URL", "hush", id="no URL"),
        pytest.param("AMQP_URL", "amqp://", id="no host"),
        pytest.param("AMQP_URL", "amqp://u:hush@h:port/", id="port of text"),
        pytest.param("AMQP_URL", "amqp://u:h#ush@h/", id="password not encoded"),
        pytest.param("AMQP_URL", "amqp://u:hush@[::1/", id="broken brackets"),
        pytest.param("STATE_URL", "http://u:hush@h/", id="Redis, other scheme"),
        pytest.param("STATE_URL", "redis://u:h#ush@h/", id="Redis, password not encoded"),
        pytest.param("ORDERING_RETENTION_SECONDS", "60", id="retention below any replay"),
        pytest.param("NAMESPACE", "a b", id="namespace"),
        pytest.param("RETRY_BUDGET_SECONDS", "-1", id="budget"),
        pytest.param("RETRY_BUDGET_SECONDS", "hush", id="budget of text"),
        pytest.param("DELAY", "hush", id="delay"),
        pytest.param("HTTP_PORT", "70000", id="port"),
        pytest.param("LOG_LEVEL", "hush", id="level"),
        pytest.param("INTEGRATION_GRACE_SECONDS", "-1", id="grace"),
        pytest.param("UNKNOWN_ORGANIZATION", "hush", id="unknown organization"),
        pytest.param("ALLOW_INSECURE", "hush", id="flag"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name_and_not_by_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        _settings(monkeypatch, **{name: value})
    (error,) = refused.value.errors(include_input=False)
    assert error["loc"] == (name.lower(),)
    assert "hush" not in str(refused.value)


def test_the_url_of_the_broker_does_not_show_its_password() -> None:
    assert "hush" not in repr(WorkerSettings(amqp_url=SecretStr("amqps://u:hush@h/")))


@pytest.mark.parametrize(
    ("timeout", "budget", "seconds"),
    [
        pytest.param(30, 300, 30, id="as set"),
        pytest.param(30, 100, 10, id="a tenth of the budget"),
        pytest.param(30, 3, 1, id="at least a second"),
        pytest.param(0.5, 300, 1, id="never below a second"),
    ],
)
def test_an_attempt_is_short_enough_for_five_retries(
    timeout: float, budget: float, seconds: float
) -> None:
    settings = WorkerSettings(attempt_timeout_seconds=timeout, retry_budget_seconds=budget)
    assert settings.longest_attempt_seconds == seconds


@pytest.mark.parametrize(
    ("old", "new", "value", "read"),
    [
        ("ATTEMPT_TIMEOUT", "attempt_timeout_seconds", "7", 7),
        ("HEARTBEAT", "heartbeat_seconds", "7", 7),
        ("ORDERING_RETENTION", "ordering_retention_seconds", "7777", 7777),
        ("PUBLISH_TIMEOUT", "publish_timeout_seconds", "7", 7),
        ("REDIS_URL", "state_url", "redis://h/", SecretStr("redis://h/")),
        ("RETRY_BUDGET", "retry_budget_seconds", "7", 7),
        ("SETUP_PATIENCE", "block_patience_seconds", "7", 7),
        ("SETUP_PROBE", "block_probe_seconds", "7", 7),
        ("SHUTDOWN_TIMEOUT", "shutdown_timeout_seconds", "7", 7),
    ],
)
def test_an_old_name_of_a_setting_is_read_and_named(
    monkeypatch: pytest.MonkeyPatch, old: str, new: str, value: str, read: object
) -> None:
    assert f"CONSENT_WORKER_{old}" in OLD_NAMES
    settings = _settings(monkeypatch, **{old: value})
    assert getattr(settings, new) == read
    (sentence,) = old_names_in_use()
    assert sentence.startswith(f"CONSENT_WORKER_{old} is now CONSENT_WORKER_{new.upper()};")


def test_every_old_name_stands_for_a_setting() -> None:
    assert set(OLD_NAMES.values()) <= set(WorkerSettings.model_fields)
    names = {f"CONSENT_WORKER_{name.upper()}" for name in WorkerSettings.model_fields}
    assert names & set(OLD_NAMES) == set()


@pytest.mark.parametrize(
    ("old", "new", "values"),
    [
        ("REDIS_URL", "STATE_URL", ("redis://:hush@a/", "redis://:hush@b/")),
        ("RETRY_BUDGET", "RETRY_BUDGET_SECONDS", ("30", "31")),
    ],
)
def test_two_names_of_a_setting_that_say_different_things_are_refused(
    monkeypatch: pytest.MonkeyPatch, old: str, new: str, values: tuple[str, str]
) -> None:
    told = f"CONSENT_WORKER_{old} is the old name of CONSENT_WORKER_{new}; they say"
    with pytest.raises(UnusableSetting, match=told) as refused:
        _settings(monkeypatch, **{old: values[0], new: values[1]})
    assert "hush" not in str(refused.value)
    _settings(monkeypatch, **{old: values[1], new: values[1]})


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        pytest.param("memory:", "memory", id="memory"),
        pytest.param("sqlite:///var/lib/state", "sqlite", id="file"),
        pytest.param("rediss://u:p@h/1", "redis", id="redis"),
        pytest.param("redis+cluster://u:p@a:7001,b,[::1]:7002/0?x=1", "redis", id="cluster"),
        pytest.param("rediss+cluster://a", "redis", id="cluster by TLS"),
    ],
)
def test_what_keeps_the_state(monkeypatch: pytest.MonkeyPatch, url: str, kind: str) -> None:
    assert _settings(monkeypatch, STATE_URL=url).state_kind == kind


def test_a_ledger_is_found_by_either_form_of_an_absolute_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = _settings(monkeypatch, LEDGER_URL="sqlite:////var/lib/ledger").ledger_url
    assert url.get_secret_value() == "sqlite:///var/lib/ledger"


@pytest.mark.parametrize("url", ["sqlite:state", "sqlite://state", "sqlite:///", "sqlite:///a/?x"])
def test_a_file_is_named_by_its_absolute_path(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    with pytest.raises(ValidationError, match="the absolute path of a file"):
        _settings(monkeypatch, STATE_URL=url)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        pytest.param("redis://hush@a,b/0", r"are redis\+cluster://", id="several servers"),
        pytest.param("redis+cluster://:hush@a,b/1", "has 0 alone", id="database"),
        pytest.param("redis+cluster://:hush@a,,b", "a URL with a host", id="no host"),
        pytest.param("redis+cluster://", "a URL with a host", id="none at all"),
        pytest.param("redis+cluster://u:h#ush@a", "percent-encoded", id="password not encoded"),
        *(
            pytest.param(f"{scheme}://{rest}", "percent-encoded", id=f"{scheme} {rest}")
            for scheme in ("redis", "redis+cluster")
            for rest in (
                "hush:1234#abc@h",
                "hush:1234?abc@h",
                "u:12@34#hush@h",
                "u:12@34?hush@h",
                "hush:1234#",
            )
        ),
        pytest.param("redis://hush:1234/1@h", "percent-encoded", id="password with a slash"),
        pytest.param("redis+cluster://a:port,b", "a URL with a host", id="port of text"),
        pytest.param("cluster+redis://hush", r"or redis\+cluster:// or", id="other scheme"),
    ],
)
def test_a_wrong_url_of_redis_is_told_without_its_words(
    monkeypatch: pytest.MonkeyPatch, url: str, told: str
) -> None:
    with pytest.raises(ValidationError, match=told) as refused:
        _settings(monkeypatch, STATE_URL=url)
    assert "hush" not in str(refused.value.errors()[0]["msg"])


@pytest.mark.parametrize("rest", ["hush:1234#a@h", "hush:1234?a@h", "hush:1234/a@h", "hush:12#"])
def test_a_password_of_the_broker_that_is_not_encoded_is_not_taken_for_its_address(
    monkeypatch: pytest.MonkeyPatch, rest: str
) -> None:
    with pytest.raises(ValidationError, match="percent-encoded") as refused:
        _settings(monkeypatch, AMQP_URL=f"amqp://{rest}")
    assert "hush" not in str(refused.value.errors()[0]["msg"])
    assert _settings(monkeypatch, AMQP_URL="amqp://u:p%23@h/a@b").amqp_url


def test_the_nodes_of_a_cluster_share_credentials_and_options() -> None:
    found = redis_urls("rediss+cluster://u:p%40w@a:7001,b,[::1]/?ssl_ca_certs=/x")
    assert found.is_cluster
    assert found.addresses == ("a:7001", "b:6379", "[::1]:6379")
    assert found.at("c:1") == "rediss://u:p%40w@c:1/?ssl_ca_certs=/x"


def test_nothing_is_said_where_no_old_name_is_in_use() -> None:
    assert old_names_in_use() == []


@pytest.mark.parametrize(
    ("text", "directories"),
    [
        pytest.param("/a , ./b,", ("/a", "./b"), id="csv"),
        pytest.param("", (), id="none"),
    ],
)
def test_directories_of_secrets(
    monkeypatch: pytest.MonkeyPatch, text: str, directories: tuple[str, ...]
) -> None:
    assert _settings(monkeypatch, SECRET_DIRECTORIES=text).secret_directories == directories


@pytest.mark.parametrize("value", ["tcp://10.0.0.1:8080", "udp://10.0.0.1:8080"])
def test_a_port_that_kubernetes_has_set_is_the_default(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    settings = _settings(monkeypatch, HTTP_PORT=value, HTTP_PORT_8080_TCP=value)
    assert settings.http_port == 8080
    judged = judge_environment()
    assert judged.links == ("CONSENT_WORKER_HTTP_PORT", "CONSENT_WORKER_HTTP_PORT_8080_TCP")
    assert unknown_in_use(judged) == []


def test_a_port_of_another_scheme_is_still_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError):
        _settings(monkeypatch, HTTP_PORT="http://10.0.0.1:8080")


def test_a_slip_of_the_pen_is_refused_with_what_was_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnusableSetting) as refused:
        _settings(monkeypatch, STATE_ULR="redis://:hush@h/", HTTP_PROT="9")
    assert str(refused.value) == (
        "CONSENT_WORKER_HTTP_PROT is no setting; did you mean CONSENT_WORKER_HTTP_PORT?; "
        "CONSENT_WORKER_STATE_ULR is no setting; did you mean CONSENT_WORKER_STATE_URL?"
    )


def test_no_setting_is_taken_for_a_slip_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in WorkerSettings.model_fields:
        monkeypatch.setenv(f"CONSENT_WORKER_{name.upper()}", "")
    assert judge_environment() == Judgement()


@pytest.mark.parametrize("text", ["inf", "nan", "1e30", "-inf"])
@pytest.mark.parametrize(
    "name",
    [
        "ORDERING_RETENTION_SECONDS",
        "BLOCK_PATIENCE_SECONDS",
        "INTEGRATION_GRACE_SECONDS",
        "RELOAD_SECONDS",
        "WATCH_SECONDS",
        "BLOCK_PROBE_SECONDS",
        "PUBLISH_TIMEOUT_SECONDS",
        "SHUTDOWN_TIMEOUT_SECONDS",
        "RETRY_BUDGET_SECONDS",
        "UNCLEAR_SECONDS",
    ],
)
def test_no_duration_is_without_end(monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    with pytest.raises(ValidationError):
        _settings(monkeypatch, **{name: text})


def test_every_duration_has_an_end() -> None:
    for name, one in WorkerSettings.model_fields.items():
        if one.annotation is float:
            assert any(getattr(bound, "le", None) is not None for bound in one.metadata), name


def test_every_duration_and_size_tells_its_unit() -> None:
    for name, one in WorkerSettings.model_fields.items():
        description = (one.description or "").lower()
        is_duration = one.annotation is float or re.search(r"\bseconds\b|how often", description)
        if is_duration:
            assert name.endswith(("_seconds", "_ms")), name
        if re.search(r"\bbytes\b", description):
            assert name.endswith("_bytes"), name


@pytest.mark.parametrize("path", ["abc", "0/1", "-1", "1.5"])
def test_a_database_of_redis_is_a_number(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    with pytest.raises(ValidationError, match="the number of a database"):
        _settings(monkeypatch, STATE_URL=f"redis://h/{path}")


def test_an_empty_directory_of_integrations_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError, match="is empty; name a directory"):
        _settings(monkeypatch, INTEGRATIONS="")


@pytest.mark.parametrize(
    ("text", "queues"),
    [
        pytest.param("events", ("events",), id="the default"),
        pytest.param(" events , events.2,events.eu-west_1", None, id="several"),
        pytest.param("events.2,events", ("events.2", "events"), id="in any order"),
    ],
)
def test_event_queues(
    monkeypatch: pytest.MonkeyPatch, text: str, queues: tuple[str, ...] | None
) -> None:
    expected = queues or ("events", "events.2", "events.eu-west_1")
    assert _settings(monkeypatch, EVENT_QUEUES=text).event_queues == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("", "name 1 must be events, or events.", id="nothing"),
        pytest.param("events,", "name 2 must be events, or events.", id="a comma too many"),
        pytest.param("events,events.2,events.2", "names 2 and 3 are the same", id="twice"),
        pytest.param("events,consent.events.2", "name 2 begins with the namespace", id="full name"),
        pytest.param("events,amq.topic", "name 2 must be events, or events.", id="the broker's"),
        pytest.param("events,hush", "name 2 must be events, or events.", id="another word"),
        pytest.param("events,events.a.b", "name 2 must be events, or events.", id="more dots"),
        pytest.param(f"events,events.{'n' * 65}", "1 to 64 letters", id="too long"),
        pytest.param("events,events.retries", "name 2 ends as another queue does", id="retries"),
        pytest.param("events,events.migrating", "ends as another queue does", id="put aside"),
        pytest.param("events.2,events.3", "must have events beside the others", id="no first"),
        pytest.param(
            ",".join(["events", *(f"events.{one}" for one in range(16))]),
            "must have 16 names at most",
            id="too many",
        ),
    ],
)
def test_a_wrong_list_of_event_queues_is_told(
    monkeypatch: pytest.MonkeyPatch, text: str, problem: str
) -> None:
    with pytest.raises(ValidationError, match=re.escape(problem)) as refused:
        _settings(monkeypatch, EVENT_QUEUES=text)
    assert "hush" not in str(refused.value)


def test_each_event_queue_has_a_part_of_the_prefetch(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError, match="must not have more names than"):
        _settings(monkeypatch, EVENT_QUEUES="events,events.2,events.3", PREFETCH_EVENTS="2")
    assert len(_settings(monkeypatch, PREFETCH_EVENTS="3").event_queues) == 3


def test_a_namespace_that_is_called_events_has_more_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = _settings(monkeypatch, NAMESPACE="events", EVENT_QUEUES="events,events.2")
    assert settings.event_queues == ("events", "events.2")
