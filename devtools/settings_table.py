"""Writes the table of settings into docs/settings.md from the settings themselves."""

from __future__ import annotations

import sys
from pathlib import Path

from pydantic import SecretStr

from worker.settings import WorkerSettings

_START, _END = "<!-- settings -->", "<!-- /settings -->"


def table() -> str:
    """The table in Markdown."""
    lines = ["| Variable | Default | Meaning |", "|---|---|---|"]
    for name, field in WorkerSettings.model_fields.items():
        default = field.default
        if isinstance(default, SecretStr):
            default = default.get_secret_value()
        if isinstance(default, tuple):
            default = ",".join(default)
        lines.append(
            f"| `CONSENT_WORKER_{name.upper()}` | `{str(default).lower() if isinstance(default, bool) else default}` | {field.description} |"  # noqa: E501
        )
    return "\n".join(lines)


def with_table(text: str) -> str:
    """`text` with the table between its two marks."""
    head, _, rest = text.partition(_START)
    _, _, tail = rest.partition(_END)
    return f"{head}{_START}\n{table()}\n{_END}{tail}"


if __name__ == "__main__":
    page = Path("docs/settings.md")
    page.write_text(with_table(page.read_text()))
    sys.exit(0)
