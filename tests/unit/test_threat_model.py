"""The threat model names a test that is there for each row."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROWS = [f"A{number}" for number in range(1, 40)] + [f"B{number}" for number in range(1, 20)]


def test_every_row_names_what_shows_it_and_that_is_there() -> None:
    text = (ROOT / "docs/threat-model.md").read_text()
    rows = dict(re.findall(r"^\| ([AB]\d+) \|.*\| ([^|]*) \|$", text, re.MULTILINE))
    assert list(rows) == ROWS
    for row, shown_by in rows.items():
        paths = re.findall(r"`(tests/[^`]*)`", shown_by)
        assert paths or row == "B13"
        assert all((ROOT / path).exists() for path in paths), shown_by
