"""Each alert fires for its fault in the midst of normal traffic, and for nothing else."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.integration.alert_cases import FAULTS, LONG, NORMAL, Fault, Series
from worker.door.answers import AnswerCode
from worker.ledger.stream_findings import MANIPULATIONS, StreamFinding

ROOT: Final = Path(__file__).parents[2]
RULES: Final = ROOT / "deploy/prometheus/rules.yml"
RUNBOOKS: Final = "docs/runbooks/"
_FIRING: Final = 'group by (alertname) (ALERTS{alertstate="firing"})'
_EVER: Final = 'group by (alertname) (count_over_time(ALERTS{alertstate="firing"}[2d]))'


def _rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    return list(group["rules"])


def _verdict(promtool: str, path: Path, series: Series, fault: Fault, expression: str) -> str:
    """What promtool has against it that `expression` tells just these alerts; empty: nothing."""
    samples = [{"labels": f'{{alertname="{one}"}}', "value": 1} for one in fault.fires]
    document = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": one, "values": said} for one, said in series.items()],
                "promql_expr_test": [
                    {
                        "expr": expression,
                        "eval_time": f"{fault.minute}m",
                        "exp_samples": samples,
                    }
                ],
            }
        ],
    }
    path.write_text(json.dumps(document))
    done = subprocess.run(
        [promtool, "test", "rules", str(path)], capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def _staged(fault: Fault) -> Series:
    series = NORMAL | fault.changes
    if fault.gone == "*":
        return {"another_metric": f"1x{LONG}"}
    return {
        one: _until_minute_ten(said) if _is_gone(one, fault.gone) else said
        for one, said in series.items()
    }


def _is_gone(series: str, what: str) -> bool:
    return bool(what) and what in series and not series.startswith("up")


def _until_minute_ten(values: str) -> str:
    """The same value up to there, and no sample from then on."""
    first = re.match(r"-?\d+", values)
    return f"{first[0]}x10" if first else "_"


def test_the_rules_can_be_read(promtool: str) -> None:
    done = subprocess.run(
        [promtool, "check", "rules", str(RULES)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_fires_its_alert_and_no_other(promtool: str, tmp_path: Path, name: str) -> None:
    fault = FAULTS[name]
    assert _verdict(promtool, tmp_path / "test.yml", _staged(fault), fault, _FIRING) == ""


def test_a_day_of_normal_traffic_is_silent(promtool: str, tmp_path: Path) -> None:
    path = tmp_path / "test.yml"
    assert _verdict(promtool, path, NORMAL, Fault({}, LONG, frozenset()), _EVER) == ""
    fault = FAULTS["the first dead letter"]._replace(minute=LONG)
    assert _verdict(promtool, path, _staged(fault), fault, _EVER) == "", "what is over is seen"


def test_every_rule_is_fired_by_some_fault() -> None:
    fired = {alert for fault in FAULTS.values() for alert in fault.fires}
    assert fired == {one["alert"] for one in _rules()}


def test_every_rule_has_a_runbook_of_its_own_that_begins_with_a_command() -> None:
    books = [one["annotations"]["runbook"] for one in _rules()]
    assert len(books) == len(set(books)), "one each"
    for one in books:
        assert one.startswith(RUNBOOKS)
        text = (ROOT / one).read_text()
        assert re.match(r"# [^\n]+\n\n```\n\S", text), one


def test_every_runbook_of_an_alert_names_it() -> None:
    for rule in _rules():
        assert f"`{rule['alert']}`" in (ROOT / rule["annotations"]["runbook"]).read_text()


def test_what_counts_as_503_of_a_door_is_all_that_is_answered_so() -> None:
    (expression,) = (one["expr"] for one in _rules() if one["alert"] == "ConsentDoorAnswers503")
    (answers,) = re.findall(r'answer=~"([^"]+)"', expression)
    assert set(answers.split("|")) == {one.value for one in AnswerCode if one.status == 503}


def test_every_finding_but_what_a_crash_explains_has_a_rule() -> None:
    expressions = {one["alert"]: one["expr"] for one in _rules()}
    for name, kinds in (
        ("ConsentStreamManipulated", MANIPULATIONS),
        ("ConsentStreamLost", {one.value for one in StreamFinding}),
    ):
        named = re.findall(r'kind=~"([^"]+)"', expressions[name])
        assert len(named) == 2
        assert all(set(one.split("|")) == kinds for one in named), name


def test_prometheus_takes_the_configuration_of_the_local_stack(promtool: str) -> None:
    done = subprocess.run(
        [promtool, "check", "config", str(RULES.with_name("prometheus.yml"))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "1 rule files found" in done.stdout
