"""The page of the commands is generated, so that it can't rot."""

from pathlib import Path

from devtools.commands_page import sections, with_sections


def test_the_page_of_the_commands_is_up_to_date() -> None:
    text = (Path(__file__).parents[2] / "docs/commands.md").read_text()
    assert with_sections(text) == text, "run: python -m devtools.commands_page"


def test_each_command_has_its_usage_its_options_and_their_defaults() -> None:
    page = sections()
    assert "\n### dead-letters show\n" in page
    assert "    consent-worker dead-letters show [OPTIONS] ID\n" in page
    assert "| `--limit N` | At most so many, the latest. 1 to 100000. By default `50`. |" in page
    assert "4: nothing is wrong, but something can't be judged" in page, "its exit codes"
