"""What to do about an integration that is in trouble: who has to do it, and where. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from worker.console.integration_rows import IntegrationRow
from worker.reasons import ErrorCode
from worker.remedies import OF_ERRORS, remedy_for_secret

_OF_STATES: Final[Mapping[str, str]] = {
    "paused": "Take `paused` out of its file, and it goes on by itself.",
    "invalid": "Mend its file; it is read again within seconds. Until then the version before it "
    "goes on, if there was one.",
    "disabled": "Set `enabled` to true in its file, if it is to have events.",
}
_WAITS_FOR_A_FILE: Final = (
    "Put the file back, and what waits goes on. Without it each event becomes a dead letter a day "
    "after it came: discard these, if nobody is to have them."
)
_LETTERS: Final = (
    "See its dead letters: replay what is still needed, which the preview tells, or discard them."
)
_PASSES: Final = "Nothing, if it passes; else look at Adobe's status page and at the network."


def advice(row: IntegrationRow, file: Path | None) -> str:
    """What to do about an integration, "" for nothing; `file` is where its configuration is."""
    error = "" if row.lane is None else row.lane.error
    if row.state == "gone":
        if not row.is_at_rest:
            return _WAITS_FOR_A_FILE
        return _LETTERS if row.letters else ""
    return (
        _OF_STATES.get(row.state)
        or advice_of_error(error, row.id, file)
        or (_PASSES if row.state == "failing" else _LETTERS if row.letters else "")
    )


def advice_of_error(error: str, integration: str, file: Path | None) -> str:
    """What to do about an error at an integration, "" where nothing is known."""
    if error != ErrorCode.TOKEN_REFUSED:
        return OF_ERRORS.get(error, "")
    named = f"the file of `{_bare(integration)}`" if file is None else f"`{_bare(str(file))}`"
    return remedy_for_secret(named, _bare(integration))


def _bare(text: str) -> str:
    """Without what would end the code that it stands in."""
    return text.replace("`", "")
