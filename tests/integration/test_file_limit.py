"""The limit of open files is raised at the start; an impossible one is told with both numbers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from devtools.examples import integration_document

PROGRAM = """
import json, resource, sys
soft, hard, documents = json.loads(sys.argv[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
from worker.file_limit import prepare_files
from worker.integrations.model import Integration
from worker.observability.logging import configure_logging
configure_logging("json", "info")
prepare_files([Integration.model_validate(one) for one in documents])
print(json.dumps(resource.getrlimit(resource.RLIMIT_NOFILE)))
"""


def prepared(
    soft: int, hard: int, *documents: dict[str, object]
) -> tuple[list[int], list[dict[str, Any]]]:
    """The limits and the log of a process that began with `soft` and `hard`."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps([soft, hard, documents])],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    return json.loads(done.stdout), [json.loads(line) for line in done.stderr.splitlines()]


def lanes(number: int, **changes: object) -> list[dict[str, object]]:
    return [
        integration_document(id=f"shop{i}", limits={"requests_in_flight": 256}, **changes)
        for i in range(number)
    ]


def test_the_soft_limit_is_raised_to_the_hard_one() -> None:
    assert prepared(256, 900) == ([900, 900], [])


def test_lanes_that_could_use_more_files_than_there_are_are_told_with_both_numbers() -> None:
    limits, (line,) = prepared(256, 900, *lanes(4))
    assert limits == [900, 900]
    assert (line["event"], line["level"]) == ("files.limit", "warning")
    assert (line["limit"], line["wanted"]) == (900, 4 * 256 + 224)


def test_disabled_integrations_use_no_files() -> None:
    assert prepared(256, 900, *lanes(4, enabled=False))[1] == []
