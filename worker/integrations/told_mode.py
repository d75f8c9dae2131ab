"""An integration as if its file said which kind of inlet it has. Pure."""

from __future__ import annotations

from typing import Final

from pydantic import ValidationError

from worker.integrations.mistake_sentences import sentences_of
from worker.integrations.model import Integration, WrittenMode

_MOST_SENTENCES: Final = 5


class UnfitMode(ValueError):
    """The rest of the integration does not fit the `payload_mode`; the text says what to change."""


def in_mode(integration: Integration, mode: WrittenMode) -> Integration:
    """`integration` with this `payload_mode`. Raises `UnfitMode` for what would be a mistake in
    its file if that said so.
    """
    # Not `dict(integration)`, which has what is worked out of the fields as well.
    said = {name: getattr(integration, name) for name in Integration.model_fields}
    try:
        fitting = Integration.model_validate(
            said | {"payload_mode": mode}, context=integration.surroundings
        )
        return fitting.with_state_id(integration.state_id)
    except ValidationError as error:
        sentences, _ = sentences_of(error, _MOST_SENTENCES)
    raise UnfitMode("; ".join(sentences))  # see `loading` for why it is no successor
