"""The page of the door names each of its answers and metrics, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from worker.door.answers import AnswerCode
from worker.door.door_metrics import DoorMetrics

PAGE = (Path(__file__).parents[3] / "docs/door.md").read_text()


def _table(heading: str) -> dict[str, str]:
    """The second cells of the table under a heading, by the first ones."""
    section = re.split(r"^## ", PAGE.partition(f"## {heading}\n")[2], maxsplit=1, flags=re.M)[0]
    return dict(re.findall(r"^\| `([^`]+)` \| (\S+) \|", section, flags=re.M))


def test_every_answer_is_listed_with_its_status() -> None:
    assert _table("What is answered") == {one.value: str(one.status) for one in AnswerCode}


def test_every_metric_is_listed_with_its_type() -> None:
    metrics = {
        metric.name + ("_total" if metric.type == "counter" else ""): metric.type
        for metric in DoorMetrics().registry.collect()
        if metric.name.startswith("consent_")
    }
    assert _table("Metrics") == metrics
