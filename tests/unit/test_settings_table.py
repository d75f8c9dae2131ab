"""The table of settings is generated, so that it cannot rot."""

from pathlib import Path

from devtools.settings_table import with_table


def test_the_settings_table_is_up_to_date() -> None:
    text = (Path(__file__).parents[2] / "docs/settings.md").read_text()
    assert with_table(text) == text, "run: python -m devtools.settings_table"
